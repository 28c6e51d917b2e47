"""Baselines: what a score has to beat, predicted out of fold on the same folds.

The majority class and a random class need no image. The nearest neighbor and the forest see a few numbers per image,
such as brightness, contrast and size (`holotype.data.image_features`). If they come close to a network, the task may be
solved by the exposure or the size of the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError
from holotype.core.seeds import derive_seed, keyed_generator
from holotype.evaluation.metrics import (
    PairedDifference,
    ScoredSamples,
    adjust_p_values,
    bootstrap_interval,
    compare_paired,
    resample_groups,
)
from holotype.evaluation.tables import to_json_value
from holotype.types import MANY_CLASSES, AnyLabels, AnyScores, Integers, Kind, LabelMatrix, Metric, TopKScores

RANDOM_DRAWS = 51
MAX_TRAINING_ROWS = 20_000
MAX_FOREST_CLASSES = 200
TREES = 100
MIN_PROBABILITY = 1e-4
CLOSE_SHARE = 0.8
SIGNIFICANCE_LEVEL = 0.05
MAJORITY, RANDOM, NEAREST, FOREST = "majority class", "stratified random", "nearest neighbor", "random forest"

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class BaselinePredictions:
    """Out-of-fold predictions of a baseline: decisions and logits, shape (n, classes), and how they were made."""

    name: str
    decided: AnyLabels
    logits: AnyScores
    method: str


@dataclass(frozen=True)
class Baseline:
    """Score of a baseline.

    Args:
        difference: Paired difference, the run minus the baseline, on the same samples and independent groups.
        p_adjusted: Its p-value, adjusted for the number of baselines (Holm 1979).
    """

    name: str
    metric: Metric
    difference: PairedDifference
    p_adjusted: float


@dataclass(frozen=True)
class Baselines:
    """Baselines of one metric, compared with the score of a run.

    Args:
        value: Score of the run.
        features: What the nearest neighbor and the forest see, for sentences.
        notes: Baselines that were left out, and why, in sentences.
    """

    metric: str
    value: float
    baselines: tuple[Baseline, ...]
    features: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> list[dict[str, Any]]:
        """Section `baselines` of `scores.json`: a metric per baseline, with `name` and `difference`."""
        return [
            to_json_value(
                {
                    "name": baseline.name,
                    **asdict(baseline.metric),
                    "difference": {**asdict(baseline.difference), "p_adjusted": baseline.p_adjusted},
                }
            )
            for baseline in self.baselines
        ]

    def sentences(self) -> list[str]:
        """Warnings about baselines that come close to the run."""
        by_name = {baseline.name: baseline for baseline in self.baselines}
        warnings = []
        for baseline in self.baselines:
            is_better = baseline.p_adjusted < SIGNIFICANCE_LEVEL and baseline.difference.low > 0
            if not is_better:
                warnings.append(self._describe_equal(baseline))
            elif baseline.name in {NEAREST, FOREST} and MAJORITY in by_name:
                chance = max(by_name[name].metric.value for name in (MAJORITY, RANDOM) if name in by_name)
                share = (baseline.metric.value - chance) / max(self.value - chance, 1e-12)
                warnings += [self._describe_close(baseline, share)] if share >= CLOSE_SHARE else []
        return warnings

    def _describe_equal(self, baseline: Baseline) -> str:
        difference = baseline.difference
        what = f"on {self.features} " if baseline.name in {NEAREST, FOREST} else ""
        reason = (
            f"The task may be solved by {self.features} alone."
            if what
            else "The score may come from the class frequencies alone."
        )
        scores = f"{self.metric} {baseline.metric.value:.3f}, and the run {self.value:.3f}"
        return (
            f"The {baseline.name} {what}reaches {scores}; the run is not significantly better "
            f"({difference.value:+.3f}, {difference.low:+.3f} to {difference.high:+.3f}). {reason}"
        )

    def _describe_close(self, baseline: Baseline, share: float) -> str:
        return (
            f"The {baseline.name} on {self.features} reaches {self.metric} {baseline.metric.value:.3f}, "
            f"{100 * share:.0f} % of what the run ({self.value:.3f}) gains over chance. A large part of the task may "
            f"be solved by {self.features}."
        )


def score_baselines(
    predictions: Sequence[BaselinePredictions],
    scored: ScoredSamples,
    groups: Integers | None,
    metric: str,
    seed: int,
    *,
    features: str = "image statistics (brightness, contrast, size)",
    notes: Sequence[str] = (),
) -> Baselines:
    """Score baselines with intervals, and compare a run with each.

    Args:
        predictions: Of the scored samples, in their order.
        scored: The run's samples.
        groups: Independent group of each sample, shape (n,); None if samples are independent.
    """
    resamples = resample_groups(scored.truth, groups, seed)
    value = bootstrap_interval(metric, scored, resamples).value
    rows = []
    for prediction in predictions:
        side = ScoredSamples(scored.truth, prediction.decided, prediction.logits, scored.kind)
        rows.append(
            (prediction, bootstrap_interval(metric, side, resamples), compare_paired(metric, side, scored, resamples))
        )
    adjusted = adjust_p_values([difference.p_value for _, _, difference in rows])
    baselines = tuple(
        Baseline(prediction.name, _add_method(result, prediction.method), difference, float(p_value))
        for (prediction, result, difference), p_value in zip(rows, adjusted, strict=True)
    )
    return Baselines(metric, value, baselines, features, tuple(notes))


def predict_baselines(
    truth: AnyLabels, features: Doubles | None, folds: Integers, kind: Kind, seed: int
) -> tuple[list[BaselinePredictions], list[str]]:
    """Predict all labeled samples out of fold by each baseline; also returns notes on those left out.

    Args:
        truth: Labels, shape (n, classes).
        features: A few numbers per sample, shape (n, features), NaN if unknown; None without images.
        folds: Fold of each sample, shape (n,).

    Raises:
        DataError: There is only one fold.
    """
    predictions = [predict_majority(truth, folds, kind), predict_stratified_random(truth, folds, kind, seed)]
    notes = []
    if features is None or not features.size:
        notes.append("without image statistics there is no nearest neighbor and no random forest")
        return predictions, notes
    predictions.append(predict_nearest(truth, features, folds, kind, seed))
    if truth.shape[1] <= MAX_FOREST_CLASSES:
        predictions.append(predict_forest(truth, features, folds, kind, seed))
    else:
        notes.append(f"no random forest, because there are more than {MAX_FOREST_CLASSES} classes")
    return predictions, notes


def predict_majority(truth: AnyLabels, folds: Integers, kind: Kind) -> BaselinePredictions:
    """Majority class of the other folds; of several labels per sample, those of at least half of the samples."""
    labels, parts = LabelMatrix.from_dense(truth), []
    frequencies = np.empty((len(labels), labels.classes) if labels.classes <= MANY_CLASSES else (0, labels.classes))
    for inside in _each_fold(folds):
        counts = labels.rows(~inside).counts()
        selected = np.array([counts.argmax()])
        if kind == "multilabel" and (2 * counts >= (~inside).sum()).any():
            selected = np.flatnonzero(2 * counts >= (~inside).sum())
        predicted = np.flatnonzero(inside)
        parts.append((np.repeat(predicted, len(selected)), np.tile(selected, len(predicted))))
        if len(frequencies):
            frequencies[inside] = counts / (~inside).sum()
    rows, numbers = (np.concatenate(side) for side in zip(*parts, strict=True))
    decided = LabelMatrix.from_pairs(rows, numbers, labels.shape)
    return _make_predictions(
        MAJORITY,
        truth,
        decided,
        kind,
        "the most frequent class of the other folds",
        frequencies if len(frequencies) else None,
    )


def predict_stratified_random(truth: AnyLabels, folds: Integers, kind: Kind, seed: int) -> BaselinePredictions:
    """Labels of random samples of the other folds; of 51 draws, the one with the median number of right labels."""
    labels = LabelMatrix.from_dense(truth)
    draws = []
    for draw in range(RANDOM_DRAWS):
        generator = keyed_generator(seed, "baseline", "random", draw)
        source = np.empty(len(labels), np.int64)
        for inside in _each_fold(folds):
            source[inside] = generator.choice(np.flatnonzero(~inside), int(inside.sum()))
        drawn = labels.rows(source)
        draws.append((int(np.isin(drawn.flat_indices, labels.flat_indices, assume_unique=True).sum()), draw, drawn))
    decided = sorted(draws, key=lambda entry: entry[:2])[RANDOM_DRAWS // 2][2]
    return _make_predictions(RANDOM, truth, decided, kind, f"the median of {RANDOM_DRAWS} random draws by frequency")


def predict_nearest(truth: AnyLabels, features: Doubles, folds: Integers, kind: Kind, seed: int) -> BaselinePredictions:
    """Labels of the nearest sample of the other folds, by Euclidean distance of standardized features."""
    from sklearn.neighbors import NearestNeighbors  # slow to import

    labels, nearest = LabelMatrix.from_dense(truth), np.empty(len(truth), np.int64)
    for number, inside in enumerate(_each_fold(folds)):
        training = _training_rows(inside, seed, number)
        table = _standardize(features, training)
        model = NearestNeighbors(n_neighbors=1).fit(table[training])
        nearest[inside] = training[model.kneighbors(table[inside], return_distance=False)[:, 0]]
    return _make_predictions(NEAREST, truth, labels.rows(nearest), kind, "the nearest sample of the other folds")


def predict_forest(truth: AnyLabels, features: Doubles, folds: Integers, kind: Kind, seed: int) -> BaselinePredictions:
    """Random forest (Breiman 2001) on the other folds, with balanced classes."""
    from sklearn.ensemble import RandomForestClassifier  # slow to import

    dense = LabelMatrix.from_dense(truth)[:]
    chance = np.zeros(dense.shape)
    for number, inside in enumerate(_each_fold(folds)):
        training = _training_rows(inside, seed, number)
        table = _standardize(features, training)
        forest = RandomForestClassifier(
            TREES,
            min_samples_leaf=2,
            class_weight="balanced_subsample",
            random_state=derive_seed(seed, "baseline", "forest", number) % 2**32,
        )
        if kind == "multiclass":
            forest.fit(table[training], dense[training].argmax(axis=1))
            chance[np.ix_(inside, forest.classes_)] = forest.predict_proba(table[inside])
            continue
        forest.fit(table[training], dense[training].astype(np.int64))
        tables = forest.predict_proba(table[inside])
        for column, part in enumerate(tables if isinstance(tables, list) else [tables]):
            has_positives = dense[training, column].any()
            chance[inside, column] = part[:, -1] if has_positives else 0
    if kind == "multiclass":
        decided = LabelMatrix.from_pairs(np.arange(len(dense)), chance.argmax(axis=1), dense.shape)
    else:
        decided = LabelMatrix.from_dense(chance >= 0.5)
    method = f"{TREES} trees, fitted to the other folds"
    return _make_predictions(FOREST, truth, decided, kind, method, chance)


def _each_fold(folds: Integers) -> Iterator[NDArray[np.bool_]]:
    values = np.unique(folds)
    if len(values) < 2:
        raise DataError(
            "a baseline needs at least two folds, to learn from one and predict the other", field="split.folds"
        )
    for value in values:
        yield folds == value


def _training_rows(inside: NDArray[np.bool_], seed: int, fold: int) -> Integers:
    rows = np.flatnonzero(~inside)
    if len(rows) <= MAX_TRAINING_ROWS:
        return rows
    return np.sort(keyed_generator(seed, "baseline", "rows", fold).choice(rows, MAX_TRAINING_ROWS, replace=False))


def _standardize(features: Doubles, training: Integers) -> Doubles:
    """Standardized features; unknown values become the median of the training rows."""
    table = np.asarray(features, np.float64)
    is_finite = np.isfinite(table)
    is_measured = is_finite[training].any(axis=0)
    median = np.nanmedian(np.where(is_finite & is_measured, table, np.where(is_measured, np.nan, 0))[training], axis=0)
    filled = np.where(is_finite, table, median)
    deviation = filled[training].std(axis=0)
    return np.asarray((filled - filled[training].mean(axis=0)) / np.where(deviation > 0, deviation, 1))


def _make_predictions(
    name: str, truth: AnyLabels, decided: LabelMatrix, kind: Kind, method: str, chance: Doubles | None = None
) -> BaselinePredictions:
    """Predictions in the form of the labels; without probabilities, the decisions count as nearly certain."""
    if isinstance(truth, LabelMatrix) or decided.classes > MANY_CLASSES:
        top = np.zeros((len(decided), 1), np.int64)
        has_label = decided.label_counts > 0
        top[has_label, 0] = decided.numbers[decided.starts[:-1][has_label]]
        rest = np.full(len(decided), np.log(MIN_PROBABILITY), np.float32)
        logits: AnyScores = TopKScores(decided.classes, top.astype(np.int32), np.zeros(top.shape, np.float32), rest)
        return BaselinePredictions(name, decided, logits, method)
    probability = np.clip(
        decided[:].astype(np.float64) if chance is None else chance, MIN_PROBABILITY, 1 - MIN_PROBABILITY
    )
    scores = np.log(probability) if kind == "multiclass" else np.log(probability) - np.log1p(-probability)
    return BaselinePredictions(name, decided[:], scores.astype(np.float32), method)


def _add_method(metric: Metric, method: str) -> Metric:
    return replace(metric, method=f"{method}; {metric.method}")
