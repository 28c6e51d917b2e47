"""Two processes that train one network together: the same scores, every sample once, the same network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from holotype.feed import Specimens
from holotype.nets import load_network, load_tensors, open_checkpoint
from holotype.predict import Reading, infer_logits
from holotype.progress import Progress
from holotype.runtime import Runtime
from holotype.spec import ViewSpec
from holotype.train import FitJob, fit_member

PlanJob = Callable[..., FitJob]


def fitted(job: FitJob, specimens: Specimens, folder: Path, runtime: Runtime) -> Path:
    made = folder / "made"
    made.mkdir(parents=True, exist_ok=True)
    fit_member(job, specimens, made, folder / "workspace", runtime)
    return made


@pytest.mark.filterwarnings("ignore")
def test_two_processes_train_the_network_of_one(plan_job: PlanJob, specimens: Specimens, tmp_path: Path) -> None:
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
    network, reading = load_network(open_checkpoint(together)), Reading(32, "multiclass", ViewSpec(views="none"))
    logits = infer_logits(network, specimens, job.validation_rows, reading, torch.device("cpu"))
    truth = specimens.truth[job.validation_rows].argmax(axis=1)
    chances = np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    assert second["validation_loss"][-1] == pytest.approx(-chances[np.arange(len(truth)), truth].mean(), abs=1e-6)
