"""How far a score can be trusted: intervals by redrawing groups, for a value, for a fresh test set, for a difference.

The interval of a value is a Wilson interval (Wilson 1927, JASA 22) whose centre is the value less the bias that the
bootstrap sees and whose width is the bootstrap's standard deviation: unlike percentiles it holds near 0 and 1, and for
few groups it uses Student's t (Hesterberg 2015, The American Statistician 69). A class with few samples, all right or
all wrong, has no spread in any bootstrap; the variance of its Jeffreys posterior is added. Few groups may agree by
chance: their variance is at least the binomial one of as many samples. One group alone says nothing of the spread
between groups, so that its interval is everything that is possible.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from holotype.errors import DataError, RecipeError
from holotype.metrics.counts import CLASS_SCORES, COUNTED, Counts, count_groups, f1_of_classes
from holotype.metrics.draws import Draws, draw_groups
from holotype.metrics.judged import Judged
from holotype.metrics.rowwise import ROWWISE
from holotype.metrics.scores import METRICS, average_precision_per_class
from holotype.types import LabelMatrix, Metric, dense, same_labels

__all__ = [
    "MAP_CELLS_AT_MOST",
    "Draws",
    "Judged",
    "bootstrap_interval",
    "bootstrap_intervals",
    "class_intervals",
    "draw_groups",
    "paired_difference",
]

FEW_GROUPS = 20
UNBOUNDED = {"log_loss"}  # every other metric lies between 0 and 1
TAIL = 0.025
MAP_DRAWS = (50, 200)
MAP_WORK = 400_000_000
ROWWISE_WORK = 40_000_000
MAP_CELLS_AT_MOST = 20_000_000
"""Samples times classes above which redrawing the average precision takes minutes."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class _Drawn:
    """Counts of all samples, and metrics of draws of the same size and of draws of a fresh set's size."""

    whole: Counts
    same: dict[str, Doubles]
    fresh: dict[str, Doubles]


@dataclass(frozen=True)
class _Spread:
    """A metric's value, its values over the draws, and what small classes add to variance and centre."""

    value: float
    same: Doubles
    fresh: Doubles
    variance: float = 0.0
    shift: float = 0.0


def bootstrap_interval(name: str, judged: Judged, draws: Draws) -> Metric:
    """One metric with its intervals.

    Args:
        name: A name of `METRICS` or `ROWWISE`, or `log_loss`.
        judged: The samples.
        draws: Draws of their groups, from `draw_groups`.

    Raises:
        RecipeError: There is no such metric.
    """
    return bootstrap_intervals([name], judged, draws)[name]


def bootstrap_intervals(names: Sequence[str], judged: Judged, draws: Draws) -> dict[str, Metric]:
    """Several metrics with their intervals, from the same draws.

    Args:
        names: Names of `METRICS` or `ROWWISE`, or `log_loss`.
        judged: The samples.
        draws: Draws of their groups, from `draw_groups`.

    Raises:
        RecipeError: There is no such metric.
    """
    drawn = _draw_counts(names, judged, draws)
    return {name: _metric(name, _spread(name, judged, draws, drawn), judged, draws) for name in names}


def paired_difference(name: str, before: Judged, after: Judged, draws: Draws) -> dict[str, float]:
    """What a step changed: both sides scored on the same samples and the same draws.

    Args:
        name: A name of `METRICS` or `ROWWISE`, or `log_loss`.
        before: The samples as they were decided before the step.
        after: The same samples as they were decided after it.
        draws: Draws of their groups.

    Returns:
        `value` (after less before), `low` and `high` of 95 %; with one group, or no draw that can be scored, everything
        that is possible: -1 to 1, or infinite for a metric without a bound.

    Raises:
        DataError: The two sides are not the same samples.
    """
    if not same_labels(before.truth, after.truth):
        raise DataError("a paired difference needs the same samples with the same labels on both sides")
    first, second = (_spread(name, side, draws, _draw_counts([name], side, draws)) for side in (before, after))
    change, steps = second.value - first.value, second.same - first.same
    steps = steps[np.isfinite(steps)]
    if draws.count < 2 or not len(steps):
        bound = np.inf if name in UNBOUNDED else 1.0
        return {"value": change, "low": -bound, "high": bound}
    centre = 2 * change - float(steps.mean())
    half = _quantile(draws.count) * float(np.sqrt(_variance(steps, draws.count)))
    return {"value": change, "low": min(change, centre - half), "high": max(change, centre + half)}


