"""Trainings whose length is decided while they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import holotype.training.epoch as epoch_module
from holotype.core.runtime import Runtime
from holotype.loading import ImageDataset
from holotype.training import FitJob, fit_model
from holotype.training.pace import Pace

PlanJob = Callable[..., FitJob]
PACED: dict[str, Any] = {"epochs": 3, "lr": 0.003, "budget_plan": "a plan"}  # of three steps each


class KilledError(Exception):
    """Stands for the end of the process."""


@dataclass
class ScriptedPacer:
    """Decides by a table: steps taken to total steps."""

    targets: dict[int, int]
    questions: list[int] = field(default_factory=list)

    def decide(self, network: str, taken: int, target: int) -> int:
        self.questions.append(taken)
        return self.targets.get(taken, target)


def train(job: FitJob, dataset: ImageDataset, folder: Path, runtime: Runtime) -> tuple[bytes, pl.DataFrame]:
    """Bytes of the weights, and the history."""
    checkpoint = folder / "checkpoint"
    checkpoint.mkdir(parents=True, exist_ok=True)
    fit_model(job, dataset, checkpoint, folder / "workspace", runtime)
    history = pl.read_parquet(checkpoint / "history.parquet").drop("images_per_second", "seconds")
    return (checkpoint / "weights.safetensors").read_bytes(), history


def test_a_length_that_never_changes_gives_the_same_training(
    plan_job: PlanJob, specimens: ImageDataset, runtime: Runtime, tmp_path: Path
) -> None:
    fixed, history = train(plan_job({**PACED, "budget_plan": None}), specimens, tmp_path / "fixed", runtime)
    pacer = ScriptedPacer({})
    paced, paced_history = train(plan_job(PACED), specimens, tmp_path / "paced", replace(runtime, pacer=pacer))
    assert paced == fixed
    assert paced_history.drop("steps", "schedule_position").equals(history)
    assert pacer.questions == list(range(9))
    without_pacer, _ = train(plan_job(PACED), specimens, tmp_path / "without", runtime)
    assert without_pacer == fixed


@pytest.mark.parametrize(("targets", "steps"), [({4: 5}, [3, 2]), ({7: 13}, [3, 3, 3, 3, 1]), ({0: 6}, [3, 3])])
def test_a_changed_length_ends_within_an_epoch_and_at_the_end_of_the_schedule(
    plan_job: PlanJob,
    specimens: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    targets: dict[int, int],
    steps: list[int],
) -> None:
    _, history = train(plan_job(PACED), specimens, tmp_path, replace(runtime, pacer=ScriptedPacer(targets)))
    assert history["steps"].to_list() == steps
    assert history["schedule_position"][-1] == 1.0
    positions = history["schedule_position"].to_list()
    assert positions == sorted(positions)
    largest = max(rate for rates in history["rates"].to_list() for rate in rates)
    assert history["rates"][-1][-1] <= largest / 2  # the rate has fallen


@pytest.mark.parametrize("step", [2, 5, 8, 11])
def test_killed_and_resumed_it_ends_in_the_same_bytes(
    plan_job: PlanJob,
    specimens: ImageDataset,
    runtime: Runtime,
    tmp_path: Path,
    step: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, paced = plan_job(PACED), replace(runtime, pacer=ScriptedPacer({2: 5, 4: 11}))
    weights, history = train(job, specimens, tmp_path / "whole", paced)
    with monkeypatch.context() as patch:
        work = getattr(epoch_module, "take_step")  # noqa: B009  (imported there, not exported)
        calls: list[None] = []

        def die(*arguments: Any) -> Any:
            calls.append(None)
            if len(calls) == step:
                raise KilledError
            return work(*arguments)

        patch.setattr(epoch_module, "take_step", die)
        with pytest.raises(KilledError):
            train(job, specimens, tmp_path / "killed", replace(paced, save_seconds=0.0))
    resumed, resumed_history = train(job, specimens, tmp_path / "killed", paced)
    assert resumed == weights
    assert resumed_history.equals(history)


@given(planned=st.integers(1, 500), changes=st.dictionaries(st.integers(0, 600), st.integers(1, 900), max_size=20))
def test_property_the_position_rises_to_the_end_of_the_schedule(planned: int, changes: dict[int, int]) -> None:
    pace = Pace(planned, planned)
    while not pace.is_finished:
        pace.target = max(changes.get(pace.taken, pace.target), pace.taken + 1)
        before = pace.position
        assert 0 <= pace.schedule_step() < planned
        pace.advance()
        assert before < pace.position <= 1 + 1e-9
    assert pace.position == pytest.approx(1.0)


@given(planned=st.integers(1, 2000))
def test_property_an_unchanged_length_visits_each_step_once(planned: int) -> None:
    pace, visited = Pace(planned, planned), []
    while not pace.is_finished:
        visited.append(pace.schedule_step())
        pace.advance()
    assert visited == list(range(planned))
