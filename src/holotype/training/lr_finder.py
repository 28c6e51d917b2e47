"""Learning-rate finder: a short sweep of growing rates, and the rate suggested by its curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holotype.core.errors import TrainingError

SMOOTHING = 0.9
DIVERGENCE_FACTOR = 4.0
MIN_STEPS = 5


@dataclass(frozen=True)
class RateCurve:
    """Result of a learning-rate sweep. `smoothed`: debiased running mean of `losses`."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float
    description: str


def find_rate(step: Callable[[float], float], low: float = 1e-6, high: float = 1.0, steps: int = 100) -> RateCurve:
    """Suggest a learning rate by an exponential sweep (Smith 2017, "Cyclical learning rates").

    Three rules are combined: fastai's valley, the steepest descent of the smoothed loss, and a tenth of the rate at its
    minimum. The first and last are too cautious for schedules that rise and fall, the second too bold; the suggestion
    is the geometric mean of the extremes. `step`: trains one step at a rate and returns its loss; the caller restores
    the weights afterwards; `steps`: at least 5; fewer if the loss diverges.
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
            f"the learning-rate finder met {ending} after {len(rates)} steps",
            field="lr",
            remedy="write a number for `lr`",
        )
    lowest = min(range(len(rates)), key=smoothed.__getitem__)
    choices = (rates[valley(smoothed)], rates[_steepest_descent(smoothed[: lowest + 1])], rates[lowest] / 10)
    suggestion = math.sqrt(min(choices) * max(choices))
    description = (
        f"learning rate {suggestion:.2g}: geometric mean of the extremes of the valley {choices[0]:.2g}, the steepest "
        f"descent {choices[1]:.2g} and a tenth of the minimum {choices[2]:.2g}; {len(rates)} steps to {ending}"
    )
    return RateCurve(tuple(rates), tuple(losses), tuple(smoothed), suggestion, description)


def valley(losses: Sequence[float]) -> int:
    """Valley rule of fastai: index half way along the longest decreasing subsequence of smoothed losses."""
    lengths = [1] * len(losses)
    for later in range(1, len(losses)):
        for earlier in range(later):
            if losses[later] < losses[earlier]:
                lengths[later] = max(lengths[later], lengths[earlier] + 1)
    end = max(range(len(losses)), key=lengths.__getitem__)
    third = lengths[end] / 3
    return max(end - lengths[end], 0) + int(third) + int(third / 2)


def _steepest_descent(losses: Sequence[float]) -> int:
    if len(losses) < 3:
        return 0
    return min(range(1, len(losses) - 1), key=lambda index: losses[index + 1] - losses[index - 1])
