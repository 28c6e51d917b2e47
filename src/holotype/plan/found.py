"""The recipe that a search has found, with what was found of each setting as comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holotype.plan.propose import Proposal
from holotype.plan.space import Between, Dimension
from holotype.plan.study import TrialRecord
from holotype.plan.write import commented_text

__all__ = ["FOUND_BY", "found_recipe"]

FOUND_BY = "Written by `holotype tune`"


def found_recipe(
    content: dict[str, Any], best: TrialRecord, trials: int, space: Sequence[Dimension], shares: Mapping[str, float],
    words: Sequence[str],
) -> str:  # fmt: skip
    """The YAML of the best trial's recipe.

    Args:
        content: What the recipe says, the best settings in it.
        best: The best trial.
        trials: How many there were.
        space: What was searched.
        shares: How much of the scores' variation each dimension explains; empty where nobody can say.
        words: What else a reader must know, in sentences.
    """
    reasons = {}
    for dimension in space:
        reasons[f"members.0.{dimension.name}"] = _reason(dimension, best.drawn[dimension.name], shares)
    score = "no score" if best.score is None else f"macro F1 {best.score:.4f}"
    origin = f"{FOUND_BY}: trial {best.number} of {trials}, {score}."
    return commented_text(content, Proposal(content, reasons, warnings=tuple(words)), origin)


def _reason(dimension: Dimension, value: Any, shares: Mapping[str, float]) -> str:
    if isinstance(dimension, Between):
        shown = f"{value:.3g}" if isinstance(value, float) else f"{value}"
        among = f"from {dimension.low:g} to {dimension.high:g}"
    else:
        shown, among = str(value), f"among {', '.join(dimension.options)}"
    share = shares.get(dimension.name)
    weight = "" if share is None else f"; it explains {share:.0%} of what the scores differ by"
    return f"{dimension.name} {shown}, {among}{weight}"
