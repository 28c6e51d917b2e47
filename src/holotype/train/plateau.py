"""When a score stands still: rewinds, cuts of the rate and early stops, as pure state machines."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from holotype.spec.schedule import PlateauSpec, StopSpec

__all__ = ["Plateau", "Verdict", "advance", "advance_stop", "plateau_rate", "selection_score"]

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
    after = _counted(plateau, score, 0.0)
    if after.stopped or after.since == 0:
        return after, "stop" if after.stopped else "improved"
    if after.since < spec.patience:
        return after, "keep"
    if after.cuts >= spec.rewinds or spec.factor ** (after.cuts + 1) < spec.minimum:
        return replace(after, stopped=True), "stop"
    return replace(after, since=0, cuts=after.cuts + 1), "rewind"


def advance_stop(plateau: Plateau, spec: StopSpec, score: float) -> tuple[Plateau, Verdict]:
    """The state of an early stop after one more epoch.

    Args:
        plateau: The state before.
        spec: The recipe's section.
        score: What `spec.on` names, larger is better (the negative of a loss).

    Returns:
        The state, and `improved`, `keep` or `stop`.
    """
    after = _counted(plateau, score, spec.least)
    if after.stopped or after.since >= spec.epochs:
        return replace(after, stopped=True), "stop"
    return after, "keep" if after.since else "improved"


def selection_score(score: float, loss: float, by: str) -> float:
    """The value by which epochs, checkpoints and soups are compared, larger is better.

    Args:
        score: The metric; NaN where it is not defined because no class has a positive among the rows that choose. The
            loss chooses then, since it is defined whatever the labels are.
        loss: On the same rows.
        by: `metric` or `loss`.
    """
    return -loss if by == "loss" or math.isnan(score) else score


def plateau_rate(plateau: Plateau, spec: PlateauSpec) -> float:
    """The rate as a share of the largest.

    Args:
        plateau: The state.
        spec: The recipe's section.
    """
    return float(spec.factor**plateau.cuts)


def _counted(plateau: Plateau, score: float, least: float) -> Plateau:
    if plateau.stopped:
        return plateau
    if math.isfinite(score) and (plateau.best is None or score > plateau.best + least):
        return replace(plateau, best=score, since=0)
    return replace(plateau, since=plateau.since + 1)
