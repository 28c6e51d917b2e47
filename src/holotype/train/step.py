"""The one training step: every phase, precision and number of processes comes through here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["train_step"]


def train_step(
    fabric: Fabric, network: nn.Module, optimiser: Optimizer, loss: Callable[[Tensor, Tensor], Tensor],
    parts: Sequence[tuple[Tensor, Tensor]], clip: float | None, noise_seed: int,
) -> Tensor:  # fmt: skip
    """One step of the optimiser over one or more batches whose gradients are added up.

    Args:
        fabric: Knows device, precision and processes.
        network: As `fabric.setup` gave it.
        optimiser: As `fabric.setup` gave it.
        loss: A function of logits and targets.
        parts: Batches of (pixels, targets); the step is over all of them.
        clip: Largest norm of the gradient, or none.
        noise_seed: For what the network draws (dropout); keyed by step, so that a resumed run draws the same.

    Returns:
        The mean loss over all rows, a scalar without gradient.
    """
    torch.manual_seed(noise_seed)
    total = sum(len(targets) for _, targets in parts)
    summed = torch.zeros((), device=fabric.device)
    for number, (pixels, targets) in enumerate(parts):
        with fabric.no_backward_sync(network, enabled=number < len(parts) - 1):  # type: ignore[arg-type]
            value = loss(network(pixels), targets) * (len(targets) / total)
            fabric.backward(value)
        summed += value.detach()
    if clip is not None:
        fabric.clip_gradients(network, optimiser, max_norm=clip, error_if_nonfinite=False)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return summed
