"""Tuned recipe: the best settings of a search, with comments on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holotype.inspect.propose import Proposal
from holotype.inspect.write_recipe import commented_text
from holotype.tuning.space import Dimension, NumericRange
from holotype.tuning.study import TrialRecord

WRITTEN_BY = "Written by `holotype tune`"


def tuned_recipe_text(
    content: dict[str, Any],
    best: TrialRecord,
    trials: int,
    space: Sequence[Dimension],
    shares: Mapping[str, float],
    words: Sequence[str],
) -> str:
    """Format the recipe of the best trial as commented YAML.

    `shares`: importance of each dimension; may be empty; `words`: further remarks for the reader, as sentences.
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
        among = f"searched from {dimension.low:g} to {dimension.high:g}"
    else:
        text, among = str(value), f"chosen from {', '.join(dimension.options)}"
    share = shares.get(dimension.name)
    weight = "" if share is None else f"; it explains {share:.0%} of the variation between scores"
    return f"{dimension.name} {text}, {among}{weight}"
