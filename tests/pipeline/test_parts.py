"""The small parts of the road: the run's folder, the keys of its steps, the engine, the runtime."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from holotype.cache import RunLog, StepKey, StepResult, Steps, Store
from holotype.core.errors import InputError
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.core.runtime import Runtime
from holotype.data import PixelCache
from holotype.loading import ImageDataset
from holotype.pipeline.models import TrainingContext
from holotype.pipeline.models.networks import TrainedNetwork, fit_network, predict_part
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.runtime import make_runtime
from holotype.recipe.load import load_recipe
from holotype.recipe.sections import ModelSpec
from holotype.training import FitJob
from holotype.types import ImageStatistics, Normalization

SCALE = Normalization((0.0,), (1.0,))
STATISTICS = ImageStatistics(pl.DataFrame({"digest": [f"d{row}" for row in range(9)]}), SCALE)
SPECIMENS = ImageDataset(
    PixelCache(np.zeros((9, 1, 32, 32), np.uint8), "fit"), SCALE, np.eye(3, dtype=bool)[np.arange(9) % 3]
)
JOB = FitJob(
    ModelSpec.model_validate({"input": {"size": 32}}),
    0,
    1,
    np.arange(6),
    np.arange(6, 8),
    ("a", "b", "c"),
    "multiclass",
    None,
    SCALE,
)
KEY = fit_network.key(JOB, STATISTICS, SPECIMENS, Runtime())


def of_model(**changes: Any) -> FitJob:
    return replace(JOB, model=ModelSpec.model_validate({"input": {"size": 32}, **changes}))


def other_truth() -> ImageDataset:
    truth = SPECIMENS.truth[:]
    truth[5] = truth[4]
    return replace(SPECIMENS, truth=truth)


def other_pixels(row: int) -> ImageStatistics:
    digests = [f"d{number}" if number != row else "other" for number in range(9)]
    return replace(STATISTICS, frame=pl.DataFrame({"digest": digests}))


TRAINS_AGAIN: dict[str, StepKey] = {
    "seed": fit_network.key(replace(JOB, seed=2), STATISTICS, SPECIMENS, Runtime()),
    "fold": fit_network.key(replace(JOB, fold=1), STATISTICS, SPECIMENS, Runtime()),
    "rows": fit_network.key(replace(JOB, train_rows=np.arange(5)), STATISTICS, SPECIMENS, Runtime()),
    "a label": fit_network.key(JOB, STATISTICS, other_truth(), Runtime()),
    "a training image": fit_network.key(JOB, other_pixels(0), SPECIMENS, Runtime()),
    "an image of the fold": fit_network.key(JOB, other_pixels(7), SPECIMENS, Runtime()),
    "the form of the stored images": fit_network.key(
        JOB,
        STATISTICS,
        replace(SPECIMENS, pixel_cache=PixelCache(np.zeros((9, 1, 32, 40), np.uint8), "fit")),
        Runtime(),
    ),
    "normalization": fit_network.key(
        replace(JOB, normalization=Normalization((1.0,), (1.0,))), STATISTICS, SPECIMENS, Runtime()
    ),
    "class names": fit_network.key(replace(JOB, classes=("a", "b", "d")), STATISTICS, SPECIMENS, Runtime()),
    "batch": fit_network.key(JOB, STATISTICS, SPECIMENS, Runtime(batch=16)),
    "augmentation": fit_network.key(of_model(augment={"rotate": 0}), STATISTICS, SPECIMENS, Runtime()),
    "head": fit_network.key(of_model(head={"dropout": 0.3}), STATISTICS, SPECIMENS, Runtime()),
}
SERVED = Runtime(threads=7, workers=3, store=Path("x"))
TRAINS_NOT: dict[str, StepKey] = {
    "views": fit_network.key(of_model(predict={"tta": "none"}), STATISTICS, SPECIMENS, Runtime()),
    "threads, workers and store": fit_network.key(JOB, STATISTICS, SPECIMENS, SERVED),
    "an image that neither trains nor validates": fit_network.key(JOB, other_pixels(8), SPECIMENS, Runtime()),
}


@pytest.mark.parametrize("key", TRAINS_AGAIN.values(), ids=TRAINS_AGAIN)
def test_what_counts_in_training_is_in_its_key(key: StepKey) -> None:
    assert key.digest != KEY.digest


@pytest.mark.parametrize("key", TRAINS_NOT.values(), ids=TRAINS_NOT)
def test_what_does_not_count_in_training_is_not_in_its_key(key: StepKey) -> None:
    assert key.digest == KEY.digest


def predict_key(job: FitJob, fit: StepKey, statistics: ImageStatistics, rows: np.ndarray) -> StepKey:
    steps = Steps(Store(Path("store")), RunLog(Path("log.jsonl")), Progress(quiet=True))
    data = PreparedData(None, statistics, None, None, ())  # type: ignore[arg-type]
    trained = TrainedNetwork(job, StepResult(fit, steps.store), SPECIMENS)
    return predict_part.key(trained, rows, "oof", TrainingContext(data, 1, steps, Runtime()))


def test_predictions_hang_on_the_network_the_views_and_the_images() -> None:
    rows = np.array([6, 7, 8])
    base = predict_key(JOB, KEY, STATISTICS, rows)
    assert predict_key(JOB, KEY, STATISTICS, rows).digest == base.digest
    others = [
        predict_key(JOB, TRAINS_AGAIN["seed"], STATISTICS, rows),
        predict_key(of_model(predict={"tta": "none"}), KEY, STATISTICS, rows),
        predict_key(JOB, KEY, other_pixels(8), rows),
        predict_key(JOB, KEY, STATISTICS, rows[:2]),
    ]
    assert len({base.digest, *(key.digest for key in others)}) == 5


def test_weights_count_by_the_bytes_of_their_file(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    keys = []
    for content in (1.0, 2.0):
        save_file({"weight": np.full(2, content, np.float32)}, file)
        keys.append(fit_network.key(of_model(weights=str(file)), STATISTICS, SPECIMENS, Runtime()).digest)
    assert keys[0] != keys[1]


def test_files_of_a_run_are_replaced_whole(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_json("a/b.json", {"x": "é"})
    assert json.loads((tmp_path / "a/b.json").read_text(encoding="utf-8")) == {"x": "é"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_json("a/b.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a/b.json").read_text(encoding="utf-8")) == {"x": "é"}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


def test_an_artefact_is_copied_into_the_run_without_its_label_and_shares_no_file_with_it(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    for name in ("weights", "step.json"):
        (tmp_path / "made" / name).write_text(name)
    folder = RunFolder(tmp_path / "run")
    for _ in range(2):
        folder.copy_artifact("models/main/fold0", tmp_path / "made")
    assert [path.name for path in (tmp_path / "run/models/main/fold0").iterdir()] == ["weights"]
    copy = tmp_path / "run/models/main/fold0/weights"
    with copy.open("r+") as stream:
        stream.write("W")
    assert (copy.read_text(), (tmp_path / "made" / "weights").read_text()) == ("Weights", "weights")


def earlier_run(root: Path) -> RunFolder:
    folder = RunFolder(root)
    for name in ("recipe.yaml", "oof.parquet", "models/main/fold0/card.json", "audit/report.html", "log.jsonl"):
        folder.write_text(name, "old")
    return folder


def write_new(folder: RunFolder) -> None:
    with folder.replaced() as new:
        new.write_text("recipe.yaml", "new")
        new.write_text("oof.parquet", "new")


def contents(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_the_files_of_a_run_take_the_places_of_an_earlier_runs(tmp_path: Path) -> None:
    folder = earlier_run(tmp_path)
    with folder.replaced() as new:
        new.write_text("recipe.yaml", "new")
        new.write_text("models/other/fold0/card.json", "new")
        new.write_text("audit/warnings.json", "new")
    written = contents(tmp_path)
    assert sorted(json.loads(written.pop("digests.json"))) == ["audit/warnings.json", "models/other/fold0/card.json"]
    assert written == {
        "recipe.yaml": "new",
        "models/other/fold0/card.json": "new",
        "audit/warnings.json": "new",
        "audit/report.html": "old",
        "log.jsonl": "old",
    }


def test_a_run_that_fails_while_it_writes_leaves_the_earlier_one(tmp_path: Path) -> None:
    folder = earlier_run(tmp_path)
    before = contents(tmp_path)

    def fail() -> None:
        with folder.replaced() as new:
            new.write_text("recipe.yaml", "new")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert contents(tmp_path) == before


def test_a_run_that_ends_between_old_and_new_says_that_it_is_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = earlier_run(tmp_path)
    rename = Path.rename

    def killed(path: Path, target: Path) -> Path:
        if path.name == "oof.parquet":
            raise KeyboardInterrupt  # as a kill: nothing below may repair it
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        write_new(folder)
    monkeypatch.undo()
    for name in ("recipe.yaml", "log.jsonl", "scores.json"):
        with pytest.raises(InputError, match="is unfinished: it stopped while writing this folder; run its recipe"):
            folder.require(name)
    with folder.replaced() as new:
        new.write_text("recipe.yaml", "newer")
    assert folder.require("recipe.yaml").read_text() == "newer"
    assert not list(tmp_path.glob(".*"))


def test_a_file_of_a_run_that_is_not_what_was_written_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.replaced() as new:
        for name in ("recipe.yaml", "decision.json", "models/main/fold0/card.json", "predictions.csv"):
            new.write_text(name, "new")
    for name in ("recipe.yaml", "predictions.csv"):  # a person may edit them
        (tmp_path / name).write_text("own")
    folder.require_intact()
    (tmp_path / "decision.json").write_text("NEW")  # of the same size
    for name in ("", "decision.json"):
        with pytest.raises(InputError, match=r"decision\.json' is damaged, or was modified after the run"):
            folder.require_intact(name)
    assert folder.require("models/main/fold0/card.json").is_file()
    (tmp_path / "models/main/fold0/card.json").unlink()
    with pytest.raises(InputError, match=r"card\.json' is missing"):
        folder.checkpoints("main")
    write_new(folder)
    folder.require_intact()


def test_an_audit_of_other_data_does_not_replace_the_tables_of_a_finished_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.replaced() as new:
        new.write_text("audit/warnings.json", "old")
    for text in ("old", "new"):
        refused = pytest.raises(InputError, match="finished run on other data; give another")
        with nullcontext() if text == "old" else refused, folder.amended() as new:
            new.write_text("audit/warnings.json", text)
            new.write_text("audit/more.json", text)
    assert contents(tmp_path)["audit/more.json"] == contents(tmp_path)["audit/warnings.json"] == "old"


def test_networks_stand_in_the_order_of_their_folds(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for fold in (10, 2, 0):
        folder.write_text(f"models/main/fold{fold}/card.json", "{}")
    assert [path.name for path in folder.checkpoints("main")] == ["fold0", "fold2", "fold10"]
    with pytest.raises(InputError, match="it has no models/other"):
        folder.checkpoints("other")


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
