"""Taxonomic back-off: answer with the species if it is certain enough, else the genus, the family, or nothing."""

from __future__ import annotations

import numpy as np
import polars as pl

from holotype.evaluation.metrics import rank_labels, rank_scores
from holotype.types import CLASS_RANK, BackOff, Booleans, Doubles, Integers, Ranks

NEVER = np.inf


def top_taxa(probability: Doubles, ranks: Ranks) -> tuple[Integers, Doubles]:
    """Find the most likely class, and the most likely taxon of each rank by the sum of its classes.

    The most likely genus need not contain the most likely species: three other species may add up to more.

    Returns taxon numbers and their probabilities, shape (n, 1 + ranks) each, the classes first.
    """
    sides = [probability, *(rank_scores(probability, np.asarray(row)) for row in ranks.parents)]
    taxa = np.stack([side.argmax(axis=1) for side in sides], axis=1)
    confidence = np.stack([side.max(axis=1) for side in sides], axis=1)
    return taxa.astype(np.int64), np.minimum(confidence, 1.0)


def fit_back_off(probability: Doubles, truth: Booleans, target: float, ranks: Ranks) -> BackOff:
    """Fit the lowest thresholds at which the target share of answers is right, rank by rank from the classes upwards.

    The threshold of a rank is the lowest at which, among all answers at that rank or below, one more wrong answer would
    still meet the target: (wrong + 1) / (answers + 1) <= 1 - target. This is the correction of conformal risk control
    (Angelopoulos et al. 2024), but without its guarantee: the error rate is not monotone in the threshold, and the
    lowest passing threshold is searched. With hundreds of answers the target is about met on new samples; with a
    handful, most samples get no answer and fewer answers are right. The plain quantile misses the target on small sets,
    and a bound of 90 % confidence leaves them without any answer (bench/back_off.py). The nested score fits the
    thresholds without the scored fold, so it says how well they work.

    `target`: share of answers that should be right.
    """
    taxa, confidence = top_taxa(probability, ranks)
    rank_truth = [truth, *(rank_labels(truth, np.asarray(row)) for row in ranks.parents)]
    right = np.stack([side[np.arange(len(truth)), taxa[:, rank]] for rank, side in enumerate(rank_truth)], axis=1)
    unanswered, answers, wrong = truth.any(axis=1), 0, 0
    thresholds = []
    for rank in range(taxa.shape[1]):
        threshold = _lowest_threshold(confidence[unanswered, rank], ~right[unanswered, rank], (answers, wrong), target)
        answered = unanswered & (confidence[:, rank] >= threshold)
        answers, wrong = answers + int(answered.sum()), wrong + int((answered & ~right[:, rank]).sum())
        unanswered = unanswered & ~answered
        thresholds.append(threshold)
    return BackOff(target, tuple(thresholds), ranks)


def back_off_answers(back_off: BackOff, probability: Doubles) -> tuple[Integers, Integers]:
    """Answer each sample at the lowest rank whose threshold is reached.

    Returns ranks (0 for the classes, -1 for no answer) and taxon numbers (-1 for no answer), shape (n,) each.
    """
    taxa, confidence = top_taxa(probability, back_off.ranks)
    enough = confidence >= np.asarray(back_off.thresholds)
    rank = np.where(enough.any(axis=1), enough.argmax(axis=1), -1).astype(np.int64)
    return rank, np.where(rank < 0, -1, taxa[np.arange(len(taxa)), rank]).astype(np.int64)


def answer_columns(back_off: BackOff, probability: Doubles, classes: tuple[str, ...]) -> list[pl.Series]:
    """Build the columns `answer` (name of a class or taxon) and `rank` for a spreadsheet; null without an answer."""
    names, taxa = (CLASS_RANK, *back_off.ranks.names), (classes, *back_off.ranks.taxa)
    pairs = list(zip(*back_off_answers(back_off, probability), strict=True))
    answers = [None if rank < 0 else taxa[rank][taxon] for rank, taxon in pairs]
    rank_names = [None if rank < 0 else names[rank] for rank, _ in pairs]
    return [pl.Series("answer", answers, pl.String), pl.Series("rank", rank_names, pl.String)]


def meets_target(answers: Integers, wrong: Integers, max_error_rate: float) -> Booleans:
    """Check that one more wrong answer would still keep the error rate."""
    return np.asarray(wrong + 1 <= max_error_rate * (answers + 1) + 1e-9)  # 0.05 of 20 is 1 despite rounding


def _lowest_threshold(confidence: Doubles, wrong: Booleans, before: tuple[int, int], target: float) -> float:
    """The lowest threshold that meets the target, given (answers, mistakes) at lower ranks."""
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    ends = np.flatnonzero(np.append(falling[1:] < falling[:-1], True)) if len(falling) else np.empty(0, np.int64)
    answers, mistakes = before[0] + ends + 1, before[1] + np.cumsum(wrong[order])[ends]
    passing = np.flatnonzero(meets_target(answers, mistakes, 1 - target))
    return float(falling[ends[passing[-1]]]) if len(passing) else NEVER
