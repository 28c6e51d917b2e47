"""Saved training state, written after each epoch and every few minutes, from which a killed run resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from holotype.core.digest import digest_array, digest_value
from holotype.core.errors import StoreError
from holotype.core.tensor_files import load_metadata, load_tensors, save_tensors
from holotype.training.progress import TrainingProgress

STATES_TO_KEEP = 2
DIGEST = "digest"


def candidate_path(workspace: Path, epoch: int) -> Path:
    """Path of the weights saved after an epoch, counted over all phases."""
    return workspace / f"candidate-{epoch:05d}.safetensors"


def save_checked(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors and JSON metadata with their digest."""
    save_tensors(path, tensors, {**metadata, DIGEST: _digest(tensors, metadata)})


def load_checked(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file of `save_checked` and verify its digest. Raises StoreError if the file is damaged."""
    tensors, metadata = load_tensors(path)
    if metadata.pop(DIGEST, None) != _digest(tensors, metadata):
        raise StoreError(f"{path} is damaged: it is not what was written", remedy="delete it and run again")
    return tensors, metadata


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    parts = {name: digest_array(_bytes(tensor)) for name, tensor in tensors.items()}
    return digest_value([parts, json.loads(json.dumps(metadata))])


def _bytes(tensor: Tensor) -> Any:
    """Bytes of a tensor as an array; NumPy has no bfloat16."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def save_state(
    workspace: Path,
    progress: TrainingProgress,
    network: nn.Module,
    optimizer: Optimizer | None,
    extra_tensors: dict[str, Tensor],
) -> None:
    """Write the training state, and delete all states but the newest two with the candidates that only they need.

    `optimizer`: None between the last phase and the end.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()} | extra_tensors
    for number, slots in (optimizer.state_dict()["state"] if optimizer is not None else {}).items():
        for name, value in slots.items():
            if value is not None:
                tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value)
    name = "state-{:03d}-{:05d}-{:07d}.safetensors".format(*progress.position)
    save_checked(workspace / name, tensors, progress.to_dict())
    states = _states(workspace)
    for old in states[:-STATES_TO_KEEP]:
        old.unlink(missing_ok=True)  # a concurrent run of the same recipe may have deleted it
    _drop_candidates(workspace, states[-STATES_TO_KEEP:])


def newest_state(workspace: Path) -> tuple[dict[str, Tensor], TrainingProgress] | None:
    """Load tensors and progress of the newest undamaged state and delete damaged ones; None without any."""
    for path in reversed(_states(workspace)):
        try:
            tensors, metadata = load_checked(path)
            for candidate in metadata["candidates"]:
                load_checked(candidate_path(workspace, candidate["epoch"]))
        except StoreError:
            path.unlink(missing_ok=True)
        else:
            return tensors, TrainingProgress.from_dict(metadata)
    return None


def strip_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Select the tensors whose names start with a prefix, and remove it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def load_optimizer(tensors: dict[str, Tensor], optimizer: Optimizer) -> None:
    """Restore the state of an optimizer over the same parameters, from the tensors of `newest_state`."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in strip_prefix(tensors, "optimizer.").items():
        number, name = key.split(".", 1)
        slots.setdefault(int(number), {})[name] = _match_memory_format(value, parameters[int(number)])
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})


def _match_memory_format(value: Tensor, parameter: Tensor) -> Tensor:
    """Give a state tensor the memory format of its parameter (channels last), which sets the order of arithmetic."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape and value.ndim else value


def _states(workspace: Path) -> list[Path]:
    return sorted(workspace.glob("state-*.safetensors"))


def _drop_candidates(workspace: Path, states: list[Path]) -> None:
    """Delete candidates that no kept state needs; an older state may need what a newer one has dropped."""
    needed: set[int] = set()
    for path in states:
        try:
            needed.update(candidate["epoch"] for candidate in load_metadata(path)["candidates"])
        except StoreError:
            continue
    for path in workspace.glob("candidate-*.safetensors"):
        if int(path.stem.rpartition("-")[2]) not in needed:
            path.unlink(missing_ok=True)
