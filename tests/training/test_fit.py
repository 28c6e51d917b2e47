"""Training from the first row to the checkpoint, killed and resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import holotype.training.epoch as epoch_module
from holotype.core.errors import TrainingError
from holotype.core.runtime import Runtime
from holotype.core.seeds import derive_seed
from holotype.core.tensor_files import load_tensors
from holotype.loading import ImageDataset
from holotype.networks import build_network, load_network, open_checkpoint
from holotype.prediction import InferenceOptions, infer_logits
from holotype.recipe.sections import PredictSpec
from holotype.training import FitJob, TrainingPaused, fit_model

PlanJob = Callable[..., FitJob]
HEAD_FIRST: dict[str, Any] = {"epochs": 1, "freeze": "backbone", "optimizer": {"name": "sgd"}, "lr": 0.05}
THEN_ALL: dict[str, Any] = {"epochs": 2, "optimizer": {"name": "adamw", "amsgrad": True}, "lr": 0.003, "accumulate": 2}
WRITES = 1 + 1 + 1 + 2 + 1  # at the beginning, after each epoch, and at the end of each phase
STEPS = 3 + 2 * 2  # fifteen rows are three batches of five; the second phase joins two of them in a step


class KilledError(Exception):
    """Stands for the end of the process."""


def fitted(job: FitJob, specimens: ImageDataset, folder: Path, runtime: Runtime) -> bytes:
    """The bytes of the weights of a whole training, or of the rest of one."""
    made = folder / "made"
    made.mkdir(parents=True, exist_ok=True)
    fit_model(job, specimens, made, folder / "workspace", runtime)
    return (made / "weights.safetensors").read_bytes()


def story_of(folder: Path) -> pl.DataFrame:
    """The history of a training, but for what the clock said."""
    return pl.read_parquet(folder / "made" / "history.parquet").drop("images_per_second", "seconds")


def dies_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int, after: bool) -> None:
    """Let a function of the training loop end the process at a call, before or after it has done its work."""
    work, calls = getattr(epoch_module, name), []

    def dying(*arguments: Any) -> Any:
        calls.append(None)
        done = work(*arguments) if after or len(calls) < call else None
        if len(calls) == call:
            raise KilledError
        return done

    monkeypatch.setattr(epoch_module, name, dying)


@pytest.fixture(scope="module")
def left_alone(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FitJob, Path, bytes]:
    """A job of two phases, trained without interruption."""
    job, folder = plan_job(HEAD_FIRST, THEN_ALL), tmp_path_factory.mktemp("alone")
    return job, folder, fitted(job, specimens, folder, runtime)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("write", range(1, WRITES + 1))
def test_killed_after_a_state_was_written_and_resumed_it_ends_in_the_same_bytes(
    left_alone: tuple[FitJob, Path, bytes],
    specimens: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    write: int,
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, folder, whole = left_alone
    with monkeypatch.context() as patch:
        dies_at(patch, "save_state", write, after=True)
        with pytest.raises(KilledError):
            fitted(job, specimens, tmp_path, replace(runtime, workers=workers))
    assert fitted(job, specimens, tmp_path, replace(runtime, workers=workers)) == whole
    assert story_of(tmp_path).equals(story_of(folder))


@pytest.mark.parametrize("step", [1, 4, STEPS])
def test_killed_within_an_epoch_it_does_that_epoch_again(
    left_alone: tuple[FitJob, Path, bytes],
    specimens: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    step: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, _, whole = left_alone
    with monkeypatch.context() as patch:
        dies_at(patch, "take_step", step, after=False)
        with pytest.raises(KilledError):
            fitted(job, specimens, tmp_path, runtime)
    assert fitted(job, specimens, tmp_path, runtime) == whole


def test_killed_at_every_epoch_and_with_a_torn_state_it_ends_in_the_same_bytes(
    left_alone: tuple[FitJob, Path, bytes],
    specimens: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, folder, whole = left_alone
    for _ in range(WRITES - 1):
        with monkeypatch.context() as patch:
            dies_at(patch, "save_state", 1, after=True)
            with pytest.raises(KilledError):
                fitted(job, specimens, tmp_path, runtime)
    newest = max((tmp_path / "workspace").glob("state-*"))
    newest.write_bytes(newest.read_bytes()[:1000])
    assert fitted(job, specimens, tmp_path, runtime) == whole
    assert story_of(tmp_path).equals(story_of(folder))


def test_what_was_resumed_is_said(
    left_alone: tuple[FitJob, Path, bytes],
    specimens: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, _, _ = left_alone
    with monkeypatch.context() as patch:
        dies_at(patch, "save_state", 4, after=True)
        with pytest.raises(KilledError):
            fitted(job, specimens, tmp_path, runtime)
    heard: list[str] = []
    fitted(job, specimens, tmp_path, replace(runtime, progress=runtime.progress.with_listener(heard.append)))
    assert "main, fold 2: resumes after epoch 2 of 3" in heard


def test_workers_change_nothing(
    left_alone: tuple[FitJob, Path, bytes], specimens: ImageDataset, runtime: Runtime, tmp_path: Path
) -> None:
    job, _, whole = left_alone
    assert fitted(job, specimens, tmp_path, replace(runtime, workers=2)) == whole


def test_another_seed_or_fold_is_another_network(
    left_alone: tuple[FitJob, Path, bytes], specimens: ImageDataset, runtime: Runtime, tmp_path: Path
) -> None:
    job, _, whole = left_alone
    assert fitted(replace(job, seed=8), specimens, tmp_path / "seed", runtime) != whole
    assert fitted(replace(job, fold=1), specimens, tmp_path / "fold", runtime) != whole


def test_a_phase_that_freezes_the_backbone_leaves_all_of_it_as_it_was(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path
) -> None:
    job = plan_job(HEAD_FIRST | {"epochs": 2})
    fitted(job, specimens, tmp_path, runtime)
    torch.manual_seed(99)
    first, _ = build_network(job.model, 4, 2, derive_seed(job.seed, "main", job.fold, "weights"))
    trained, _ = load_tensors(tmp_path / "made" / "weights.safetensors")
    moved = {name for name, value in first.state_dict().items() if not torch.equal(value, trained[name])}
    assert moved == {"head.last.weight", "head.last.bias"}


def test_the_last_layer_begins_with_the_frequencies_of_the_training_rows(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path
) -> None:
    job = plan_job({"epochs": 1, "lr": 1e-12, "optimizer": {"name": "sgd"}})
    fitted(job, specimens, tmp_path, runtime)
    trained, _ = load_tensors(tmp_path / "made" / "weights.safetensors")
    counts = specimens.truth[job.train_rows].sum(axis=0)
    assert trained["head.last.bias"].tolist() == pytest.approx(np.log((counts + 1) / 17).tolist(), abs=1e-6)


def test_rows_are_shuffled_and_augmented_anew_in_each_epoch(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], int]] = []
    make = epoch_module.training_batch

    def watched(held: ImageDataset, rows: np.ndarray, key: int, *others: Any) -> Any:
        seen.append((rows[:, 0].tolist(), key))
        return make(held, rows, key, *others)

    monkeypatch.setattr(epoch_module, "training_batch", watched)
    fitted(plan_job({"epochs": 2}), specimens, tmp_path, runtime)
    first, second = ([row for rows, _ in part for row in rows] for part in (seen[:3], seen[3:]))
    assert sorted(first) == sorted(second) == list(range(15))
    assert first != second
    assert len({key for _, key in seen}) == 2


def test_the_checkpoint_says_what_was_validated(
    left_alone: tuple[FitJob, Path, bytes], specimens: ImageDataset
) -> None:
    job, folder, _ = left_alone
    checkpoint = open_checkpoint(folder / "made")
    story = pl.read_parquet(folder / "made" / "history.parquet")
    assert story["epoch"].to_list() == [1, 2, 3]
    assert story["phase"].to_list() == [0, 1, 1]
    assert {"lr", "train_loss", "validation_loss", "validation_score", "images_per_second"} <= set(story.columns)
    reading = InferenceOptions(32, "multiclass", PredictSpec(tta="none"))
    logits = infer_logits(load_network(checkpoint), specimens, job.validation_rows, reading, torch.device("cpu"))
    truth = specimens.truth[job.validation_rows].argmax(axis=1)
    chances = np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    assert story["validation_loss"][-1] == pytest.approx(-chances[np.arange(len(truth)), truth].mean(), rel=1e-4)


def test_the_card_tells_how_to_use_the_network(left_alone: tuple[FitJob, Path, bytes]) -> None:
    _, folder, _ = left_alone
    card = json.loads((folder / "made" / "card.json").read_text())
    assert (card["fold"], card["seed"], card["classes"], card["kind"]) == (2, 7, list("abcd"), "multiclass")
    assert (card["channels"], card["size"], card["canvas"]) == (2, 32, [32, 32])
    assert card["normalization"] == {"mean": [128.0, 120.0], "deviation": [60.0, 55.0]}
    assert card["rows"] == {"train": 15, "inner": 0, "validation": 5}
    assert card["epochs"] == [3]
    assert card["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_it_learns(plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path) -> None:
    calm = {"augment": {"flip": False, "rotate": 0, "scale": [1.0, 1.0]}}
    fitted(plan_job({"epochs": 12, "lr": 0.01}, **calm), specimens, tmp_path, runtime)
    story = pl.read_parquet(tmp_path / "made" / "history.parquet")
    assert story["train_loss"][-1] < 0.5 * story["train_loss"][0]


@pytest.mark.parametrize(
    ("phase", "where"),
    [
        ({"epochs": 3}, r"the loss is NaN or infinite in epoch \d of phases.1"),
        ({"epochs": 1, "accumulate": 9}, r"the network's scores are NaN or infinite in epoch 1 of phases.1"),
    ],
    ids=["in the loss", "in the last weights"],
)
def test_a_loss_that_is_no_number_stops_and_names_the_place(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, phase: dict[str, Any], where: str
) -> None:
    wild = {"optimizer": {"name": "sgd"}, "lr": 1e25, "clip": None, "schedule": "constant", "on_nonfinite": "stop"}
    with pytest.raises(TrainingError, match=rf"main, fold 2: {where}; images of the step: \d+") as caught:
        fitted(plan_job(HEAD_FIRST, wild | phase), specimens, tmp_path, runtime)
    assert "1e+25" in str(caught.value)
    assert not (tmp_path / "made" / "weights.safetensors").exists()


def test_without_rows_there_is_no_training(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path
) -> None:
    job = replace(plan_job(), train_rows=np.empty(0, np.int64))
    with pytest.raises(TrainingError, match="no rows are left to train on"):
        fitted(job, specimens, tmp_path, runtime)


@pytest.mark.parametrize("rows", [2, 4])
def test_fewer_rows_than_a_batch_train_as_one_batch(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, rows: int
) -> None:
    job = replace(plan_job({"epochs": 1, "lr": 0.001}), train_rows=np.arange(rows))
    assert fitted(job, specimens, tmp_path, runtime)


def test_a_training_that_was_halted_goes_on_and_ends_in_the_same_bytes(
    specimens: ImageDataset, plan_job: PlanJob, runtime: Runtime, tmp_path: Path
) -> None:
    job = plan_job({"epochs": 2}, {"epochs": 2})
    (tmp_path / "whole").mkdir()
    fit_model(job, specimens, tmp_path / "whole", tmp_path / "whole-work", runtime)
    (tmp_path / "parts").mkdir()
    for halt in (1, 2, 2, 3):
        with pytest.raises(TrainingPaused, match=f"stopped after epoch {halt}, as requested") as halted:
            fit_model(job, specimens, tmp_path / "parts", tmp_path / "work", replace(runtime, halt_after=halt))
        assert len(halted.value.history) == halt
        assert not list((tmp_path / "parts").iterdir())
    fit_model(job, specimens, tmp_path / "parts", tmp_path / "work", replace(runtime, halt_after=4))
    name = "weights.safetensors"
    assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
