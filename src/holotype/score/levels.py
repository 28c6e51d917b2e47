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
from holotype.types import LEAVES, AnyLabels, Integers, LabelMatrix, Ranks, TopScores

__all__ = ["back_off_table", "level_table"]

Doubles = NDArray[np.float64]
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
    parts = [_at_rank(judged, None), *(_at_rank(judged, np.asarray(row)) for row in ranks.parents)]
    truth, decided = [part.truth for part, _ in parts], [part.decided for part, _ in parts]
    table = []
    for number, (name, (part, sure)) in enumerate(zip((LEAVES, *ranks.names), parts, strict=True)):
        found = bootstrap_intervals(["accuracy", "macro_f1"], part, draws)
        accuracy = found["accuracy"]
        table.append({
            "rank": name, "classes": part.truth.shape[1], "accuracy": accuracy.value, "low": accuracy.low,
            "high": accuracy.high, "macro_f1": found["macro_f1"].value,
            "hierarchical_f1": hierarchical_scores(truth[number:], decided[number:])[2],
            "curve": _curve(sure, part),
        })  # fmt: skip
    return table


def _at_rank(judged: Judged, parents: Integers | None) -> tuple[Judged, Doubles]:
    """The samples at one rank, and how sure it is of what was decided there."""
    if isinstance(judged.logits, TopScores):
        return _many_at_rank(judged, judged.logits, parents)
    truth, decided = judged.truth, judged.decided
    said = probabilities(judged.logits, judged.kind)
    if parents is not None:
        truth, decided, said = level_truth(truth, parents), level_truth(decided, parents), level_scores(said, parents)
    logits = np.log(np.maximum(said, SMALLEST)).astype(np.float32)
    sure = np.where(LabelMatrix.of(decided)[:], said, 0.0).max(axis=1)
    return Judged(truth, decided, logits, judged.kind), sure


def _many_at_rank(judged: Judged, scores: TopScores, parents: Integers | None) -> tuple[Judged, Doubles]:
    """The same of very many classes: a taxon is as likely as those of its classes that were kept."""
    truth, decided = LabelMatrix.of(judged.truth), LabelMatrix.of(judged.decided)
    own = np.arange(scores.classes) if parents is None else parents
    taxon = own[scores.top]
    likely = np.exp(scores.logit.astype(np.float64) - scores.total[:, None])
    sure = np.where(taxon == taxon[:, :1], likely, 0.0).sum(axis=1)
    if parents is None:
        return judged, sure
    known = [np.log(np.clip(part, SMALLEST, 1)).astype(np.float32) for part in (sure, 1 - sure)]
    logits = TopScores(int(parents.max()) + 1, taxon[:, :1].astype(np.int32), known[0][:, None], known[1])
    return Judged(level_truth(truth, parents), level_truth(decided, parents), logits, judged.kind), sure


def back_off_table(
    answers: tuple[Integers, Integers], target: float, labels: AnyLabels, ranks: Ranks, draws: Draws, seed: int
) -> list[dict[str, Any]]:
    """One entry a rank at which samples are answered, as `Scorecard.back_off` describes them.

    Args:
        answers: The rank and the taxon of each sample, -1 where there is none, shape (n,) each.
        target: The share of answers that should be right.
        labels: Which classes each sample has, shape (n, classes).
        ranks: Above the classes.
        draws: Draws of the samples' groups.
        seed: The recipe's seed.
    """
    rank, taxon = answers
    truth = LabelMatrix.of(labels)[:]
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


def _curve(sure: Doubles, judged: Judged) -> list[dict[str, float]]:
    """Accuracy of the surest samples, at about fifty shares of them, by the probability of what was decided."""
    truth, decided = LabelMatrix.of(judged.truth), LabelMatrix.of(judged.decided)
    wrong = np.unique(np.setxor1d(truth.places, decided.places) // truth.classes)
    steps = accuracy_by_coverage(sure, ~np.isin(np.arange(len(truth)), wrong))
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
