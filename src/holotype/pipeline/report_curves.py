"""Report curves: precision-recall curves of each class, links between classes, learning-rate finders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import logit, logsumexp

from holotype.core.table_files import read_parquet
from holotype.evaluation import NestedScore, confused_pairs, cooccurring_pairs
from holotype.evaluation.metrics import score_histogram, threshold_curve
from holotype.pipeline.models import ModelPredictions, histories
from holotype.report import ClassCurve, ClassCurves, ClassGraphData
from holotype.types import Decision, Integers, Kind, LabelMatrix, TopKScores

POINTS, MAX_POINTS, MIN_POINTS = 200, 100_000, 40
BINS, MAX_LOG_ODDS = 42, 7.0


def class_curves(nested: NestedScore, decision: Decision) -> ClassCurves | None:
    """Precision-recall curves and score histograms of each class against all others.

    Returns:
        None with so many classes that only the top scores are kept.
    """
    logits, truth = nested.logits, nested.truth
    if isinstance(logits, TopKScores):
        return None
    labels = LabelMatrix.from_dense(truth)
    at_most = max(MIN_POINTS, min(POINTS, MAX_POINTS // labels.classes))
    edges = np.linspace(-MAX_LOG_ODDS, MAX_LOG_ODDS, BINS + 1)
    thresholds = decision_thresholds(decision)
    rows_of_class = np.split(
        labels.row_indices[np.argsort(labels.numbers, kind="stable")], np.cumsum(labels.counts())[:-1]
    )
    curves = []
    for number, score in enumerate(_iter_log_odds(logits, decision.kind)):
        positive = np.zeros(len(labels), bool)
        positive[rows_of_class[number]] = True
        curve = threshold_curve(positive, score, at_most)
        bars = score_histogram(positive, score, edges)
        lines = (curve.threshold, curve.precision, curve.recall, curve.average_precision)
        curves += [ClassCurve(*lines, *bars, None if thresholds is None else thresholds[number])]
    return ClassCurves(tuple(curves), edges)


def decision_thresholds(decision: Decision) -> tuple[float, ...] | None:
    """Probability thresholds of a decision, one per class; None if the rule has none."""
    has_them = decision.kind == "multilabel" and len(decision.thresholds) == len(decision.classes)
    return decision.thresholds if has_them and decision.rule != "assign" else None


def class_graph_data(nested: NestedScore, counts: Integers, kind: Kind) -> ClassGraphData:
    """Class graph: confused pairs, and labels that occur together.

    Args:
        counts: Number of samples by (true, decided) class, shape (classes, classes).
    """
    supports = LabelMatrix.from_dense(nested.truth).counts()
    cooccurring = cooccurring_pairs(nested.truth) if kind == "multilabel" else []
    return ClassGraphData(supports, confused_pairs(counts, supports), cooccurring)


def finder_curves(models: Sequence[ModelPredictions]) -> dict[str, pl.DataFrame]:
    """Learning-rate finder curves, by `model/fold0/phase`."""
    return {
        f"{name}/{path.stem.removeprefix('finder-')}": read_parquet(path)
        for name, history in histories(models).items()
        for path in sorted(history.parent.glob("finder-*.parquet"))
    }


def _iter_log_odds(logits: NDArray[np.float32], kind: Kind) -> Iterator[NDArray[np.float64]]:
    """One-vs-rest log-odds of each class, one at a time to save memory."""
    total = logsumexp(logits.astype(np.float32), axis=1).astype(np.float64) if kind == "multiclass" else None
    for column in logits.T:
        score = column.astype(np.float64)
        yield score if total is None else logit(np.clip(np.exp(score - total), 1e-12, 1 - 1e-12))