def class_intervals(judged: Judged, draws: Draws) -> tuple[Doubles, Doubles]:
    """95 % intervals of each class's F1, from draws that hold the class.

    Args:
        judged: The samples.
        draws: Draws of their groups.

    Returns:
        Lower and upper ends, each of shape (classes,); NaN for a class without a positive sample.
    """
    table = count_groups(judged.truth, judged.decided, None, judged.kind, draws.groups)
    whole = table.drawn()
    values, drawn = (
        f1_of_classes(whole)[0],
        np.concatenate([f1_of_classes(part) for part in table.in_parts(draws.same)]),
    )
    labels = LabelMatrix.of(judged.truth)
    classes = labels.classes
    pairs = np.unique(draws.groups[labels.owners] * classes + labels.numbers)
    groups = np.bincount(pairs % classes, minlength=classes)
    low, high = np.full(classes, np.nan), np.full(classes, np.nan)
    for number in np.flatnonzero(whole.support[0] > 0):
        here = slice(number, number + 1)
        variance, shift = _rare_class_terms(values[here], whole.support[0, here])
        spread = _Spread(float(values[number]), drawn[:, number], drawn[:, number], variance, shift)
        counted = draws.count, int(groups[number])
        low[number], high[number] = _value_interval(spread, counted, int(whole.support[0, number]))
    return low, high


def _draw_counts(names: Sequence[str], judged: Judged, draws: Draws) -> _Drawn:
    """Counts, and what they say of each draw; the counts of few draws are held at once."""
    table = count_groups(judged.truth, judged.decided, judged.logits, judged.kind, draws.groups)
    sides: list[dict[str, Doubles]] = []
    for weights in (draws.same, draws.fresh):
        scores: dict[str, list[Doubles]] = {name: [] for name in names if name in COUNTED}
        for part in table.in_parts(weights):
            for name, values in scores.items():
                values.append(COUNTED[name](part))
        sides.append({name: np.concatenate(values) for name, values in scores.items()})
    return _Drawn(table.drawn(), *sides)


def _spread(name: str, judged: Judged, draws: Draws, drawn: _Drawn) -> _Spread:
    if name == "map":
        return _map_spread(judged, draws)
    if name in ROWWISE:
        return _rowwise_spread(name, judged, draws)
    if name not in COUNTED:
        allowed = sorted({*COUNTED, *METRICS, *ROWWISE})
        raise RecipeError(f"no metric is named {name!r}", field="metric", value=name, allowed=allowed)
    score = COUNTED[name]
    variance, shift = 0.0, 0.0
    if name in CLASS_SCORES:
        variance, shift = _rare_class_terms(CLASS_SCORES[name](drawn.whole)[0], drawn.whole.support[0])
    return _Spread(float(score(drawn.whole)[0]), drawn.same[name], drawn.fresh[name], variance, shift)


