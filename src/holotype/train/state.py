"""The state of an unfinished training, written after every epoch so that a killed run goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from holotype.errors import StoreError
from holotype.nets import load_tensors, save_tensors

__all__ = ["load_state", "newest_state", "save_state"]

KEPT = 2


def save_state(workspace: Path, network: nn.Module, optimiser: Optimizer, facts: dict[str, Any]) -> None:
    """Write the state after an epoch and drop all but the newest two.

    Args:
        workspace: The job's own folder.
        network: The network.
        optimiser: Its optimiser.
        facts: `done` (epochs over all phases) and `history`: what JSON can hold.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for number, slots in optimiser.state_dict()["state"].items():
        for name, value in slots.items():
            tensors[f"optimiser.{number}.{name}"] = torch.as_tensor(value)
    save_tensors(workspace / f"epoch-{facts['done']:05d}.safetensors", tensors, facts)
    for old in _states(workspace)[:-KEPT]:
        old.unlink(missing_ok=True)  # another run of the same recipe may have been faster


def newest_state(workspace: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest state that can be read; a torn one is passed over.

    Args:
        workspace: The job's own folder.

    Returns:
        Tensors and facts, or none where training has not begun.
    """
    for path in reversed(_states(workspace)):
        try:
            return load_tensors(path)
        except StoreError:
            path.unlink(missing_ok=True)
    return None


def load_state(tensors: dict[str, Tensor], network: nn.Module, optimiser: Optimizer | None) -> None:
    """Put a state back.

    Args:
        tensors: From `newest_state`.
        network: The network.
        optimiser: Its optimiser, or none where a new phase begins with a new one.
    """
    prefix = "network."
    network.load_state_dict(
        {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    )
    if optimiser is None:
        return
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, number, name = key.split(".", 2)
            slots.setdefault(int(number), {})[name] = _laid_out_like(value, parameters[int(number)])
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})


def _laid_out_like(value: Tensor, parameter: Tensor) -> Tensor:
    """Moments must lie in memory as their parameter does, channels last, or the arithmetic takes another order."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape and value.ndim else value


def _states(workspace: Path) -> list[Path]:
    return sorted(workspace.glob("epoch-*.safetensors"))
