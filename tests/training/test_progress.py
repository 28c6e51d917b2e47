"""What a training decides on its way: rewinds, early ends, kept checkpoints, averages, rates; all of it resumed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import holotype.training.epoch as epoch_module
import holotype.training.training_state as training_module
from holotype.core.runtime import Runtime
from holotype.core.tensor_files import load_tensors
from holotype.loading import ImageDataset
from holotype.networks import load_networks, open_checkpoint
from holotype.recipe.sections import PredictSpec
from holotype.training import FitJob, fit_model
from holotype.training.checkpoint_selection import _rank_candidates

PlanJob = Callable[..., FitJob]


class KilledError(Exception):
    """Stands for the end of the process."""


def with_inner(job: FitJob) -> FitJob:
    """Three of the training rows choose."""
    return replace(job, train_rows=job.train_rows[:12], inner_rows=job.train_rows[12:])


def fitted(job: FitJob, specimens: ImageDataset, folder: Path, runtime: Runtime) -> Path:
    made = folder / "made"
    made.mkdir(parents=True, exist_ok=True)
    fit_model(job, specimens, made, folder / "workspace", runtime)
    return made


def weights(made: Path, number: int = 1) -> dict[str, torch.Tensor]:
    name = "weights.safetensors" if number == 1 else f"weights-{number}.safetensors"
    return load_tensors(made / name)[0]


def card(made: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((made / "card.json").read_text())
    return content


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def scores_are(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Let the examinations of the inner rows find these scores, one after another."""
    left, examine = list(scores), training_module.macro_f1

    def told(truth: np.ndarray, *others: Any) -> float:
        return left.pop(0) if len(truth) == 3 else float(examine(truth, *others))

    monkeypatch.setattr(training_module, "macro_f1", told)


def after_epochs(
    plan: PlanJob, specimens: ImageDataset, folder: Path, runtime: Runtime, count: int
) -> list[dict[str, Any]]:
    """The weights after each epoch of a plain training at one rate."""
    made = []
    for epochs in range(1, count + 1):
        job = with_inner(plan({"epochs": epochs, "schedule": "constant", "lr": 0.003}))
        made.append(weights(fitted(job, specimens, folder / str(epochs), runtime)))
    return made


