"""The small parts of the road: the run's folder, the keys of its stages, the engine, the runtime."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.data import Pack
from holotype.engine import LocalEngine
from holotype.errors import InputError
from holotype.feed import Specimens
from holotype.keys import fit_key, predict_key
from holotype.pipeline import make_runtime
from holotype.recipe import load_recipe
from holotype.runs import RunFolder
from holotype.runtime import Runtime
from holotype.spec import MemberSpec, ViewSpec
from holotype.store import StageKey
from holotype.train import FitJob
from holotype.types import ImageStatistics, Normalisation

SCALE = Normalisation((0.0,), (1.0,))
STATISTICS = ImageStatistics(pl.DataFrame({"digest": [f"d{row}" for row in range(9)]}), SCALE)
SPECIMENS = Specimens(Pack(np.zeros((9, 1, 32, 32), np.uint8), "fit"), SCALE, np.eye(3, dtype=bool)[np.arange(9) % 3])
JOB = FitJob(
    MemberSpec.model_validate({"input": {"size": 32}}), 0, 1, np.arange(6), np.arange(6, 8), ("a", "b", "c"),
    "multiclass", None, SCALE,
)  # fmt: skip
KEY = fit_key(JOB, STATISTICS, SPECIMENS, Runtime())


def of_member(**changes: Any) -> FitJob:
    return replace(JOB, member=MemberSpec.model_validate({"input": {"size": 32}, **changes}))


def other_truth() -> Specimens:
    truth = SPECIMENS.truth[:]
    truth[5] = truth[4]
    return replace(SPECIMENS, truth=truth)


def other_pixels(row: int) -> ImageStatistics:
    digests = [f"d{number}" if number != row else "other" for number in range(9)]
    return replace(STATISTICS, frame=pl.DataFrame({"digest": digests}))


TRAINS_AGAIN: dict[str, StageKey] = {
    "seed": fit_key(replace(JOB, seed=2), STATISTICS, SPECIMENS, Runtime()),
    "fold": fit_key(replace(JOB, fold=1), STATISTICS, SPECIMENS, Runtime()),
    "rows": fit_key(replace(JOB, train_rows=np.arange(5)), STATISTICS, SPECIMENS, Runtime()),
    "a label": fit_key(JOB, STATISTICS, other_truth(), Runtime()),
    "a training image": fit_key(JOB, other_pixels(0), SPECIMENS, Runtime()),
    "an image of the fold": fit_key(JOB, other_pixels(7), SPECIMENS, Runtime()),
    "the form of the stored images": fit_key(
        JOB, STATISTICS, replace(SPECIMENS, pack=Pack(np.zeros((9, 1, 32, 40), np.uint8), "fit")), Runtime()
    ),
    "normalisation": fit_key(
        replace(JOB, normalisation=Normalisation((1.0,), (1.0,))), STATISTICS, SPECIMENS, Runtime()
    ),
    "class names": fit_key(replace(JOB, classes=("a", "b", "d")), STATISTICS, SPECIMENS, Runtime()),
    "batch": fit_key(JOB, STATISTICS, SPECIMENS, Runtime(batch=16)),
    "augmentation": fit_key(of_member(augment={"rotate": 0}), STATISTICS, SPECIMENS, Runtime()),
    "head": fit_key(of_member(head={"dropout": 0.3}), STATISTICS, SPECIMENS, Runtime()),
}
TRAINS_NOT: dict[str, StageKey] = {
    "views": fit_key(of_member(predict={"views": "none"}), STATISTICS, SPECIMENS, Runtime()),
    "threads, workers and store": fit_key(JOB, STATISTICS, SPECIMENS, Runtime(threads=7, workers=3, store=Path("x"))),
    "an image that neither trains nor validates": fit_key(JOB, other_pixels(8), SPECIMENS, Runtime()),
}


@pytest.mark.parametrize("key", TRAINS_AGAIN.values(), ids=TRAINS_AGAIN)
def test_what_counts_in_training_is_in_its_key(key: StageKey) -> None:
    assert key.digest != KEY.digest


@pytest.mark.parametrize("key", TRAINS_NOT.values(), ids=TRAINS_NOT)
def test_what_does_not_count_in_training_is_not_in_its_key(key: StageKey) -> None:
    assert key.digest == KEY.digest


def test_predictions_hang_on_the_network_the_views_and_the_images() -> None:
    rows = np.array([6, 7, 8])
    base = predict_key(JOB, KEY, ViewSpec(), STATISTICS, rows)
    assert predict_key(JOB, KEY, ViewSpec(), STATISTICS, rows).digest == base.digest
    others = [
        predict_key(JOB, TRAINS_AGAIN["seed"], ViewSpec(), STATISTICS, rows),
        predict_key(JOB, KEY, ViewSpec(views="none"), STATISTICS, rows),
        predict_key(JOB, KEY, ViewSpec(), other_pixels(8), rows),
        predict_key(JOB, KEY, ViewSpec(), STATISTICS, rows[:2]),
    ]
    assert len({base.digest, *(key.digest for key in others)}) == 5


def test_weights_count_by_the_bytes_of_their_file(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    keys = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        keys.append(fit_key(of_member(weights=str(file)), STATISTICS, SPECIMENS, Runtime()).digest)
    assert keys[0] != keys[1]


def test_files_of_a_run_are_replaced_whole(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_json("a/b.json", {"x": "é"})
    assert json.loads((tmp_path / "a/b.json").read_text(encoding="utf-8")) == {"x": "é"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_json("a/b.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a/b.json").read_text(encoding="utf-8")) == {"x": "é"}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


@pytest.mark.parametrize("links", [True, False], ids=["by links", "by copies"])
def test_an_artefact_is_put_into_the_run_without_its_label(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "made").mkdir()
    for name in ("weights", "stage.json"):
        (tmp_path / "made" / name).write_text(name)
    folder = RunFolder(tmp_path / "run")
    for _ in range(2):
        folder.adopt("members/main/fold0", tmp_path / "made")
    assert [path.name for path in (tmp_path / "run/members/main/fold0").iterdir()] == ["weights"]
    assert (tmp_path / "run/members/main/fold0/weights").read_text() == "weights"


def test_what_is_forgotten_is_gone_and_may_be_missing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_text("members/a/file", "x")
    for name in ("members", "members", "file"):
        folder.forget(name)
    assert list(tmp_path.iterdir()) == []


def test_networks_stand_in_the_order_of_their_folds(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for fold in (10, 2, 0):
        folder.write_text(f"members/main/fold{fold}/card.json", "{}")
    assert [path.name for path in folder.checkpoints("main")] == ["fold0", "fold2", "fold10"]
    with pytest.raises(InputError, match="it has no members/other"):
        folder.checkpoints("other")


def test_jobs_are_worked_through_in_order() -> None:
    seen: list[int] = []
    assert LocalEngine().map(lambda job: seen.append(job) or job * 2, [3, 1, 2]) == [6, 2, 4]  # type: ignore[func-returns-value]
    assert seen == [3, 1, 2]


def test_the_store_lies_beside_the_recipe_unless_the_environment_says_otherwise(
    write_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(write_recipe(tmp_path, run={"threads": "auto", "batch": "auto", "workers": "auto"}))
    runtime = make_runtime(recipe, tmp_path)
    assert runtime.store == tmp_path / ".holotype"
    assert (runtime.batch, runtime.workers) == (32, 0)
    assert runtime.thread_count >= 1
    monkeypatch.setenv("HOLOTYPE_STORE", str(tmp_path / "big disk"))
    assert make_runtime(recipe, tmp_path).store == tmp_path / "big disk"
    assert make_runtime(recipe, tmp_path, store=tmp_path).store == tmp_path
