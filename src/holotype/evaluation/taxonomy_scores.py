"""Scores by taxonomic rank: of decided classes, and of answers with back-off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.evaluation.metrics import (
    GroupResamples,
    ScoredSamples,
    accuracy_by_coverage,
    bootstrap_interval,
    bootstrap_intervals,
    hierarchical_scores,
    probabilities,
    rank_labels,
    rank_scores,
    resample_groups,
)
from holotype.types import CLASS_RANK, AnyLabels, Doubles, Integers, LabelMatrix, Ranks, TopKScores

CURVE_POINTS = 50
EPSILON = 1e-30


def rank_table(scored: ScoredSamples, ranks: Ranks, resamples: GroupResamples) -> list[dict[str, Any]]:
    """Build the table of ranks, the classes first, as in `Scorecard.ranks`."""
    if not ranks.names:
        return []
    parts = [_score_at_rank(scored, None), *(_score_at_rank(scored, np.asarray(row)) for row in ranks.parents)]
    truth, decided = [part.truth for part, _ in parts], [part.decided for part, _ in parts]
    table = []
    for number, (name, (part, confidence)) in enumerate(zip((CLASS_RANK, *ranks.names), parts, strict=True)):
        intervals = bootstrap_intervals(["accuracy", "macro_f1"], part, resamples)
        accuracy = intervals["accuracy"]
        table.append(
            {
                "rank": name,
                "classes": part.truth.shape[1],
                "accuracy": accuracy.value,
                "low": accuracy.low,
                "high": accuracy.high,
                "macro_f1": intervals["macro_f1"].value,
                "hierarchical_f1": hierarchical_scores(truth[number:], decided[number:])[2],
                "curve": _accuracy_coverage_curve(confidence, part),
            }
        )
    return table


def _score_at_rank(scored: ScoredSamples, parents: Integers | None) -> tuple[ScoredSamples, Doubles]:
    if isinstance(scored.logits, TopKScores):
        return _topk_at_rank(scored, scored.logits, parents)
    truth, decided = scored.truth, scored.decided
    probability = probabilities(scored.logits, scored.kind)
    if parents is not None:
        truth, decided, probability = (
            rank_labels(truth, parents),
            rank_labels(decided, parents),
            rank_scores(probability, parents),
        )
    logits = np.log(np.maximum(probability, EPSILON)).astype(np.float32)
    confidence = np.where(LabelMatrix.from_dense(decided)[:], probability, 0.0).max(axis=1)
    return ScoredSamples(truth, decided, logits, scored.kind), confidence


def _topk_at_rank(scored: ScoredSamples, scores: TopKScores, parents: Integers | None) -> tuple[ScoredSamples, Doubles]:
    """The same for top-k scores: the probability of a taxon is that of its classes in the top k."""
    truth, decided = LabelMatrix.from_dense(scored.truth), LabelMatrix.from_dense(scored.decided)
    taxon_of_class = np.arange(scores.classes) if parents is None else parents
    taxon = taxon_of_class[scores.top_classes]
    probability = np.exp(scores.top_logits.astype(np.float64) - scores.total[:, None])
    confidence = np.where(taxon == taxon[:, :1], probability, 0.0).sum(axis=1)
    if parents is None:
        return scored, confidence
    log_probs = [np.log(np.clip(part, EPSILON, 1)).astype(np.float32) for part in (confidence, 1 - confidence)]
    logits = TopKScores(int(parents.max()) + 1, taxon[:, :1].astype(np.int32), log_probs[0][:, None], log_probs[1])
    return ScoredSamples(rank_labels(truth, parents), rank_labels(decided, parents), logits, scored.kind), confidence


def back_off_table(
    answers: tuple[Integers, Integers],
    target: float,
    labels: AnyLabels,
    ranks: Ranks,
    resamples: GroupResamples,
    seed: int,
) -> list[dict[str, Any]]:
    """Build the table of answered ranks, as in `Scorecard.back_off`.

    `answers`: rank and taxon of each sample, -1 for no answer, shape (n,) each.
    """
    rank, taxon = answers
    truth = LabelMatrix.from_dense(labels)[:]
    rank_truth = [truth, *(rank_labels(truth, np.asarray(row)) for row in ranks.parents)]
    right = np.zeros(len(truth), bool)
    table = []
    for number, name in enumerate((CLASS_RANK, *ranks.names)):
        is_this_rank = rank == number
        right[is_this_rank] = rank_truth[number][is_this_rank, taxon[is_this_rank]]
        so_far = (rank >= 0) & (rank <= number)
        low, high = _accuracy_interval(right[so_far], resamples.groups[so_far], seed)
        table.append(
            {
                "rank": name,
                "target": target,
                "share": float(is_this_rank.mean()),
                "right": _mean_or_none(right[is_this_rank]),
                "coverage": float(so_far.mean()),
                "accuracy": _mean_or_none(right[so_far]),
                "low": low,
                "high": high,
            }
        )
    return table


def _accuracy_coverage_curve(confidence: Doubles, scored: ScoredSamples) -> list[dict[str, float]]:
    truth, decided = LabelMatrix.from_dense(scored.truth), LabelMatrix.from_dense(scored.decided)
    wrong = np.unique(np.setxor1d(truth.flat_indices, decided.flat_indices) // truth.classes)
    steps = accuracy_by_coverage(confidence, ~np.isin(np.arange(len(truth)), wrong))
    target_coverage = np.linspace(0, 1, CURVE_POINTS + 1)[1:]
    step_index = np.unique(np.minimum(np.searchsorted(steps[:, 0], target_coverage - 1e-9), len(steps) - 1))
    names: Sequence[str] = ("coverage", "accuracy", "confidence")
    return [dict(zip(names, map(float, row), strict=True)) for row in steps[step_index]]


def _accuracy_interval(right: NDArray[np.bool_], groups: Integers, seed: int) -> tuple[float | None, float | None]:
    if not len(right):
        return None, None
    all_true = np.ones((len(right), 1), bool)
    scored = ScoredSamples(all_true, right[:, None], np.zeros((len(right), 1), np.float32), "multiclass")
    metric = bootstrap_interval("accuracy", scored, resample_groups(all_true, groups, seed))
    return metric.low, metric.high


def _mean_or_none(right: NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if len(right) else None
