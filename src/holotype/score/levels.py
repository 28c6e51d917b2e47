"""Scores by rank: of the decided classes, and of the answers that back off to a rank that is sure enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.decide import probabilities
from holotype.metrics import (
    Draws,
    Judged,
    accuracy_by_coverage,
    bootstrap_interval,
    bootstrap_intervals,
    draw_groups,
    hierarchical_scores,
    level_scores,
    level_truth,
)
from holotype.types import LEAVES, Integers, Ranks

__all__ = ["back_off_table", "level_table"]

CURVE_POINTS = 50
SMALLEST = 1e-30


def level_table(judged: Judged, ranks: Ranks, draws: Draws) -> list[dict[str, Any]]:
    """One entry a rank, the classes' own first, as `Scorecard.levels` describes them.

    Args:
        judged: The samples, of one label each.
        ranks: Above the classes; without any there is no table.
        draws: Draws of their groups.
    """
    if not ranks.names:
        return []
    said = probabilities(judged.logits, judged.kind)
    places = [np.asarray(row) for row in ranks.parents]
    truth, decided = ([side, *(level_truth(side, row) for row in places)] for side in (judged.truth, judged.decided))
    scores = [said, *(level_scores(said, row) for row in places)]
    table = []
    for number, name in enumerate((LEAVES, *ranks.names)):
        logits = np.log(np.maximum(scores[number], SMALLEST)).astype(np.float32)
        part = Judged(truth[number], decided[number], logits, judged.kind)
        found = bootstrap_intervals(["accuracy", "macro_f1"], part, draws)
        accuracy = found["accuracy"]
        table.append({
            "rank": name, "classes": part.truth.shape[1], "accuracy": accuracy.value, "low": accuracy.low,
            "high": accuracy.high, "macro_f1": found["macro_f1"].value,
            "hierarchical_f1": hierarchical_scores(truth[number:], decided[number:])[2],
            "curve": _curve(scores[number], part),
        })  # fmt: skip
    return table


def back_off_table(
    answers: tuple[Integers, Integers], target: float, truth: NDArray[np.bool_], ranks: Ranks, draws: Draws, seed: int
) -> list[dict[str, Any]]:
    """One entry a rank at which samples are answered, as `Scorecard.back_off` describes them.

    Args:
        answers: The rank and the taxon of each sample, -1 where there is none, shape (n,) each.
        target: The share of answers that should be right.
        truth: Which classes each sample has, shape (n, classes).
        ranks: Above the classes.
        draws: Draws of the samples' groups.
        seed: The recipe's seed.
    """
    rank, taxon = answers
    known = [truth, *(level_truth(truth, np.asarray(row)) for row in ranks.parents)]
    right = np.zeros(len(truth), bool)
    table = []
    for number, name in enumerate((LEAVES, *ranks.names)):
        here = rank == number
        right[here] = known[number][here, taxon[here]]
        so_far = (rank >= 0) & (rank <= number)
        low, high = _interval(right[so_far], draws.groups[so_far], seed)
        table.append({
            "rank": name, "target": target, "share": float(here.mean()), "right": _share(right[here]),
            "coverage": float(so_far.mean()), "accuracy": _share(right[so_far]), "low": low, "high": high,
        })  # fmt: skip
    return table


def _curve(scores: NDArray[np.float64], judged: Judged) -> list[dict[str, float]]:
    """Accuracy of the surest samples, at about fifty shares of them, by the probability of what was decided."""
    sure = np.where(judged.decided, scores, 0.0).max(axis=1)
    steps = accuracy_by_coverage(sure, (judged.truth == judged.decided).all(axis=1))
    wanted = np.linspace(0, 1, CURVE_POINTS + 1)[1:]
    kept = np.unique(np.minimum(np.searchsorted(steps[:, 0], wanted - 1e-9), len(steps) - 1))
    names: Sequence[str] = ("coverage", "accuracy", "sureness")
    return [dict(zip(names, map(float, row), strict=True)) for row in steps[kept]]


def _interval(right: NDArray[np.bool_], groups: Integers, seed: int) -> tuple[float | None, float | None]:
    """Of the share that is right among some samples, their groups drawn anew."""
    if not len(right):
        return None, None
    every = np.ones((len(right), 1), bool)
    alone = Judged(every, right[:, None], np.zeros((len(right), 1), np.float32), "multiclass")
    found = bootstrap_interval("accuracy", alone, draw_groups(every, groups, seed))
    return found.low, found.high


def _share(right: NDArray[np.bool_]) -> float | None:
    return float(right.mean()) if len(right) else None
