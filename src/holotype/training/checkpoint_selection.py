"""Checkpoint selection: the candidates kept during training, and the weights that become the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from holotype.recipe.sections import CheckpointsSpec
from holotype.training.plateau import selection_score
from holotype.training.progress import TrainingProgress
from holotype.training.state import candidate_path, load_checked, save_checked
from holotype.training.weight_averaging import average_weights, greedy_soup

StateDict = dict[str, Tensor]


def save_candidate(
    workspace: Path,
    progress: TrainingProgress,
    spec: CheckpointsSpec,
    state: StateDict | None,
    metrics: dict[str, Any],
    rewinds: bool,
) -> None:
    """Write the weights after an epoch if the recipe's rule may select them, and drop superseded candidates.

    `progress`: its candidates are updated; their files are deleted with the next saved state; `state`: the evaluated
    weights; None if another process writes them; `metrics`: `score` and `loss` on the selection rows (None without such
    rows), and `cycle`: whether a cycle ends.
    """
    candidate = {"epoch": progress.done, "phase": progress.phase, **metrics}
    retained = _retained_candidates(spec, [*progress.candidates, candidate], progress.phase if rewinds else None)
    if candidate in retained and state is not None:
        save_checked(candidate_path(workspace, progress.done), state, candidate)
    progress.candidates = retained


def best_candidate(workspace: Path, progress: TrainingProgress) -> StateDict | None:
    """Load the best weights of the current phase; None if it has no candidate."""
    of_phase = [candidate for candidate in progress.candidates if candidate["phase"] == progress.phase]
    if not of_phase:
        return None
    return load_checked(candidate_path(workspace, _rank_candidates(of_phase, "metric")[0]["epoch"]))[0]


def select_weights(
    workspace: Path,
    progress: TrainingProgress,
    spec: CheckpointsSpec,
    last: StateDict,
    score: Callable[[StateDict], float],
) -> tuple[list[StateDict], list[int]]:
    """Select or average the weights that become the model.

    `score`: score of weights on the selection rows, larger is better; for greedy soups. Returns one state, or several
    whose predictions are averaged; and the epochs they come from.
    """
    selected = _select_by_rule(spec, progress.candidates)
    if spec.last == 1 or not selected:
        return [last], [progress.done]
    epochs = [candidate["epoch"] for candidate in selected]
    states = [load_checked(candidate_path(workspace, epoch))[0] for epoch in epochs]
    if spec.average == "weights":
        return [average_weights(states)], epochs
    if spec.average == "greedy":
        soup, parts = greedy_soup(states, score)
        return [soup], [epochs[part] for part in parts]
    return states, epochs


def _retained_candidates(
    spec: CheckpointsSpec, candidates: list[dict[str, Any]], rewinding: int | None
) -> list[dict[str, Any]]:
    selected = [] if spec.last == 1 else _select_by_rule(spec, candidates)
    of_phase = [candidate for candidate in candidates if candidate["phase"] == rewinding]
    best = _rank_candidates(of_phase, "metric")[:1]
    return [candidate for candidate in candidates if candidate in selected or candidate in best]


def _select_by_rule(spec: CheckpointsSpec, candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if spec.best is not None:
        selected = _rank_candidates(candidates, spec.metric)[: spec.best]
    elif spec.cycles is not None:
        selected = [candidate for candidate in candidates if candidate["cycle"]][-spec.cycles :]
    else:
        selected = candidates[-(spec.last or 1) :]
    return sorted(selected, key=lambda candidate: int(candidate["epoch"]))


def _rank_candidates(candidates: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Rank candidates best first: ties by epoch, undefined metrics last (ranked by loss)."""

    def sort_key(candidate: dict[str, Any]) -> tuple[bool, float, int]:
        undefined = metric != "loss" and math.isnan(candidate["score"])
        return undefined, -selection_score(candidate["score"], candidate["loss"], metric), int(candidate["epoch"])

    return sorted(candidates, key=sort_key)
