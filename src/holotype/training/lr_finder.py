"""The learning-rate finder: a short sweep of growing rates, and the rate its curve recommends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holotype.core.errors import TrainingError

__all__ = ["RateCurve", "find_rate", "valley"]

SMOOTHING = 0.9
DIVERGENCE_FACTOR = 4.0
MIN_STEPS = 5


@dataclass(frozen=True)
class RateCurve:
    """A sweep and its choice.

    Args:
        rates: The rates tried, growing.
        losses: The loss at each.
        smoothed: Their debiased running mean.
        suggestion: The recommended rate.
        description: The choice as a sentence.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float
    description: str


def find_rate(step: Callable[[float], float], low: float = 1e-6, high: float = 1.0, steps: int = 100) -> RateCurve:
    """Sweep the rate exponentially until the loss diverges, and choose one (Smith 2017, "Cyclical learning rates").

    Three rules are asked: fastai's valley, the steepest descent of the smoothed loss, and a tenth of the rate at its
    minimum. The first and the last err on the side of caution for schedules that rise and fall, the second on the
    side of boldness; the choice lies half way between the extremes, on a scale of factors.

    Args:
        step: Trains one step at a rate and returns its loss; whoever calls restores the weights afterwards.
        low: The first rate.
        high: The last rate.
        steps: How many rates, at least 5.

    Raises:
        ValueError: Not 0 < low < high, or too few steps.
        TrainingError: The loss diverged before there was a curve.
    """
    if not 0 < low < high or steps < MIN_STEPS:
        raise ValueError(f"needs 0 < low < high and at least {MIN_STEPS} steps; got {low}, {high} and {steps}")
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    mean, ending = 0.0, "the end of the sweep"
    for index in range(steps):
        rate = low * (high / low) ** (index / (steps - 1))
        loss = float(step(rate))
        if not math.isfinite(loss):
            ending = "a loss that is not finite"
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        rates.append(rate)
        losses.append(loss)
        smoothed.append(mean / (1 - SMOOTHING ** (index + 1)))
        if index and smoothed[-1] > DIVERGENCE_FACTOR * min(smoothed) > 0:
            ending = "divergence"
            break
    if len(rates) < MIN_STEPS:
        raise TrainingError(
            f"the rate finder saw {ending} after {len(rates)} steps", field="lr", remedy="write a number for `lr`"
        )
    lowest = min(range(len(rates)), key=smoothed.__getitem__)
    choices = (rates[valley(smoothed)], rates[_steepest_descent(smoothed[: lowest + 1])], rates[lowest] / 10)
    suggestion = math.sqrt(min(choices) * max(choices))
    description = (
        f"rate {suggestion:.2g}: half way between the extremes of three, the valley {choices[0]:.2g}, the steepest "
        f"descent "
        f"{choices[1]:.2g} and a tenth of the minimum {choices[2]:.2g}; {len(rates)} steps to {ending}"
    )
    return RateCurve(tuple(rates), tuple(losses), tuple(smoothed), suggestion, description)


def valley(losses: Sequence[float]) -> int:
    """The place in the middle of the longest descent of a curve: fastai's default rule.

    Args:
        losses: Smoothed, at rates that grow.

    Returns:
        The index half way along the longest decreasing subsequence.
    """
    lengths = [1] * len(losses)
    for later in range(1, len(losses)):
        for earlier in range(later):
            if losses[later] < losses[earlier]:
                lengths[later] = max(lengths[later], lengths[earlier] + 1)
    end = max(range(len(losses)), key=lengths.__getitem__)
    third = (lengths[end]) / 3
    return max(end - lengths[end], 0) + int(third) + int(third / 2)


def _steepest_descent(losses: Sequence[float]) -> int:
    if len(losses) < 3:
        return 0
    return min(range(1, len(losses) - 1), key=lambda index: losses[index + 1] - losses[index - 1])
