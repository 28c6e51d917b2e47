"""What may fail after the training: it is told, and the run is there."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from holotype.api import run
from holotype.cache import RunLog
from holotype.core.errors import InputError, StoreError
from holotype.core.run_folder import UNFINISHED
from holotype.runs.fitted_run import open_run

WriteRecipe = Callable[..., Path]


@pytest.mark.parametrize(
    ("broken", "what", "written"),
    [
        ("holotype.pipeline.write_run.write_report", "the report", False),
        ("holotype.pipeline.write_run.class_curves", "the report", False),
        ("holotype.pipeline.write_run.pictures_of", "the pictures of the report", True),
        ("holotype.pipeline.run.describe_decision_effect", "a note on what the decision and the review changed", True),
    ],
)
def test_a_report_that_fails_costs_no_training_and_is_made_later(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, what: str, written: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Could not determine home directory.")

    recipe = finished.parents[1] / "recipe.yaml"
    with monkeypatch.context() as broken_machine:
        broken_machine.setattr(broken, fail)
        opened = run(recipe, tmp_path / "run")
    for name in ("recipe.yaml", "oof.parquet", "scores.json", "decision.json", "submission.csv"):
        assert (opened.folder.root / name).read_bytes() == (finished / name).read_bytes()
    assert (tmp_path / "run" / "report.html").is_file() is written
    told = [line["text"] for line in RunLog(tmp_path / "run" / "log.jsonl").read("message")]
    (sentence,) = [one for one in told if " failed: " in one]
    assert sentence.startswith(f"note: {what} failed: Could not determine home directory; the rest")
    assert f"holotype run {recipe}" in sentence or "holotype run" in sentence
    if not written:
        run(recipe, tmp_path / "run")
        assert (tmp_path / "run" / "report.html").is_file()


def test_a_full_disk_under_the_runs_folder_is_one_sentence_and_leaves_the_earlier_run(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = finished.parents[1] / "recipe.yaml"
    run(recipe, tmp_path / "run")
    before = (tmp_path / "run" / "recipe.yaml").read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("holotype.pipeline.write_run.write_predictions", fail)
    with pytest.raises(StoreError, match=r"the run's folder .* cannot be written: No space left on device; fix that"):
        run(recipe, tmp_path / "run", ("name=other",))
    assert (tmp_path / "run" / "recipe.yaml").read_bytes() == before
    assert open_run(tmp_path / "run").recipe.name == "cells"


def test_an_unfinished_folder_is_refused_in_one_sentence(finished: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / UNFINISHED).touch()
    with pytest.raises(InputError, match="is unfinished"):
        open_run(tmp_path / "run")