def _map_spread(judged: Judged, draws: Draws) -> _Spread:
    """Average precision is no function of counts: rows are redrawn, and fewer times."""
    truth, logits = LabelMatrix.of(judged.truth)[:], dense(judged.logits, "average precision")
    scores = average_precision_per_class(truth, logits, judged.kind)
    fewest, most = MAP_DRAWS
    count = int(np.clip(MAP_WORK // judged.truth.size, fewest, most))
    sides = []
    for weights in (draws.same[:count], draws.fresh[:count]):
        drawn = average_precision_per_class(truth, logits, judged.kind, weights[:, draws.groups])
        sides.append(_mean_of_known(drawn, axis=1))
    variance, shift = _rare_class_terms(scores, truth.sum(axis=0))
    return _Spread(float(_mean_of_known(scores, axis=0)), sides[0], sides[1], variance, shift)


def _rowwise_spread(name: str, judged: Judged, draws: Draws) -> _Spread:
    given = (judged.truth, judged.logits, judged.kind)
    value = float(ROWWISE[name](*given, None)[0])
    most = max(int(ROWWISE_WORK // max(len(judged.truth), 1)), MAP_DRAWS[0])
    sides = (side[:most][:, draws.groups].astype(np.float64) for side in (draws.same, draws.fresh))
    same, fresh = (ROWWISE[name](*given, side) for side in sides)
    return _Spread(value, same, fresh)


def _rare_class_terms(scores: Doubles, support: NDArray[np.number]) -> tuple[float, float]:
    """Variance and shift of a mean over classes when each class gets the Jeffreys prior's one sample more."""
    present = support > 0
    if not present.any():
        return 0.0, 0.0
    score, size = scores[present], support[present]
    smooth = (score * size + 0.5) / (size + 1)
    more = smooth * (1 - smooth) / (size + 2) - score * (1 - score) / size
    return float(np.maximum(more, 0).sum() / len(score) ** 2), float((smooth - score).mean())


def _metric(name: str, spread: _Spread, judged: Judged, draws: Draws) -> Metric:
    if name in UNBOUNDED:
        low, high = _unbounded_interval(spread, draws.count)
    else:
        low, high = _value_interval(spread, (draws.count, draws.count), len(judged.truth))
    following = _next_interval(spread, draws, (low, high), np.inf if name in UNBOUNDED else 1.0)
    how = _in_words(len(spread.same), draws, averaged=name in {*CLASS_SCORES, "map"})
    return Metric(spread.value, low, high, following, len(judged.truth), draws.count, how)


def _value_interval(spread: _Spread, counted: tuple[int, int], samples: int) -> tuple[float, float]:
    """The interval of a score between 0 and 1, of so many groups, and groups and samples that bear on the score."""
    (groups, bearing), value, drawn = counted, spread.value, spread.same[np.isfinite(spread.same)]
    if groups < 2 or not len(drawn) or not np.isfinite(value):
        return 0.0, 1.0
    variance = _variance(drawn, groups)
    if variance < 1e-18 and value in {0.0, 1.0}:  # nothing varies: what would still be seen once in forty times
        edge = TAIL ** (1 / bearing)
        return (edge, 1.0) if value else (0.0, 1 - edge)
    if bearing < FEW_GROUPS:
        variance = max(variance, value * (1 - value) / samples)
    variance += spread.variance
    if variance < 1e-18:
        return value, value
    z, centre = _quantile(groups), float(np.clip(2 * value - drawn.mean(), 0, 1))
    share = float(np.clip(centre + spread.shift, 0.5 / (groups + 1), 1 - 0.5 / (groups + 1)))
    size = share * (1 - share) / variance  # the number of independent samples that would vary as much
    middle = (centre + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * float(np.sqrt(centre * (1 - centre) / size + z**2 / (4 * size**2))) / (1 + z**2 / size)
    return float(max(0.0, min(value, middle - half))), float(min(1.0, max(value, middle + half)))


def _unbounded_interval(spread: _Spread, groups: int) -> tuple[float, float]:
    if groups < 2:
        return 0.0, np.inf
    centre = 2 * spread.value - float(spread.same.mean())
    half = _quantile(groups) * float(np.sqrt(_variance(spread.same, groups)))
    return max(0.0, min(spread.value, centre - half)), max(spread.value, centre + half)


def _next_interval(spread: _Spread, draws: Draws, inner: tuple[float, float], top: float) -> dict[str, float]:
    """The value plus the quantiles of (fresh - same), further out for few groups; never narrower than `inner`."""
    low, high = inner
    steps = spread.fresh - spread.same
    steps = steps[np.isfinite(steps)]
    if draws.count >= 2 and len(steps):
        tail = float(norm.cdf(-_quantile(draws.count) * np.sqrt(draws.count / (draws.count - 1))))
        below, above = np.quantile(steps, [tail, 1 - tail])
        low, high = min(low, spread.value + float(below)), max(high, spread.value + float(above))
    return {"low": max(0.0, low), "high": min(top, high), "rows": draws.rows}


def _variance(drawn: Doubles, groups: int) -> float:
    return float(drawn.var()) * groups / (groups - 1)  # a bootstrap sees the spread of the sample, not the population's


def _quantile(groups: int) -> float:
    return float(t.ppf(1 - TAIL, groups - 1))


def _mean_of_known(values: Doubles, axis: int) -> Doubles:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no class at all: NaN
        return np.asarray(np.nanmean(values, axis=axis))


def _in_words(count: int, draws: Draws, averaged: bool) -> str:
    if draws.count < 2:
        return (
            "all scored samples are of one independent group, so that nothing is known of the spread between groups: "
            "the interval holds everything that is possible"
        )
    parts = [f"95 % intervals from {count:,} draws of {draws.count:,} {draws.unit}"]
    if draws.count < FEW_GROUPS:
        parts.append(f"with only {draws.count} {draws.unit} the intervals are approximate")
    if averaged and draws.incomplete:
        lacking = f"{draws.incomplete:,} of {len(draws.same):,} draws"
        parts.append(f"{lacking} lost a class every time they were drawn, and average over the others")
    return "; ".join(parts)
