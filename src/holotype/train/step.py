"""The one training step: every phase, precision and number of processes comes through here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["StepRules", "train_step"]


@dataclass(frozen=True)
class StepRules:
    """How a step is done.

    Args:
        noise_seed: For what the network draws (dropout); keyed by step, so that a resumed run draws the same.
        clip: Largest norm of the gradient, or none.
        rows: Rows of the step over all processes; those of `parts` where none are given.
        skip_nonfinite: Leave the weights alone where the loss or the gradient is no number.
    """

    noise_seed: int
    clip: float | None = None
    rows: int | None = None
    skip_nonfinite: bool = False


def train_step(
    fabric: Fabric, network: nn.Module, optimiser: Optimizer, loss: Callable[[Tensor, Tensor], Tensor],
    parts: Sequence[tuple[Tensor, Tensor]], rules: StepRules,
) -> Tensor:  # fmt: skip
    """One step of the optimiser over one or more batches whose gradients are added up.

    Args:
        fabric: Knows device, precision and processes.
        network: As `fabric.setup` gave it.
        optimiser: As `fabric.setup` gave it.
        loss: A function of logits and targets that is a mean over rows.
        parts: Batches of (pixels, targets); the step is over all of them, and those of the other processes.
        rules: Clipping and what the network draws.

    Returns:
        The mean loss over all rows of this process, a scalar without gradient; not a number where that is.
    """
    torch.manual_seed(rules.noise_seed)
    before = [buffer.clone() for buffer in network.buffers()] if rules.skip_nonfinite else []
    own = sum(len(targets) for _, targets in parts)
    total = (own if rules.rows is None else rules.rows) / fabric.world_size  # processes' gradients are averaged
    summed = torch.zeros((), device=fabric.device)
    for number, (pixels, targets) in enumerate(parts):
        with fabric.no_backward_sync(network, enabled=number < len(parts) - 1):  # type: ignore[arg-type]
            value = loss(network(pixels), targets) * len(targets)
            fabric.backward(value / total)
        summed += value.detach()
    if rules.clip is not None:
        _clip(fabric, network, optimiser, rules.clip)
    if rules.skip_nonfinite and _is_lost(network, summed):
        for buffer, known in zip(network.buffers(), before, strict=True):
            buffer.copy_(known)  # batch statistics have seen what the loss has
        summed = summed * torch.nan
    else:
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return summed / own


def _clip(fabric: Fabric, network: nn.Module, optimiser: Optimizer, largest: float) -> None:
    """Shrink the gradient to a norm at most; on a CPU, where looking at it costs nothing, only where it is larger."""
    if fabric.device.type != "cpu" or fabric.world_size > 1:
        fabric.clip_gradients(network, optimiser, max_norm=largest, error_if_nonfinite=False)
        return
    held = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(held)
    if not norm <= largest:  # a norm that is no number spoils the gradient, which the loss then tells
        torch._foreach_mul_(held, largest / (norm + 1e-6))


def _is_lost(network: nn.Module, summed: Tensor) -> bool:
    held = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return not all(bool(torch.isfinite(tensor).all()) for tensor in (summed, *held))
