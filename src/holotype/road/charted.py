"""What the report's charts are drawn from: each class's curves, and the links between classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import logit, logsumexp

from holotype.members import MemberPredictions, histories
from holotype.metrics import score_histogram, threshold_curve
from holotype.report import ClassCurve, ClassCurves, ClassLinks
from holotype.score import NestedScore, company_links, confusion_links
from holotype.table_files import read_parquet
from holotype.types import Decision, Integers, Kind, LabelMatrix, TopScores

__all__ = ["chosen_thresholds", "class_curves", "class_links", "finder_curves"]

POINTS, POINTS_AT_MOST, FEWEST_POINTS = 200, 100_000, 40
BINS, FURTHEST = 42, 7.0


def class_curves(nested: NestedScore, decision: Decision) -> ClassCurves | None:
    """Precision, recall and scores of each class at every threshold, each class against all others.

    Args:
        nested: The honest score, and what it was computed from.
        decision: Knows the thresholds, where there are any.

    Returns:
        None where there are so many classes that only the likeliest of each sample are known.
    """
    logits, truth = nested.logits, nested.truth
    if isinstance(logits, TopScores):
        return None
    labels = LabelMatrix.of(truth)
    at_most = max(FEWEST_POINTS, min(POINTS, POINTS_AT_MOST // labels.classes))
    edges = np.linspace(-FURTHEST, FURTHEST, BINS + 1)
    chosen = chosen_thresholds(decision)
    owners = np.split(labels.owners[np.argsort(labels.numbers, kind="stable")], np.cumsum(labels.counts())[:-1])
    made = []
    for number, score in enumerate(_log_odds(logits, decision.kind)):
        positive = np.zeros(len(labels), bool)
        positive[owners[number]] = True
        curve = threshold_curve(positive, score, at_most)
        bars = score_histogram(positive, score, edges)
        lines = (curve.threshold, curve.precision, curve.recall, curve.average_precision)
        made += [ClassCurve(*lines, *bars, None if chosen is None else chosen[number])]
    return ClassCurves(tuple(made), edges)


def chosen_thresholds(decision: Decision) -> tuple[float, ...] | None:
    """The probability from which on each class is given; none where the rule has no such thing.

    Args:
        decision: The rule.
    """
    has_them = decision.kind == "multilabel" and len(decision.thresholds) == len(decision.classes)
    return decision.thresholds if has_them and decision.rule != "assign" else None


def class_links(nested: NestedScore, counts: Integers, kind: Kind) -> ClassLinks:
    """Which classes are taken for each other, and which labels come together.

    Args:
        nested: The honest score, and what it was computed from.
        counts: Samples by (truth, decided), shape (classes, classes).
        kind: One label a sample, or many.
    """
    supports = LabelMatrix.of(nested.truth).counts()
    together = company_links(nested.truth) if kind == "multilabel" else []
    return ClassLinks(supports, confusion_links(counts, supports), together)


def finder_curves(members: Sequence[MemberPredictions]) -> dict[str, pl.DataFrame]:
    """What rate finders measured, by `member/fold0/phase`.

    Args:
        members: And their networks.
    """
    return {
        f"{name}/{path.stem.removeprefix('finder-')}": read_parquet(path)
        for name, history in histories(members).items()
        for path in sorted(history.parent.glob("finder-*.parquet"))
    }


def _log_odds(logits: NDArray[np.float32], kind: Kind) -> Iterator[NDArray[np.float64]]:
    """Log-odds of each class by itself, class after class, so that a wide table is never doubled."""
    total = logsumexp(logits.astype(np.float32), axis=1).astype(np.float64) if kind == "multiclass" else None
    for column in logits.T:
        score = column.astype(np.float64)
        yield score if total is None else logit(np.clip(np.exp(score - total), 1e-12, 1 - 1e-12))
