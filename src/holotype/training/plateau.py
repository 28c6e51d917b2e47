"""When a score stands still: rewinds, cuts of the rate and early stops, as pure state machines."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from holotype.recipe.sections.schedule import EarlyStoppingSpec, PlateauSpec

__all__ = ["Plateau", "Verdict", "advance", "advance_early_stopping", "plateau_rate", "selection_score"]

Verdict = Literal["keep", "improved", "rewind", "stop"]


@dataclass(frozen=True)
class Plateau:
    """What is remembered between epochs; every field can be written as JSON.

    Args:
        best: The best score so far, none before the first.
        since: Epochs since the best, or since the last cut.
        cuts: How often the rate was cut.
        stopped: Whether the phase is over.
    """

    best: float | None = None
    since: int = 0
    cuts: int = 0
    stopped: bool = False


def advance(plateau: Plateau, spec: PlateauSpec, score: float) -> tuple[Plateau, Verdict]:
    """The state after one more epoch, and what to do.

    Args:
        plateau: The state before.
        spec: The recipe's section.
        score: Of the epoch, larger is better (the negative of a loss); what is not finite is no gain.

    Returns:
        The state and the verdict. `rewind` means: multiply the rate by the factor, as `plateau_rate` does from the
        state, and where `spec.rewind` is on load the best weights.
    """
    after = _count_epoch(plateau, score, 0.0)
    if after.stopped or after.since == 0:
        return after, "stop" if after.stopped else "improved"
    if after.since < spec.patience:
        return after, "keep"
    if after.cuts >= spec.rewinds or spec.factor ** (after.cuts + 1) < spec.minimum:
        return replace(after, stopped=True), "stop"
    return replace(after, since=0, cuts=after.cuts + 1), "rewind"


def advance_early_stopping(plateau: Plateau, spec: EarlyStoppingSpec, score: float) -> tuple[Plateau, Verdict]:
    """The state of an early stop after one more epoch.

    Args:
        plateau: The state before.
        spec: The recipe's section.
        score: What `spec.on` names, larger is better (the negative of a loss).

    Returns:
        The state, and `improved`, `keep` or `stop`.
    """
    after = _count_epoch(plateau, score, spec.min_delta)
    if after.stopped or after.since >= spec.patience:
        return replace(after, stopped=True), "stop"
    return after, "keep" if after.since else "improved"


def selection_score(score: float, loss: float, metric: str) -> float:
    """The value by which epochs, checkpoints and soups are compared, larger is better.

    Args:
        score: The metric; NaN where it is not defined because no class has a positive among the rows that choose. The
            loss chooses then, since it is defined whatever the labels are.
        loss: On the same rows.
        metric: `metric` or `loss`.
    """
    return -loss if metric == "loss" or math.isnan(score) else score


def plateau_rate(plateau: Plateau, spec: PlateauSpec) -> float:
    """The rate as a share of the largest.

    Args:
        plateau: The state.
        spec: The recipe's section.
    """
    return float(spec.factor**plateau.cuts)


def _count_epoch(plateau: Plateau, score: float, min_delta: float) -> Plateau:
    if plateau.stopped:
        return plateau
    if math.isfinite(score) and (plateau.best is None or score > plateau.best + min_delta):
        return replace(plateau, best=score, since=0)
    return replace(plateau, since=plateau.since + 1)