def test_a_plateau_rewinds_to_the_best_weights_cuts_the_rate_and_stops(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = {"name": "plateau", "patience": 1, "factor": 0.1, "rewinds": 2}
    job = with_inner(plan_job({"epochs": 20, "schedule": schedule, "lr": 0.003}))
    scores_are(monkeypatch, [0.2, 0.5, 0.4, 0.3, 0.1])  # the second is the best; cut, cut, stop
    heard: list[str] = []
    made = fitted(job, specimens, tmp_path, replace(runtime, progress=runtime.progress.with_listener(heard.append)))
    story = pl.read_parquet(made / "history.parquet")
    assert story["inner_score"].to_list() == [0.2, 0.5, 0.4, 0.3, 0.1]
    assert story["lr"].to_list() == pytest.approx([3e-3, 3e-3, 3e-3, 3e-4, 3e-5])
    assert sum("the best weights are restored" in sentence for sentence in heard) == 2


def test_what_a_rewind_goes_back_to_is_the_best_epoch(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = after_epochs(plan_job, specimens, tmp_path / "known", runtime, 2)
    schedule = {"name": "plateau", "patience": 1, "factor": 1e-12, "rewinds": 1}
    optimizer = {"name": "sgd", "momentum": 0.0}
    del optimizer
    job = with_inner(plan_job({"epochs": 20, "schedule": schedule, "lr": 0.003}))
    scores_are(monkeypatch, [0.1, 0.6, 0.2, 0.2])
    made = weights(fitted(job, specimens, tmp_path, runtime))
    learnt = [
        name for name, value in made.items() if "running" not in name and "num_batches" not in name and value.ndim
    ]
    for name in learnt:  # at a rate of nothing the weights stay where the rewind has put them
        torch.testing.assert_close(made[name], known[1][name], rtol=1e-4, atol=1e-6)


def test_an_early_stop_ends_the_phase_and_begins_the_next(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = with_inner(plan_job({"epochs": 20, "early_stopping": 2}, {"epochs": 1}))
    scores_are(monkeypatch, [0.5, 0.6, 0.6, 0.1, 0.9])
    made = fitted(job, specimens, tmp_path, runtime)
    assert pl.read_parquet(made / "history.parquet")["phase"].to_list() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("keep", "epochs"),
    [({"best": 2}, [2, 4]), ({"best": 1, "metric": "metric"}, [4]), ({"last": 3}, [3, 4, 5]), ({"cycles": 2}, [2, 5])],
)
def test_the_kept_checkpoints_are_those_of_their_epochs(
    plan_job: PlanJob,
    specimens: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keep: dict[str, Any],
    epochs: list[int],
) -> None:
    cycles = {"name": "cosine-restarts", "cycles": 2}
    job = with_inner(plan_job({"epochs": 5, "schedule": cycles}, checkpoints=keep))
    scores_are(monkeypatch, [0.1, 0.7, 0.2, 0.8, 0.3])
    made = fitted(job, specimens, tmp_path, runtime)
    assert card(made)["epochs"] == epochs
    assert card(made)["networks"] == len(epochs) == len(load_networks(open_checkpoint(made)))


def test_weights_are_merged_into_their_mean(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path
) -> None:
    several = fitted(plan_job({"epochs": 3}, checkpoints={"last": 2}), specimens, tmp_path / "several", runtime)
    merged = fitted(
        plan_job({"epochs": 3}, checkpoints={"last": 2, "average": "weights"}), specimens, tmp_path / "one", runtime
    )
    first, second, mean = weights(several), weights(several, 2), weights(merged)
    assert card(merged)["networks"] == 1
    torch.testing.assert_close(mean["head.last.weight"], (first["head.last.weight"] + second["head.last.weight"]) / 2)


def test_a_greedy_soup_takes_only_what_helps(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = {"last": 3, "average": "greedy"}
    job = with_inner(plan_job({"epochs": 3}, checkpoints=keep))
    scores_are(monkeypatch, [0.1] * 3 + [0.3, 0.9, 0.5] + [0.2, 0.95])  # epochs; each alone; with 5, with 3
    made = fitted(job, specimens, tmp_path, runtime)
    assert card(made)["epochs"] == [2, 1]


def test_an_average_of_the_weights_is_examined_kept_and_resumed(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, averaged = plan_job({"epochs": 3}), plan_job({"epochs": 3, "ema": 0.9})
    whole = weights(fitted(averaged, specimens, tmp_path / "whole", runtime))
    assert not same(whole, weights(fitted(plain, specimens, tmp_path / "plain", runtime)))
    with monkeypatch.context() as patch:
        dies_at(patch, "save_state", 3)
        with pytest.raises(KilledError):
            fitted(averaged, specimens, tmp_path / "killed", runtime)
    assert same(whole, weights(fitted(averaged, specimens, tmp_path / "killed", runtime)))


def dies_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    work, calls = getattr(epoch_module, name), []

    def dying(*arguments: Any) -> Any:
        calls.append(None)
        done = work(*arguments)
        if len(calls) == call:
            raise KilledError
        return done

    monkeypatch.setattr(epoch_module, name, dying)


EVERYTHING = {
    "checkpoints": {"best": 2, "average": "predictions"},
    "phases": [
        {"epochs": 2, "freeze": "backbone", "augmentation_draws": 2, "lr": "find"},
        {
            "epochs": 3,
            "optimizer": {"name": "sgd", "carry_state": True},
            "lr": {0: 0.01, 2: 0.001},
            "schedule": "constant",
            "ema": 0.9,
            "accumulate": 2,
            "warmup_epochs": 0.5,
        },
        {
            "epochs": 4,
            "schedule": {"name": "plateau", "patience": 1},
            "layer_decay": 0.8,
            "optimizer": {"carry_state": True},
        },
    ],
    "sampler": "balanced",
}


@pytest.fixture(scope="module")
def everything(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FitJob, Path]:
    phases = EVERYTHING["phases"]
    job = with_inner(plan_job(*phases, **{name: part for name, part in EVERYTHING.items() if name != "phases"}))
    return job, fitted(job, specimens, tmp_path_factory.mktemp("everything"), runtime)


@pytest.mark.parametrize("kills", [[1], [2], [4, 1], [6], [3, 3, 3], [9], [11]], ids=str)
def test_a_training_with_everything_ends_in_the_same_bytes_however_often_it_is_killed(
    everything: tuple[FitJob, Path],
    specimens: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    kills: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, whole = everything
    runtime = replace(runtime, save_seconds=0.0)  # a state after every step
    for call in kills:
        with monkeypatch.context() as patch:
            dies_at(patch, "save_state", call)
            with pytest.raises(KilledError):
                fitted(job, specimens, tmp_path, runtime)
    made = fitted(job, specimens, tmp_path, runtime)
    names = sorted(path.name for path in whole.glob("*.safetensors"))
    assert names == sorted(path.name for path in made.glob("*.safetensors"))
    assert all((made / name).read_bytes() == (whole / name).read_bytes() for name in names)
    clock = ["images_per_second", "seconds"]
    story, known = (pl.read_parquet(place / "history.parquet").drop(clock) for place in (made, whole))
    assert story.equals(known)
    assert (made / "finder-0.parquet").read_bytes() == (whole / "finder-0.parquet").read_bytes()


def test_features_of_a_frozen_backbone_train_the_same_head(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan_job({"epochs": 4, "freeze": "backbone", "augmentation_draws": 2, "lr": 0.01}, head={"dropout": 0.0})
    quick = weights(fitted(job, specimens, tmp_path / "quick", runtime))
    monkeypatch.setattr(
        "holotype.training.phase_state.MAX_BYTES", 0
    )  # the features do not fit, and pixels are seen each time
    slow = weights(fitted(job, specimens, tmp_path / "slow", runtime))
    assert same(
        {name: value for name, value in quick.items() if name.startswith("backbone")},
        {name: value for name, value in slow.items() if name.startswith("backbone")},
    )
    torch.testing.assert_close(quick["head.last.weight"], slow["head.last.weight"], rtol=1e-3, atol=1e-5)


def test_features_are_computed_once(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, make = [], epoch_module.training_batch
    monkeypatch.setattr("holotype.training.phase_state.training_batch", lambda *parts: made.append(1) or make(*parts))
    fitted(plan_job({"epochs": 9, "freeze": "backbone", "augmentation_draws": 2}), specimens, tmp_path, runtime)
    assert len(made) == 2  # each draw fits in one batch


def test_a_rate_that_diverges_is_halved_and_the_run_goes_on(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan_job({"epochs": 3, "schedule": "constant", "lr": 0.004})
    step, calls = epoch_module.take_step, []

    def diverging(*parts: Any) -> torch.Tensor:
        calls.append(None)
        loss = step(*parts)
        return loss * float("nan") if len(calls) in (5, 8) else loss

    monkeypatch.setattr(epoch_module, "take_step", diverging)
    heard: list[str] = []
    made = fitted(job, specimens, tmp_path, replace(runtime, progress=runtime.progress.with_listener(heard.append)))
    story = pl.read_parquet(made / "history.parquet")
    assert story["lr"].to_list() == pytest.approx([0.004, 0.001, 0.001])
    assert sum("with half the rate" in sentence for sentence in heard) == 2
    assert story["epoch"].to_list() == [1, 2, 3]


def test_steps_whose_loss_is_no_number_can_be_left_out_and_are_counted(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan_job({"epochs": 2, "on_nonfinite": "skip"})
    make, calls = epoch_module.training_batch, []

    def spoilt(*parts: Any) -> Any:
        calls.append(None)
        pixels, targets = make(*parts)
        return (pixels * float("nan") if len(calls) == 2 else pixels), targets

    monkeypatch.setattr(epoch_module, "training_batch", spoilt)
    made = fitted(job, specimens, tmp_path, runtime)
    story = pl.read_parquet(made / "history.parquet")
    assert story["skipped"].to_list() == [1, 0]
    assert np.isfinite(story["train_loss"].to_numpy()).all()
    assert all(torch.isfinite(value).all() for name, value in weights(made).items() if "running" not in name)


def test_a_batch_that_does_not_fit_is_taken_in_parts(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan_job({"epochs": 2})
    step = epoch_module.take_step
    seen: list[list[int]] = []

    def crowded(training: Any, phase: Any, parts: Any, *others: Any) -> torch.Tensor:
        if any(len(targets) > 3 for _, targets in parts):
            raise torch.OutOfMemoryError("not enough memory")
        seen.append([len(targets) for _, targets in parts])
        done: torch.Tensor = step(training, phase, parts, *others)
        return done

    monkeypatch.setattr(epoch_module, "take_step", crowded)
    heard: list[str] = []
    fitted(job, specimens, tmp_path, replace(runtime, progress=runtime.progress.with_listener(heard.append)))
    assert seen == [[3, 2]] * 6
    assert sum("does not fit in memory" in sentence for sentence in heard) == 1


def test_networks_whose_predictions_are_averaged_are_asked_together(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path
) -> None:
    from holotype.prediction import InferenceOptions, infer, infer_logits

    made = fitted(plan_job({"epochs": 3}, checkpoints={"last": 2}), specimens, tmp_path, runtime)
    checkpoint, rows, views = open_checkpoint(made), np.arange(15, 20), PredictSpec(tta="none")
    cpu = torch.device("cpu")
    together = infer(checkpoint, specimens, rows, views, runtime, cpu)[0].logits
    each = [
        infer_logits(one, specimens, rows, InferenceOptions(32, "multiclass", views), cpu)
        for one in load_networks(checkpoint)
    ]
    np.testing.assert_allclose(together, np.mean(each, axis=0), atol=1e-6)


# ---- a metric that is not defined


def without_positives(job: FitJob, specimens: ImageDataset) -> tuple[FitJob, ImageDataset]:
    """Many labels; neither the fold nor the rows that choose have a positive of any class."""
    job = replace(with_inner(job), kind="multilabel")
    truth = specimens.truth[np.arange(20)].copy()
    truth[12:] = False
    return job, replace(specimens, truth=truth)


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"checkpoints": {"best": 2}},
        {"checkpoints": {"best": 2, "average": "greedy"}},
        {"phase": {"early_stopping": {"patience": 2}}},
        {"phase": {"schedule": {"name": "plateau", "patience": 1, "rewinds": 1}}},
    ],
    ids=["all epochs", "best", "soup", "early end", "plateau"],
)
def test_rows_without_a_positive_do_not_stop_a_healthy_training_and_the_loss_chooses(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path, choice: dict[str, Any]
) -> None:
    phase = {"epochs": 4, "lr": 0.003} | choice.get("phase", {})
    model = {"checkpoints": choice["checkpoints"]} if "checkpoints" in choice else {}
    job, unlabelled = without_positives(plan_job(phase, **model), specimens)
    heard: list[str] = []
    made = fitted(job, unlabelled, tmp_path, replace(runtime, progress=runtime.progress.with_listener(heard.append)))
    story = pl.read_parquet(made / "history.parquet")
    assert story["validation_score"].is_null().all()
    assert story["inner_score"].is_null().all()
    assert np.isfinite(story["validation_loss"].to_numpy()).all()
    assert not any("half the rate" in sentence for sentence in heard)
    assert sum("the loss is used instead" in sentence for sentence in heard) == 1
    losses = story["inner_loss"].to_list()
    if choice.get("checkpoints") == {"best": 2}:
        assert card(made)["epochs"] == sorted(1 + np.argsort(losses, kind="stable")[:2])
    if "early_stopping" in phase:
        best = np.minimum.accumulate(losses)
        assert len(losses) == 4 or all(loss >= best[-3] for loss in losses[-2:])


def test_a_score_that_is_not_defined_sorts_last() -> None:
    candidates = [
        {"epoch": 1, "score": math.nan, "loss": 0.1},
        {"epoch": 2, "score": 0.2, "loss": 0.9},
        {"epoch": 3, "score": math.nan, "loss": 0.05},
        {"epoch": 4, "score": 0.7, "loss": 0.8},
    ]
    assert [one["epoch"] for one in _rank_candidates(candidates, "metric")] == [4, 2, 3, 1]
    assert [one["epoch"] for one in _rank_candidates(candidates, "loss")] == [3, 1, 4, 2]
