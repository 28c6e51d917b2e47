"""Keeping: the checkpoints of a training that may become the member, and what becomes of them at the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from holotype.spec import KeepSpec
from holotype.train.average import average_weights, greedy_soup
from holotype.train.course import Course
from holotype.train.plateau import selection_score
from holotype.train.state import candidate_path, load_checked, save_checked

__all__ = ["best_candidate", "keep_candidate", "kept_weights"]

State = dict[str, Tensor]


def keep_candidate(
    workspace: Path, course: Course, keep: KeepSpec, state: State | None, marks: dict[str, Any], rewinds: bool
) -> None:
    """Write the weights after an epoch where they may be wanted, and forget those that no longer are.

    Args:
        workspace: The job's own folder.
        course: Where the training stands; its candidates are changed, the files are dropped with the next state.
        keep: The recipe's section.
        state: The weights that were examined; none where another process writes them.
        marks: `score` and `loss` on the rows that choose (none where nothing chooses), and whether a `cycle` ends.
        rewinds: Whether the best weights of the phase may be gone back to.
    """
    one = {"epoch": course.done, "phase": course.phase, **marks}
    wanted = _wanted(keep, [*course.candidates, one], course.phase if rewinds else None)
    if one in wanted and state is not None:
        save_checked(candidate_path(workspace, course.done), state, one)
    course.candidates = wanted


def best_candidate(workspace: Path, course: Course) -> State | None:
    """The best weights of the present phase.

    Args:
        workspace: The job's own folder.
        course: Knows the candidates.
    """
    of_phase = [one for one in course.candidates if one["phase"] == course.phase]
    if not of_phase:
        return None
    return load_checked(candidate_path(workspace, _ranked(of_phase, "metric")[0]["epoch"]))[0]


def kept_weights(
    workspace: Path, course: Course, keep: KeepSpec, last: State, score: Callable[[State], float]
) -> tuple[list[State], list[int]]:
    """The weights that become the member.

    Args:
        workspace: The job's own folder.
        course: Knows the candidates.
        keep: The recipe's section.
        last: The weights at the end.
        score: Of weights on the rows that choose, larger is better; for greedy soups.

    Returns:
        One state, or several whose predictions are averaged; and the epochs they come from.
    """
    chosen = _of_rule(keep, course.candidates)
    if keep.last == 1 or not chosen:
        return [last], [course.done]
    epochs = [one["epoch"] for one in chosen]
    states = [load_checked(candidate_path(workspace, epoch))[0] for epoch in epochs]
    if keep.merge == "weights":
        return [average_weights(states)], epochs
    if keep.merge == "greedy":
        soup, parts = greedy_soup(states, score)
        return [soup], [epochs[part] for part in parts]
    return states, epochs


def _wanted(keep: KeepSpec, candidates: list[dict[str, Any]], rewinding: int | None) -> list[dict[str, Any]]:
    kept = [] if keep.last == 1 else _of_rule(keep, candidates)
    of_phase = [one for one in candidates if one["phase"] == rewinding]
    best = _ranked(of_phase, "metric")[:1]
    return [one for one in candidates if one in kept or one in best]


def _of_rule(keep: KeepSpec, candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The candidates that the recipe's rule takes, in the order of their epochs."""
    if keep.best is not None:
        chosen = _ranked(candidates, keep.by)[: keep.best]
    elif keep.cycles is not None:
        chosen = [one for one in candidates if one["cycle"]][-keep.cycles :]
    else:
        chosen = candidates[-(keep.last or 1) :]
    return sorted(chosen, key=lambda one: int(one["epoch"]))


def _ranked(candidates: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """The best first; of equals the earlier; those whose metric is not defined last, by their loss."""

    def rank(candidate: dict[str, Any]) -> tuple[bool, float, int]:
        undefined = by != "loss" and math.isnan(candidate["score"])
        return undefined, -selection_score(candidate["score"], candidate["loss"], by), int(candidate["epoch"])

    return sorted(candidates, key=rank)
