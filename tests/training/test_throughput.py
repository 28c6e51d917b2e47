"""The probe of a budget: the very loops of a run, on a few rows, with nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from holotype.core.runtime import Runtime
from holotype.data import PixelCache
from holotype.loading import ImageDataset
from holotype.training import FitJob, fit_model, measure_throughput

PlanJob = Callable[..., FitJob]


def test_every_part_takes_time_and_the_weights_are_named(
    specimens: ImageDataset, plan_job: PlanJob, runtime: Runtime, tmp_path: Path
) -> None:
    pace = measure_throughput(plan_job(), specimens, tmp_path, runtime, 0.1)
    assert min(pace.training, pace.inference, pace.building, pace.saving) > 0
    assert pace.training > pace.inference  # a step goes back through the network as well
    assert pace.weights_description.startswith("random")


def test_pixels_that_are_not_there_do_as_well(
    specimens: ImageDataset, plan_job: PlanJob, runtime: Runtime, tmp_path: Path
) -> None:
    shape = specimens.pixel_cache.pixels.shape
    nothing = replace(
        specimens, pixel_cache=PixelCache(np.broadcast_to(np.zeros((1, *shape[1:]), np.uint8), shape), "fit")
    )
    assert measure_throughput(plan_job(), nothing, tmp_path, runtime, 0.1).training > 0


@pytest.mark.parametrize("sampler", ["sqrt", {"cap": 1}])
def test_fewer_rows_than_a_batch_are_enough(
    specimens: ImageDataset, plan_job: PlanJob, runtime: Runtime, tmp_path: Path, sampler: object
) -> None:
    job = replace(plan_job(sampler=sampler), train_rows=np.arange(3))
    assert measure_throughput(job, specimens, tmp_path, runtime, 0.1).training > 0


def test_a_training_after_a_probe_is_the_same_as_without(
    specimens: ImageDataset, plan_job: PlanJob, runtime: Runtime, tmp_path: Path
) -> None:
    kept = []
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        fit_model(plan_job(), specimens, tmp_path / name, tmp_path / f"{name}-work", runtime)
        kept.append((tmp_path / name / "weights.safetensors").read_bytes())
        (tmp_path / f"{name}-probe").mkdir()
        measure_throughput(plan_job(), specimens, tmp_path / f"{name}-probe", runtime, 0.1)
    assert kept[0] == kept[1]
