"""Schedules: the learning rate, and where it moves the momentum, as pure functions of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from holotype.registry import Registry

__all__ = ["SCHEDULES", "Moment", "schedule"]

SCHEDULES = Registry("schedule")
WARM_UP_SHARE = 0.25
START_DIVISOR = 25.0
END_DIVISOR = 1e4
CYCLED_MOMENTUM = (0.95, 0.85)


@dataclass(frozen=True)
class Moment:
    """What the optimiser is told at one step.

    Args:
        rate: The learning rate as a share of the largest.
        momentum: Momentum or Adam's first beta, or none to leave it as it is.
    """

    rate: float
    momentum: float | None = None


def schedule(name: str, step: int, steps: int) -> Moment:
    """The moment of a step under a schedule.

    Args:
        name: A registered schedule.
        step: From 0 to steps - 1.
        steps: How many steps the phase has.

    Raises:
        RecipeError: There is no schedule of that name.
    """
    return SCHEDULES[name](step, steps)  # type: ignore[no-any-return]


@SCHEDULES.register
def constant(step: int, steps: int) -> Moment:
    """The same rate throughout.

    Args:
        step: From 0.
        steps: How many there are.
    """
    return Moment(1.0)


@SCHEDULES.register
def cosine(step: int, steps: int) -> Moment:
    """From the largest rate to zero along half a cosine (Loshchilov & Hutter 2017, "SGDR", equation 5, one cycle).

    Args:
        step: From 0.
        steps: How many there are.
    """
    return Moment(0.5 * (1 + math.cos(math.pi * step / max(steps, 1))))


@SCHEDULES.register
def one_cycle(step: int, steps: int) -> Moment:
    """Up from a 25th over a quarter of the steps, then down to nearly nothing, momentum the other way round.

    Smith & Topin 2018, "Super-convergence", in the form of fastai and PyTorch with cosine pieces.

    Args:
        step: From 0.
        steps: How many there are.
    """
    summit = max(WARM_UP_SHARE * steps - 1, 1e-9)
    high, low = CYCLED_MOMENTUM
    if step <= summit:
        progress = step / summit
        return Moment(_cosine(1 / START_DIVISOR, 1.0, progress), _cosine(high, low, progress))
    progress = (step - summit) / max(steps - 1 - summit, 1e-9)
    return Moment(_cosine(1.0, 1 / (START_DIVISOR * END_DIVISOR), progress), _cosine(low, high, progress))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(progress, 1.0)))
