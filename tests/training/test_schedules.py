"""Schedules against PyTorch's own, step for step."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from holotype.core.errors import RecipeError
from holotype.training import SCHEDULES, schedule

RATE = 0.03


def told_by_torch(optimiser: torch.optim.Optimizer, scheduler: LRScheduler, steps: int) -> list[tuple[float, float]]:
    """The share of the largest rate and the momentum (or first beta) at each step."""
    told = []
    for step in range(steps):
        group = optimiser.param_groups[0]
        momentum = group["betas"][0] if "betas" in group else group["momentum"]
        told.append((group["lr"] / RATE, momentum))
        optimiser.step()
        if step < steps - 1:
            scheduler.step()
    return told


@pytest.mark.parametrize("steps", [5, 8, 11, 40, 137])
@pytest.mark.parametrize("family", ["sgd", "adam"])
def test_one_cycle_is_the_one_of_torch(steps: int, family: str) -> None:
    parameters = [torch.zeros(1, requires_grad=True)]
    optimiser: torch.optim.Optimizer = (
        torch.optim.SGD(parameters, RATE, momentum=0.9) if family == "sgd" else torch.optim.Adam(parameters, RATE)
    )
    theirs = OneCycleLR(
        optimiser,
        RATE,
        total_steps=steps,
        pct_start=0.25,
        div_factor=25,
        final_div_factor=1e4,
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
    )
    ours = [schedule("one-cycle", step, steps) for step in range(steps)]
    for moment, (rate, momentum) in zip(ours, told_by_torch(optimiser, theirs, steps), strict=True):
        assert moment.rate == pytest.approx(rate, rel=1e-9, abs=1e-12)
        assert moment.momentum == pytest.approx(momentum, rel=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 30])
def test_cosine_is_the_one_of_torch(steps: int) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], RATE, momentum=0.9)
    theirs = told_by_torch(optimiser, CosineAnnealingLR(optimiser, T_max=steps), steps)
    ours = [schedule("cosine", step, steps) for step in range(steps)]
    assert [moment.rate for moment in ours] == pytest.approx([rate for rate, _ in theirs], abs=1e-12)
    assert {moment.momentum for moment in ours} == {None}


def test_a_constant_rate_stays_and_leaves_the_momentum() -> None:
    assert {schedule("constant", step, 9) for step in range(9)} == {schedule("constant", 0, 1)}
    assert schedule("constant", 3, 9).rate == 1.0
    assert schedule("constant", 3, 9).momentum is None


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 100])
def test_every_schedule_stays_between_zero_and_the_largest_rate(name: str, steps: int) -> None:
    rates = [schedule(name, step, steps).rate for step in range(steps)]
    assert all(math.isfinite(rate) and 0 <= rate <= 1 for rate in rates)
    assert max(rates) > 0


def test_an_unknown_schedule_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match=r"no schedule is named 'one-cicle'.*did you mean 'one_cycle'"):
        schedule("one-cicle", 0, 1)
