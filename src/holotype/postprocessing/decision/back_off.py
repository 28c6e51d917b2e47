"""Backing off: the species where it is sure enough, else the genus, else the family, else no answer."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.evaluation.metrics import rank_labels, rank_scores
from holotype.types import CLASS_RANK, BackOff, Integers, Ranks

__all__ = ["answer_columns", "back_off_answers", "fit_back_off", "meets_target", "top_taxa"]

Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]
NEVER = np.inf


def top_taxa(probability: Doubles, ranks: Ranks) -> tuple[Integers, Doubles]:
    """The likeliest class, and the likeliest taxon of each rank by the sum of its classes.

    The likeliest genus need not hold the likeliest species: three of its species may be likely together.

    Args:
        probability: Of the classes, shape (n, classes).
        ranks: Above them.

    Returns:
        Numbers of taxa and their probabilities, shape (n, 1 + ranks) each, the classes first.
    """
    sides = [probability, *(rank_scores(probability, np.asarray(row)) for row in ranks.parents)]
    taxa = np.stack([side.argmax(axis=1) for side in sides], axis=1)
    confidence = np.stack([side.max(axis=1) for side in sides], axis=1)
    return taxa.astype(np.int64), np.minimum(confidence, 1.0)


def fit_back_off(probability: Doubles, truth: Booleans, target: float, ranks: Ranks) -> BackOff:
    """The lowest thresholds at which enough answers are right, from the classes to the farthest rank.

    Each rank's threshold is the lowest at which, of all answers given at that rank or nearer, a wrong one more would
    still leave the target: (wrong + 1) / (answers + 1) <= 1 - target. That is the correction of conformal risk control
    (Angelopoulos et al. 2024), but no proof: the share of wrong answers does not fall steadily with the threshold, and
    the lowest one that fits is looked for. On fresh samples it is right about as often as was asked where hundreds
    were answered. Where a handful were, it mostly answers nothing, and less is right of what it does answer. The plain
    quantile falls short wherever samples are few, and a bound of 90 % confidence leaves small sets without any answer
    (bench/back_off.py). What a run's thresholds are worth is what its score says, where each is fitted without the
    fold it answers.

    Args:
        probability: Out of fold, shape (n, classes).
        truth: Which classes each sample has, shape (n, classes).
        target: The share of answers that should be right.
        ranks: Above the classes.
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
    """The rank at which each sample is answered, and the answer.

    Args:
        back_off: From `fit_back_off`.
        probability: Of the classes, shape (n, classes).

    Returns:
        Ranks, 0 for the classes and -1 where there is no answer, and numbers of taxa, -1 there too; shape (n,) each.
    """
    taxa, confidence = top_taxa(probability, back_off.ranks)
    enough = confidence >= np.asarray(back_off.thresholds)
    rank = np.where(enough.any(axis=1), enough.argmax(axis=1), -1).astype(np.int64)
    return rank, np.where(rank < 0, -1, taxa[np.arange(len(taxa)), rank]).astype(np.int64)


def answer_columns(back_off: BackOff, probability: Doubles, classes: tuple[str, ...]) -> list[pl.Series]:
    """Columns for a spreadsheet: `answer`, the name of a class or a taxon, and `rank`, what it is; both may be empty.

    Args:
        back_off: From `fit_back_off`.
        probability: Of the classes, shape (n, classes).
        classes: The class names in order.
    """
    names, taxa = (CLASS_RANK, *back_off.ranks.names), (classes, *back_off.ranks.taxa)
    pairs = list(zip(*back_off_answers(back_off, probability), strict=True))
    answers = [None if rank < 0 else taxa[rank][taxon] for rank, taxon in pairs]
    rank_names = [None if rank < 0 else names[rank] for rank, _ in pairs]
    return [pl.Series("answer", answers, pl.String), pl.Series("rank", rank_names, pl.String)]


def meets_target(answers: Integers, wrong: Integers, max_error_rate: float) -> Booleans:
    """Whether a wrong answer more would still leave so many right.

    Args:
        answers: How many there are, any shape.
        wrong: How many of them are wrong, the same shape.
        max_error_rate: The share that may be wrong.
    """
    return np.asarray(
        wrong + 1 <= max_error_rate * (answers + 1) + 1e-9
    )  # 0.05 of 20 should not be below 1 by rounding


def _lowest_threshold(confidence: Doubles, wrong: Booleans, before: tuple[int, int], target: float) -> float:
    """The lowest threshold that keeps the target, given the answers and mistakes of nearer ranks."""
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    ends = np.flatnonzero(np.append(falling[1:] < falling[:-1], True)) if len(falling) else np.empty(0, np.int64)
    answers, mistakes = before[0] + ends + 1, before[1] + np.cumsum(wrong[order])[ends]
    passing = np.flatnonzero(meets_target(answers, mistakes, 1 - target))
    return float(falling[ends[passing[-1]]]) if len(passing) else NEVER
