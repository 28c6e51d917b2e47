"""The recipe that a search has found, with what was found of each setting as comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holotype.inspect.propose import Proposal
from holotype.inspect.write_recipe import commented_text
from holotype.tuning.space import Dimension, NumericRange
from holotype.tuning.study import TrialRecord

__all__ = ["WRITTEN_BY", "tuned_recipe_text"]

WRITTEN_BY = "Written by `holotype tune`"


def tuned_recipe_text(
    content: dict[str, Any],
    best: TrialRecord,
    trials: int,
    space: Sequence[Dimension],
    shares: Mapping[str, float],
    words: Sequence[str],
) -> str:
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
        reasons[f"models.0.{dimension.name}"] = _describe_value(dimension, best.drawn[dimension.name], shares)
    score = "no score" if best.score is None else f"macro F1 {best.score:.4f}"
    origin = f"{WRITTEN_BY}: trial {best.number} of {trials}, {score}."
    return commented_text(content, Proposal(content, reasons, warnings=tuple(words)), origin)


def _describe_value(dimension: Dimension, value: Any, shares: Mapping[str, float]) -> str:
    if isinstance(dimension, NumericRange):
        text = f"{value:.3g}" if isinstance(value, float) else f"{value}"
        among = f"from {dimension.low:g} to {dimension.high:g}"
    else:
        text, among = str(value), f"among {', '.join(dimension.options)}"
    share = shares.get(dimension.name)
    weight = "" if share is None else f"; it explains {share:.0%} of what the scores differ by"
    return f"{dimension.name} {text}, {among}{weight}"
