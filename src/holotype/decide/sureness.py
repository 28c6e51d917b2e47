"""How sure scores are of what was decided: the samples that are wrong surely, and those that show a class best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holotype.decide.rules import probabilities
from holotype.types import AnyLabels, AnyScores, Kind, LabelMatrix, TopScores

__all__ = ["narrowest", "surest_of_classes", "wrong_surely"]

TINIEST = 1e-9


def wrong_surely(truth: AnyLabels, decided: AnyLabels, logits: AnyScores, kind: Kind) -> NDArray[np.float64]:
    """Confidence of wrong decisions: the probability of the likeliest label that a sample was given wrongly.

    Where a sample of many labels was given nothing wrong but lacks a label, it is how sure the scores are that it lacks
    the label: one less its probability.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).
        logits: Shape (n, classes).
        kind: `multiclass` or `multilabel`.

    Returns:
        Probabilities, shape (n,); -1 where nothing is wrong.
    """
    known, given = LabelMatrix.of(truth), LabelMatrix.of(decided)
    probability = logits if isinstance(logits, TopScores) else probabilities(logits, kind)
    added, missed = np.full(len(known), -1.0), np.full(len(known), -1.0)
    for own, other, surest in ((given, known, added), (known, given, missed)):
        wrong = ~np.isin(own.places, other.places)
        rows, numbers = own.owners[wrong], own.numbers[wrong]
        if isinstance(probability, TopScores):
            value = np.exp(probability[rows].log_probability(numbers))
        else:
            value = probability[rows, numbers]
        np.maximum.at(surest, rows, value if surest is added else 1 - value)
    return np.where(added >= 0, added, missed)


def surest_of_classes(truth: AnyLabels, decided: AnyLabels, logits: AnyScores, most: int) -> list[int]:
    """One sample a class: the one of the highest score, of those that are decided rightly where there are any.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).
        logits: Shape (n, classes).
        most: Classes that are looked at, the first ones; of very many the commonest.

    Returns:
        Rows, each once, in the order of the classes.
    """
    known, given = LabelMatrix.of(truth), LabelMatrix.of(decided)
    wrong = np.unique(np.setxor1d(known.places, given.places) // known.classes)
    right = ~np.isin(np.arange(len(known)), wrong)
    rows, numbers = known.owners, known.numbers
    if isinstance(logits, TopScores):
        classes = np.sort(np.argsort(-known.counts(), kind="stable")[:most])
        scores = logits[rows].log_probability(numbers)
    else:
        classes, scores = np.arange(min(known.classes, most)), logits[rows, numbers].astype(np.float64)
    scores = scores + 1e3 * right[rows]
    chosen = []
    for number in classes:
        own = np.flatnonzero(numbers == number)
        if len(own):
            chosen.append(int(rows[own[scores[own].argmax()]]))
    return list(dict.fromkeys(chosen))


def narrowest(
    logits: AnyScores, kind: Kind, thresholds: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """How little each sample's decision hangs on.

    Args:
        logits: Shape (n, classes).
        kind: `multiclass`: the margin between the two likeliest classes; `multilabel`: the class that lies nearest to
            its threshold, by log-odds.
        thresholds: One probability a class, for many labels a sample.

    Returns:
        The margin, shape (n,), small where a decision is least certain; the two classes, or the one, shape (n, 2 or 1);
        and their probabilities, in the same shape.
    """
    if isinstance(logits, TopScores):
        chosen = logits.top[:, :2].astype(np.int64)
        value = np.exp(logits.logit[:, :2].astype(np.float64) - logits.total[:, None])
        return value[:, 0] - value[:, -1], chosen, value
    said = np.asarray(probabilities(logits, kind), np.float64)
    if kind == "multilabel":
        own, wanted = (np.clip(part, TINIEST, 1 - TINIEST) for part in (said, np.asarray(thresholds, np.float64)))
        distance = np.abs(np.log(own / (1 - own)) - np.log(wanted / (1 - wanted)))
        chosen = distance.argmin(axis=1)[:, None]
        return np.take_along_axis(distance, chosen, 1)[:, 0], chosen, np.take_along_axis(said, chosen, 1)
    chosen = np.argsort(-said, axis=1, kind="stable")[:, :2]
    value = np.take_along_axis(said, chosen, 1)
    return value[:, 0] - value[:, -1], chosen, value
