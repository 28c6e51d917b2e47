"""Bootstrap intervals over groups: for a value, for a new test set, and for a paired difference.

The interval of a value is a Wilson interval (Wilson 1927, JASA 22), centered at the value minus the bootstrap bias,
with the bootstrap's standard deviation: unlike percentiles it holds near 0 and 1, and for few groups it uses Student's
t (Hesterberg 2015, The American Statistician 69).

A mean over classes is centered at its value and has the jackknife's variance. A resample lacks a third of the classes
with one sample and repeats the samples of the others: its mean is too high and varies too little, so that with 1,000
classes the interval would miss the average score of a test set in half of the cases (`bench/intervals.py`). A class
with few samples, all right or all wrong, does not vary at all; the variance of its Jeffreys posterior is added.

Few groups may agree by chance: their variance is at least the binomial one of as many samples. A single group says
nothing about the spread between groups, so its interval covers all possible values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit  # normal and Student's t, without the slow import of scipy.stats

from holotype.core.errors import DataError, RecipeError
from holotype.evaluation.metrics.agreement import class_scores
from holotype.evaluation.metrics.counts import COUNT_METRICS, Counts, count_groups, f1_of_classes, nanmean
from holotype.evaluation.metrics.jackknife import jackknife_scores, jackknife_variance, leave_block_out
from holotype.evaluation.metrics.resamples import GroupResamples, class_groups, resample_groups
from holotype.evaluation.metrics.sample_metrics import SAMPLE_METRICS
from holotype.evaluation.metrics.scored import ScoredSamples
from holotype.evaluation.metrics.scores import METRICS, RANKING_METRICS
from holotype.types import Doubles, LabelMatrix, Metric, same_labels, to_dense

__all__ = [
    "MAX_MAP_CELLS",
    "GroupResamples",
    "PairedDifference",
    "ScoredSamples",
    "bootstrap_interval",
    "bootstrap_intervals",
    "class_intervals",
    "compare_paired",
    "is_decision_metric",
    "metric_bounds",
    "paired_difference",
    "resample_groups",
]

FEW_GROUPS = 20
BOUNDS = {"log_loss": (0.0, np.inf)} | dict.fromkeys(("mcc", "cohen_kappa", "quadratic_weighted_kappa"), (-1.0, 1.0))
"""Smallest and largest value of metrics that do not lie between 0 and 1."""
TAIL = 0.025
MAP_RESAMPLES = (50, 200)
MAP_WORK = 400_000_000
FUNCTION_WORK = 100_000_000
SAMPLE_METRIC_WORK = 40_000_000
MAX_MAP_CELLS = 20_000_000
"""Samples times classes above which resampling the average precision takes minutes."""


@dataclass(frozen=True)
class _ResampledCounts:
    observed: Counts
    same_size: dict[str, Doubles]
    test_size: dict[str, Doubles]
    without_group: dict[str, Doubles]


@dataclass(frozen=True)
class _Spread:
    """Metric value and its values over the resamples.

    Args:
        variance: Added for rare classes, of the score scaled to 0 to 1.
        shift: Added to the center for rare classes, on the same scale.
        is_centered: The bootstrap bias is not subtracted, because it is that of resampling and not of the metric.
        without_group: Values without each group, for the jackknife; None for the bootstrap's variance.
    """

    value: float
    same_size: Doubles
    test_size: Doubles
    variance: float = 0.0
    shift: float = 0.0
    is_centered: bool = False
    without_group: Doubles | None = None

    def minus(self, other: _Spread) -> _Spread:
        """Spread of a paired difference."""
        jackknife = None
        if self.without_group is not None and other.without_group is not None:
            jackknife = self.without_group - other.without_group
        return _Spread(
            self.value - other.value,
            self.same_size - other.same_size,
            self.test_size - other.test_size,
            is_centered=self.is_centered,
            without_group=jackknife,
        )

    def to_unit(self, bounds: tuple[float, float]) -> _Spread:
        """Spread of the metric scaled to 0 to 1."""
        least, scale = bounds[0], bounds[1] - bounds[0]
        return replace(
            self,
            value=(self.value - least) / scale,
            same_size=(self.same_size - least) / scale,
            test_size=(self.test_size - least) / scale,
            without_group=None if self.without_group is None else (self.without_group - least) / scale,
        )

    def center_and_variance(self, groups: int) -> tuple[float, float]:
        """Center and variance of the interval; NaN with one group, or if no resample has a value."""
        finite = self.same_size[np.isfinite(self.same_size)]
        if groups < 2 or not len(finite):
            return np.nan, np.nan
        center = self.value if self.is_centered else 2 * self.value - float(finite.mean())
        if self.without_group is not None:
            return center, jackknife_variance(self.without_group)
        return center, _variance(finite, groups)


@dataclass(frozen=True)
class PairedDifference:
    """Paired difference of a metric on the same samples, with its 95 % interval.

    Args:
        p_value: Two-sided, of no difference; at least that of a sign test if all groups differ equally.
    """

    value: float
    low: float
    high: float
    p_value: float


def bootstrap_interval(name: str, scored: ScoredSamples, resamples: GroupResamples) -> Metric:
    """Compute one metric with its intervals. Raises RecipeError: unknown metric."""
    return bootstrap_intervals([name], scored, resamples)[name]


def bootstrap_intervals(names: Sequence[str], scored: ScoredSamples, resamples: GroupResamples) -> dict[str, Metric]:
    """Compute several metrics with their intervals, on the same resamples. Raises RecipeError: unknown metric."""
    resampled = _resample_counts(names, scored, resamples)
    return {
        name: _make_metric(name, _measure_spread(name, scored, resamples, resampled), scored, resamples)
        for name in names
    }


def paired_difference(
    name: str, before: ScoredSamples, after: ScoredSamples, resamples: GroupResamples
) -> dict[str, float]:
    """Compute `value`, `low` and `high` of `compare_paired`."""
    difference = compare_paired(name, before, after, resamples)
    return {"value": difference.value, "low": difference.low, "high": difference.high}


def compare_paired(
    name: str, before: ScoredSamples, after: ScoredSamples, resamples: GroupResamples
) -> PairedDifference:
    """Compute the difference of a metric, after minus before, on the same samples and resamples.

    Groups in which both sides decide alike tell nothing about the spread, so Student's t has as many degrees of freedom
    as groups that differ, less one. With one group, or no valid resample, the interval covers all possible differences.
    Raises DataError if the two sides are of different samples.
    """
    if not same_labels(before.truth, after.truth):
        raise DataError("a paired difference needs the same samples and labels on both sides")
    first, second = (
        _measure_spread(name, side, resamples, _resample_counts([name], side, resamples)) for side in (before, after)
    )
    difference, groups = second.minus(first), resamples.count
    change, (center, variance) = difference.value, difference.center_and_variance(groups)
    if not np.isfinite(variance):
        least, largest = metric_bounds(name)
        return PairedDifference(change, least - largest, largest - least, 1.0)
    deviation = float(np.sqrt(variance))
    informative = max(_count_differing_groups(name, before, after, resamples), 2)
    half = _quantile(informative) * deviation
    if deviation < 1e-12:
        p_value = 1.0 if abs(change) < 1e-12 else 2.0 ** (1 - groups)
    else:
        p_value = 2 * float(stdtr(informative - 1, -abs(center) / deviation))
    return PairedDifference(change, min(change, center - half), max(change, center + half), p_value)


def _count_differing_groups(name: str, before: ScoredSamples, after: ScoredSamples, resamples: GroupResamples) -> int:
    """Number of groups with a sample that is decided differently; all groups for a metric of scores."""
    if not is_decision_metric(name):
        return resamples.count
    sides = [LabelMatrix.from_dense(side.decided) for side in (before, after)]
    rows = np.setxor1d(sides[0].flat_indices, sides[1].flat_indices, assume_unique=True) // sides[0].classes
    return len(np.unique(resamples.groups[rows]))


def class_intervals(scored: ScoredSamples, resamples: GroupResamples) -> tuple[Doubles, Doubles]:
    """Compute 95 % intervals of each class's F1 from resamples that contain the class.

    Returns lower and upper ends, shape (classes,) each; NaN for a class without a positive sample.
    """
    table = count_groups(scored.truth, scored.decided, None, scored.kind, resamples.groups)
    observed, resampled = table.resample(), table.resample_f1(resamples.same_size)
    values, support = f1_of_classes(observed)[0], observed.support[0]
    classes = len(support)
    groups = np.bincount(class_groups(scored.truth, resamples.groups)[0], minlength=classes)
    low, high = np.full(classes, np.nan), np.full(classes, np.nan)
    for number in np.flatnonzero(support > 0):
        variance, shift = _rare_class_terms(values[[number]], support[[number]])
        spread = _Spread(float(values[number]), resampled[:, number], resampled[:, number], variance, shift)
        group_counts = resamples.count, int(groups[number])
        low[number], high[number] = _value_interval(spread, group_counts, int(support[number]))
    return low, high


def _resample_counts(names: Sequence[str], scored: ScoredSamples, resamples: GroupResamples) -> _ResampledCounts:
    table = count_groups(scored.truth, scored.decided, scored.logits, scored.kind, resamples.groups)
    sides: list[dict[str, Doubles]] = []
    for weights in (resamples.same_size, resamples.test_size):
        scores: dict[str, list[Doubles]] = {name: [] for name in names if name in COUNT_METRICS}
        for part in table.resample_in_chunks(weights):
            for name, values in scores.items():
                values.append(COUNT_METRICS[name](part))
        sides.append({name: np.concatenate(values) for name, values in scores.items()})
    averaged = {name: class_scores(name, scored.kind) for name in names}
    without_group = {name: jackknife_scores(score, table) for name, score in averaged.items() if score is not None}
    return _ResampledCounts(table.resample(), sides[0], sides[1], without_group)


def _measure_spread(
    name: str, scored: ScoredSamples, resamples: GroupResamples, resampled: _ResampledCounts
) -> _Spread:
    if name in RANKING_METRICS:
        return _ranking_spread(name, scored, resamples)
    if name in SAMPLE_METRICS:
        return _sample_metric_spread(name, scored, resamples)
    if METRICS.plugin_of(name) and name not in COUNT_METRICS:
        return _function_spread(name, scored, resamples)
    if name not in COUNT_METRICS:
        allowed = sorted({*COUNT_METRICS, *METRICS, *SAMPLE_METRICS})
        raise RecipeError(f"unknown metric {name!r}", field="metric", value=name, allowed=allowed)
    score, averaged = COUNT_METRICS[name], class_scores(name, scored.kind)
    variance, shift = 0.0, 0.0
    if averaged is not None:
        least, largest = metric_bounds(name)
        scores = (averaged(resampled.observed)[0] - least) / (largest - least)
        variance, shift = _rare_class_terms(scores, resampled.observed.support[0])
    return _Spread(
        float(score(resampled.observed)[0]),
        resampled.same_size[name],
        resampled.test_size[name],
        variance,
        shift,
        is_centered=averaged is not None,
        without_group=resampled.without_group.get(name),
    )


def _ranking_spread(name: str, scored: ScoredSamples, resamples: GroupResamples) -> _Spread:
    """A ranking of all samples is no function of counts, so rows are resampled, fewer times."""
    score = RANKING_METRICS[name]
    truth, logits = LabelMatrix.from_dense(scored.truth)[:], to_dense(scored.logits, f"the metric {name!r}")
    scores = score(truth, logits, scored.kind)
    min_resamples, max_resamples = MAP_RESAMPLES
    count = int(np.clip(MAP_WORK // scored.truth.size, min_resamples, max_resamples))
    sides = []
    for weights in (resamples.same_size[:count], resamples.test_size[:count]):
        resampled = score(truth, logits, scored.kind, weights[:, resamples.groups])
        sides.append(nanmean(resampled, axis=1))
    variance, shift = _rare_class_terms(scores, truth.sum(axis=0))
    remaining = leave_block_out(resamples.count, count)[:, resamples.groups]
    without_group = nanmean(score(truth, logits, scored.kind, remaining), axis=1)
    value = float(nanmean(scores, axis=0))
    return _Spread(value, sides[0], sides[1], variance, shift, is_centered=True, without_group=without_group)


def _function_spread(name: str, scored: ScoredSamples, resamples: GroupResamples) -> _Spread:
    """A plugin's metric is any function of samples, so rows are repeated, fewer times."""
    rows = np.arange(len(scored.truth))
    work = max(len(rows), resamples.rows) * scored.truth.shape[1]
    count = int(np.clip(FUNCTION_WORK // work, *MAP_RESAMPLES))

    def resample(side: NDArray[np.integer]) -> Doubles:
        draws = (np.repeat(rows, weights[resamples.groups]) for weights in side[:count])
        return np.array([_call_metric(name, scored.rows(draw)) for draw in draws])

    return _Spread(_call_metric(name, scored), resample(resamples.same_size), resample(resamples.test_size))


def _call_metric(name: str, scored: ScoredSamples) -> float:
    return float(METRICS[name](scored.truth, scored.decided, scored.logits, scored.kind))


def _sample_metric_spread(name: str, scored: ScoredSamples, resamples: GroupResamples) -> _Spread:
    arguments = (scored.truth, scored.logits, scored.kind)
    value = float(SAMPLE_METRICS[name](*arguments, None)[0])
    max_resamples = max(int(SAMPLE_METRIC_WORK // max(len(scored.truth), 1)), MAP_RESAMPLES[0])
    sides = (
        side[:max_resamples][:, resamples.groups].astype(np.float64)
        for side in (resamples.same_size, resamples.test_size)
    )
    same_size, test_size = (SAMPLE_METRICS[name](*arguments, side) for side in sides)
    return _Spread(value, same_size, test_size)


def _rare_class_terms(scores: Doubles, support: NDArray[np.number]) -> tuple[float, float]:
    """Variance and shift of a class average if each class gets one more sample from the Jeffreys prior."""
    present = support > 0
    if not present.any():
        return 0.0, 0.0
    score, size = scores[present], support[present]
    smooth = (score * size + 0.5) / (size + 1)
    extra_variance = smooth * (1 - smooth) / (size + 2) - score * (1 - score) / size
    return float(np.maximum(extra_variance, 0).sum() / len(score) ** 2), float((smooth - score).mean())


def is_decision_metric(name: str) -> bool:
    """Decision metrics depend on labels and decisions alone, and not on scores."""
    return name in COUNT_METRICS and name != "log_loss"


def metric_bounds(name: str) -> tuple[float, float]:
    """Smallest and largest value of a metric. One of a plugin states them as its attribute `bounds`."""
    if METRICS.plugin_of(name):
        least, largest = getattr(METRICS[name], "bounds", (-np.inf, np.inf))
        return float(least), float(largest)
    return BOUNDS.get(name, (0.0, 1.0))


def _make_metric(name: str, spread: _Spread, scored: ScoredSamples, resamples: GroupResamples) -> Metric:
    bounds = least, largest = metric_bounds(name)
    if np.isfinite(bounds).all():
        ends = _value_interval(spread.to_unit(bounds), (resamples.count, resamples.count), len(scored.truth))
        low, high = (end * (largest - least) + least for end in ends)
    else:
        low, high = _unbounded_interval(spread, resamples.count, bounds)
    prediction_interval = _prediction_interval(spread, resamples, (low, high), bounds)
    is_class_average = name in RANKING_METRICS or class_scores(name, scored.kind) is not None
    method = _describe_method(len(spread.same_size), resamples, is_class_average, spread.without_group is not None)
    return Metric(spread.value, low, high, prediction_interval, len(scored.truth), resamples.count, method)


def _value_interval(spread: _Spread, group_counts: tuple[int, int], samples: int) -> tuple[float, float]:
    """Interval of a score between 0 and 1; `group_counts` are all groups, and those that bear on the score."""
    (groups, bearing), value = group_counts, spread.value
    middle, variance = spread.center_and_variance(groups)
    if not np.isfinite(variance) or not np.isfinite(value):
        return 0.0, 1.0
    if variance < 1e-18 and value in {0.0, 1.0}:
        edge = TAIL ** (1 / bearing)  # the rate that gives this result with probability 2.5 %
        return (edge, 1.0) if value else (0.0, 1 - edge)
    if bearing < FEW_GROUPS:
        variance = max(variance, value * (1 - value) / samples)
    variance += spread.variance
    if variance < 1e-18:
        return value, value
    z, center = _quantile(groups), float(np.clip(middle, 0, 1))
    share = float(np.clip(center + spread.shift, 0.5 / (groups + 1), 1 - 0.5 / (groups + 1)))
    size = share * (1 - share) / variance  # the number of independent samples that would vary as much
    middle = (center + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * float(np.sqrt(center * (1 - center) / size + z**2 / (4 * size**2))) / (1 + z**2 / size)
    return float(max(0.0, min(value, middle - half))), float(min(1.0, max(value, middle + half)))


def _unbounded_interval(spread: _Spread, groups: int, bounds: tuple[float, float]) -> tuple[float, float]:
    center, variance = spread.center_and_variance(groups)
    if not np.isfinite(variance):
        return bounds
    half = _quantile(groups) * float(np.sqrt(variance))
    return max(bounds[0], min(spread.value, center - half)), min(bounds[1], max(spread.value, center + half))


def _prediction_interval(
    spread: _Spread, resamples: GroupResamples, inner: tuple[float, float], bounds: tuple[float, float]
) -> dict[str, float]:
    """The value plus quantiles of (test - same), wider for few groups; never narrower than `inner`.

    Class averages vary too little in a bootstrap, so that their steps are scaled to the jackknife's deviation.
    """
    low, high = inner
    steps = spread.test_size - spread.same_size
    steps = steps[np.isfinite(steps)]
    if spread.without_group is not None and resamples.count >= 2 and len(steps):
        variance = _variance(spread.same_size[np.isfinite(spread.same_size)], resamples.count)
        ratio = jackknife_variance(spread.without_group) / variance if variance > 0 else 1.0
        steps = steps.mean() + (steps - steps.mean()) * np.sqrt(max(ratio, 1.0))
    if resamples.count >= 2 and len(steps):
        tail = float(ndtr(-_quantile(resamples.count) * np.sqrt(resamples.count / (resamples.count - 1))))
        below, above = np.quantile(steps, [tail, 1 - tail])
        low, high = min(low, spread.value + float(below)), max(high, spread.value + float(above))
    return {"low": max(bounds[0], low), "high": min(bounds[1], high), "rows": resamples.rows}


def _variance(resampled: Doubles, groups: int) -> float:
    return float(resampled.var()) * groups / (groups - 1)  # a bootstrap has the sample's variance, not the population's


def _quantile(groups: int) -> float:
    return float(stdtrit(groups - 1, 1 - TAIL))


def _describe_method(count: int, resamples: GroupResamples, is_class_average: bool, has_jackknife: bool) -> str:
    if resamples.count < 2:
        return (
            "all scored samples belong to one independent group, so the spread between groups is unknown: "
            "the interval covers all possible values"
        )
    source = "the jackknife and " if has_jackknife else ""
    parts = [f"95 % intervals from {source}{count:,} draws of {resamples.count:,} {resamples.unit}"]
    if resamples.count < FEW_GROUPS:
        parts.append(f"with only {resamples.count} {resamples.unit} the intervals are approximate")
    if is_class_average and resamples.missing_class:
        incomplete = f"{resamples.missing_class:,} of {len(resamples.same_size):,} draws"
        parts.append(f"{incomplete} lacked a class even after redrawing, and average over the others")
    return "; ".join(parts)
