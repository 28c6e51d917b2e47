"""Learning-rate schedules, with momentum where it varies, as pure functions of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_type_hints

from holotype.core.registry import Registry
from holotype.recipe.sections.schedule import (
    ConstantSpec,
    CosineRestartsSpec,
    CosineSpec,
    LinearSpec,
    OneCycleSpec,
    PlateauSpec,
    ScheduleSpec,
    StepSpec,
)

SCHEDULES = Registry("schedule")
"""Schedules by name: functions of the recipe's section, the step (from 0), the steps of the phase, and of an epoch."""
WARMUP_SHARE = 0.25
START_DIVISOR = 25.0
END_DIVISOR = 1e4
CYCLED_MOMENTUM = (0.95, 0.85)


@dataclass(frozen=True)
class ScheduleValue:
    """Learning rate and momentum of one step.

    Args:
        rate: As a share of the largest.
        momentum: Momentum or Adam's first beta; None leaves it unchanged.
    """

    rate: float
    momentum: float | None = None


def schedule(spec: ScheduleSpec | str, step: int, steps: int, steps_per_epoch: int = 1) -> ScheduleValue:
    """Evaluate a schedule at a step.

    `spec`: the recipe's section, or the name of a schedule with its defaults. Raises RecipeError if no schedule has
    this name.
    """
    function = SCHEDULES[spec if isinstance(spec, str) else spec.name]
    section = get_type_hints(function)["spec"]() if isinstance(spec, str) else spec
    return function(section, step, steps, steps_per_epoch)  # type: ignore[no-any-return]


def with_warmup(value: ScheduleValue, step: int, warmup_steps: float) -> ScheduleValue:
    """Apply a linear warm-up from zero (Goyal et al. 2017, section 2.2, "gradual warmup") to a step, counted from 0."""
    share = min((step + 1) / warmup_steps, 1.0) if warmup_steps > 0 else 1.0
    return ScheduleValue(value.rate * share, value.momentum)


def lr_at_epoch(rates: dict[int, float], epoch: int) -> float:
    """Learning rate of an epoch (from 0) as a share of the largest; `rates` maps starting epochs to rates."""
    return rates[max(begin for begin in rates if begin <= epoch)] / max(rates.values())


@SCHEDULES.register
def constant(spec: ConstantSpec, step: int, steps: int, steps_per_epoch: int) -> ScheduleValue:
    """Constant learning rate."""
    return ScheduleValue(1.0)


@SCHEDULES.register
def plateau(spec: PlateauSpec, step: int, steps: int, steps_per_epoch: int) -> ScheduleValue:
    """Constant learning rate that is cut between epochs when the score stops improving."""
    return ScheduleValue(1.0)


@SCHEDULES.register
def linear(spec: LinearSpec, step: int, steps: int, steps_per_epoch: int) -> ScheduleValue:
    """Linear decay from the largest rate to zero."""
    return ScheduleValue(1.0 - step / max(steps, 1))


@SCHEDULES.register
def step(spec: StepSpec, step: int, steps: int, steps_per_epoch: int) -> ScheduleValue:
    """Step decay: cut by a factor every few epochs."""
    return ScheduleValue(spec.factor ** (step // steps_per_epoch // spec.every))


@SCHEDULES.register
def cosine(spec: CosineSpec, step: int, steps: int, steps_per_epoch: int) -> ScheduleValue:
    """Cosine decay from the largest rate to zero (Loshchilov & Hutter 2017, "SGDR", equation 5, one cycle)."""
    return ScheduleValue(0.5 * (1 + math.cos(math.pi * step / max(steps, 1))))


@SCHEDULES.register
def cosine_restarts(spec: CosineRestartsSpec, step: int, steps: int, steps_per_epoch: int) -> ScheduleValue:
    """Cosine decay with warm restarts (Loshchilov & Hutter 2017, "SGDR", section 3).

    Args:
        steps_per_epoch: Number of steps of an epoch; cycles end with one.
    """
    ends = [end * steps_per_epoch for end in cycle_ends(spec, max(round(steps / steps_per_epoch), 1))]
    begin = 0
    for end in ends:
        if step < end:
            return ScheduleValue(0.5 * (1 + math.cos(math.pi * (step - begin) / (end - begin))))
        begin = end
    return ScheduleValue(0.0)


def cycle_ends(spec: CosineRestartsSpec, epochs: int) -> list[int]:
    """Epochs at which the cycles of cosine restarts end, ascending; cycles shorter than an epoch are joined."""
    lengths = [spec.factor**cycle for cycle in range(spec.cycles)]
    ends = [round(epochs * sum(lengths[: cycle + 1]) / sum(lengths)) for cycle in range(spec.cycles)]
    return sorted({end for end in ends if end > 0})


@SCHEDULES.register
def one_cycle(spec: OneCycleSpec, step: int, steps: int, steps_per_epoch: int) -> ScheduleValue:
    """One-cycle policy: rate up from a 25th over a quarter of the steps, then down to nearly zero; momentum inversely.

    Smith & Topin 2018, "Super-convergence", in the form of fastai and PyTorch with cosine pieces.
    """
    peak = max(WARMUP_SHARE * steps - 1, 1e-9)
    high, low = CYCLED_MOMENTUM
    if step <= peak:
        progress = step / peak
        return ScheduleValue(_cosine(1 / START_DIVISOR, 1.0, progress), _cosine(high, low, progress))
    progress = (step - peak) / max(steps - 1 - peak, 1e-9)
    return ScheduleValue(_cosine(1.0, 1 / (START_DIVISOR * END_DIVISOR), progress), _cosine(low, high, progress))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(progress, 1.0)))
