"""Two processes that train one network together: the same scores, every sample once, the same network."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from lightning_fabric.strategies.ddp import DDPStrategy

from holotype.core.errors import TrainingError
from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.core.tensor_files import load_tensors
from holotype.loading import ImageDataset
from holotype.networks import load_network, open_checkpoint
from holotype.prediction import InferenceOptions, infer_logits
from holotype.recipe.sections import PredictSpec
from holotype.training import FitJob, TrainingPaused, device, fit_model, launch_fabric

PlanJob = Callable[..., FitJob]


def fitted(job: FitJob, specimens: ImageDataset, folder: Path, runtime: Runtime) -> Path:
    made = folder / "made"
    made.mkdir(parents=True, exist_ok=True)
    fit_model(job, specimens, made, folder / "workspace", runtime)
    return made


@pytest.fixture
def copied(fork_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes begin as copies of one that has the libraries loaded; the first test begins them as users do."""
    monkeypatch.setattr(device, "DDPStrategy", lambda **named: DDPStrategy(**named | {"start_method": "forkserver"}))


@pytest.mark.filterwarnings("ignore")
def test_two_processes_train_the_network_of_one(plan_job: PlanJob, specimens: ImageDataset, tmp_path: Path) -> None:
    runtime = Runtime(device="cpu", threads=1, batch=6, store=tmp_path, progress=Progress(quiet=True))
    job = plan_job({"epochs": 2, "lr": 0.003, "accumulate": 2}, backbone="test_vit", head={"dropout": 0.0})
    job = replace(job, train_rows=job.train_rows[:12], inner_rows=job.train_rows[12:])
    alone = fitted(job, specimens, tmp_path / "alone", runtime)
    together = fitted(job, specimens, tmp_path / "together", replace(runtime, processes=2))
    one, two = (load_tensors(place / "weights.safetensors")[0] for place in (alone, together))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=2e-5)
    first, second = (pl.read_parquet(place / "history.parquet") for place in (alone, together))
    columns = ["validation_loss", "validation_score", "inner_loss", "train_loss"]
    np.testing.assert_allclose(first.select(columns).to_numpy(), second.select(columns).to_numpy(), atol=1e-4)
    network, reading = (
        load_network(open_checkpoint(together)),
        InferenceOptions(32, "multiclass", PredictSpec(tta="none")),
    )
    logits = infer_logits(network, specimens, job.validation_rows, reading, torch.device("cpu"))
    truth = specimens.truth[job.validation_rows].argmax(axis=1)
    chances = np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    assert second["validation_loss"][-1] == pytest.approx(-chances[np.arange(len(truth)), truth].mean(), abs=1e-6)


@pytest.mark.usefixtures("copied")
@pytest.mark.filterwarnings("ignore")
def test_with_batch_normalization_both_processes_have_the_network_that_is_scored_and_kept(
    plan_job: PlanJob, specimens: ImageDataset, tmp_path: Path
) -> None:
    runtime = Runtime(device="cpu", threads=1, batch=6, store=tmp_path, progress=Progress(quiet=True), processes=2)
    for name, phase in {"plain": {}, "averaged": {"ema": 0.5}}.items():
        job = plan_job({"epochs": 2, "lr": 0.01, **phase})
        made = fitted(replace(job, train_rows=job.train_rows[:12]), specimens, tmp_path / name, runtime)
        story = pl.read_parquet(made / "history.parquet")
        network, reading = (
            load_network(open_checkpoint(made)),
            InferenceOptions(32, "multiclass", PredictSpec(tta="none")),
        )
        logits = infer_logits(network, specimens, job.validation_rows, reading, torch.device("cpu"))
        truth = specimens.truth[job.validation_rows].argmax(axis=1)
        expected = torch.nn.functional.cross_entropy(torch.from_numpy(np.asarray(logits)), torch.from_numpy(truth))
        assert story["validation_loss"][-1] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.usefixtures("copied")
@pytest.mark.filterwarnings("ignore")
def test_what_one_process_meets_both_answer_in_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)  # where the processes find it too
    meeting = importlib.import_module("two_processes").Meeting(tmp_path)
    launch_fabric(Runtime(device="cpu", threads=2, processes=2)).launch(meeting)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["alike"] == second["alike"]
    assert first["memory"][0] == "out of memory: another process is out of memory"
    assert "can't allocate memory" in second["memory"][0]
    assert first["memory"][1:] == second["memory"][1:]
    assert first["lost"] == second["lost"]
    assert first["lost"][:2] == ["not a number", True]
    assert first["without rows"] == second["without rows"]


@pytest.mark.usefixtures("copied")
@pytest.mark.filterwarnings("ignore")
def test_what_the_processes_refuse_comes_back_as_the_error_it_is(
    plan_job: PlanJob, specimens: ImageDataset, tmp_path: Path
) -> None:
    runtime = Runtime(device="cpu", threads=1, batch=6, store=tmp_path, progress=Progress(quiet=True), processes=2)
    wild = {"epochs": 1, "optimizer": {"name": "sgd"}, "lr": 1e25, "clip": None, "schedule": "constant"}
    with pytest.raises(TrainingError, match=r"(is|are) NaN or infinite in epoch 1 of phases.0.*lower `lr`") as word:
        fitted(plan_job(wild | {"on_nonfinite": "stop"}), specimens, tmp_path / "wild", runtime)
    assert "\n" not in str(word.value)
    with pytest.raises(TrainingPaused, match="stopped after epoch 1, as requested") as halted:
        fitted(plan_job({"epochs": 2}), specimens, tmp_path / "halted", replace(runtime, halt_after=1))
    assert len(halted.value.history) == 1
