"""The state of an unfinished training, written by epoch and by minutes, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from holotype.digest import digest_array, digest_value
from holotype.errors import StoreError
from holotype.nets import load_facts, load_tensors, save_tensors
from holotype.train.course import Course

__all__ = ["candidate_path", "load_checked", "load_optimiser", "newest_state", "part_of", "save_checked", "save_state"]

KEPT = 2
DIGEST = "digest"


def candidate_path(workspace: Path, epoch: int) -> Path:
    """The file of the weights after an epoch.

    Args:
        workspace: The job's own folder.
        epoch: Counted from the beginning of the training.
    """
    return workspace / f"candidate-{epoch:05d}.safetensors"


def save_checked(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts with their digest.

    Args:
        path: The safetensors file.
        tensors: By name.
        facts: What JSON can hold.
    """
    save_tensors(path, tensors, {**facts, DIGEST: _digest(tensors, facts)})


def load_checked(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_checked` wrote.

    Args:
        path: The safetensors file.

    Raises:
        StoreError: The file is torn, or is not what was written.
    """
    tensors, facts = load_tensors(path)
    if facts.pop(DIGEST, None) != _digest(tensors, facts):
        raise StoreError(f"{path} is damaged: it is not what was written", remedy="delete it and run again")
    return tensors, facts


def _digest(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    parts = {name: digest_array(_bytes(tensor)) for name, tensor in tensors.items()}
    return digest_value([parts, json.loads(json.dumps(facts))])


def _bytes(tensor: Tensor) -> Any:
    """A tensor's bytes as an array: NumPy has no bfloat16."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def save_state(
    workspace: Path, course: Course, network: nn.Module, optimiser: Optimizer | None, more: dict[str, Tensor]
) -> None:
    """Write the state and drop all but the newest two, and the candidates that neither of them knows.

    Args:
        workspace: The job's own folder.
        course: Where the training stands.
        network: The network.
        optimiser: Its optimiser; none between the last phase and the end.
        more: Other tensors by name.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()} | more
    for number, slots in (optimiser.state_dict()["state"] if optimiser is not None else {}).items():
        for name, value in slots.items():
            if value is not None:
                tensors[f"optimiser.{number}.{name}"] = torch.as_tensor(value)
    name = "state-{:03d}-{:05d}-{:07d}.safetensors".format(*course.order)
    save_checked(workspace / name, tensors, course.facts())
    states = _states(workspace)
    for old in states[:-KEPT]:
        old.unlink(missing_ok=True)  # another run of the same recipe may have been faster
    _drop_candidates(workspace, states[-KEPT:])


def newest_state(workspace: Path) -> tuple[dict[str, Tensor], Course] | None:
    """The newest state that is undamaged, and whose candidates are; others are passed over.

    Args:
        workspace: The job's own folder.

    Returns:
        Tensors and the course, or none where training has not begun.
    """
    for path in reversed(_states(workspace)):
        try:
            tensors, facts = load_checked(path)
            for candidate in facts["candidates"]:
                load_checked(candidate_path(workspace, candidate["epoch"]))
        except StoreError:
            path.unlink(missing_ok=True)
        else:
            return tensors, Course.of(facts)
    return None


def part_of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin in one way, without that beginning.

    Args:
        tensors: From `newest_state`.
        prefix: As in `network.`.
    """
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def load_optimiser(tensors: dict[str, Tensor], optimiser: Optimizer) -> None:
    """Put an optimiser's state back.

    Args:
        tensors: From `newest_state`.
        optimiser: Over the same parameters.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in part_of(tensors, "optimiser.").items():
        number, name = key.split(".", 1)
        slots.setdefault(int(number), {})[name] = _laid_out_like(value, parameters[int(number)])
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})


def _laid_out_like(value: Tensor, parameter: Tensor) -> Tensor:
    """Moments must lie in memory as their parameter does, channels last, or the arithmetic takes another order."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape and value.ndim else value


def _states(workspace: Path) -> list[Path]:
    return sorted(workspace.glob("state-*.safetensors"))


def _drop_candidates(workspace: Path, states: list[Path]) -> None:
    """Delete what no state knows: one that is resumed from may need what a newer one has given up."""
    needed: set[int] = set()
    for path in states:
        try:
            needed.update(one["epoch"] for one in load_facts(path)["candidates"])
        except StoreError:
            continue
    for path in workspace.glob("candidate-*.safetensors"):
        if int(path.stem.rpartition("-")[2]) not in needed:
            path.unlink(missing_ok=True)
