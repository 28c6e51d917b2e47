"""Plateau detection: rewinds, learning-rate cuts and early stopping, as pure state machines."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from holotype.recipe.sections.schedule import EarlyStoppingSpec, PlateauSpec

Verdict = Literal["keep", "improved", "rewind", "stop"]


@dataclass(frozen=True)
class Plateau:
    """State of a plateau detector, writable as JSON.

    Args:
        best: Best score so far; None before the first.
        since: Epochs since the best score or the last cut.
    """

    best: float | None = None
    since: int = 0
    cuts: int = 0
    stopped: bool = False


def advance(plateau: Plateau, spec: PlateauSpec, score: float) -> tuple[Plateau, Verdict]:
    """Advance the plateau state by one epoch; a larger score is better, one that is not finite is no improvement.

    Returns the state and the verdict. After `rewind` the learning rate is that of `plateau_rate`, and if `spec.rewind`
    is set the best weights are restored.
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
    """Advance the early-stopping state by one epoch, to `improved`, `keep` or `stop`; a larger score is better."""
    after = _count_epoch(plateau, score, spec.min_delta)
    if after.stopped or after.since >= spec.patience:
        return replace(after, stopped=True), "stop"
    return after, "keep" if after.since else "improved"


def selection_score(score: float, loss: float, metric: str) -> float:
    """Score by which epochs, checkpoints and soups are compared, larger is better.

    `score`: the metric on the selection rows; if NaN (no class has a positive row), the loss is used.
    """
    return -loss if metric == "loss" or math.isnan(score) else score


def plateau_rate(plateau: Plateau, spec: PlateauSpec) -> float:
    """Learning rate as a share of the largest."""
    return float(spec.factor**plateau.cuts)


def _count_epoch(plateau: Plateau, score: float, min_delta: float) -> Plateau:
    if plateau.stopped:
        return plateau
    if math.isfinite(score) and (plateau.best is None or score > plateau.best + min_delta):
        return replace(plateau, best=score, since=0)
    return replace(plateau, since=plateau.since + 1)
