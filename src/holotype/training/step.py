"""The one training step: every phase, precision and number of processes comes through here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from holotype.loading import is_out_of_memory
from holotype.training.processes import any_process, average_over_processes

__all__ = ["StepOptions", "gradient_scaler", "train_step"]


@dataclass(frozen=True)
class StepOptions:
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
    fabric: Fabric,
    network: nn.Module,
    optimizer: Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor],
    micro_batches: Sequence[tuple[Tensor, Tensor]],
    options: StepOptions,
) -> Tensor:
    """One step of the optimizer over one or more batches whose gradients are added up.

    Args:
        fabric: Knows device, precision and processes.
        network: As `fabric.setup` gave it.
        optimizer: As `fabric.setup` gave it.
        loss: A function of logits and targets that is a mean over rows.
        micro_batches: Batches of (pixels, targets); the step is over all of them, and those of the other processes.
        options: Clipping and what the network draws.

    Returns:
        The mean loss over all rows of the step, of every process, a scalar without gradient; not a number where that
        is.

    Raises:
        RuntimeError: Memory is short on this process, or on another (`torch.OutOfMemoryError`).
    """
    torch.manual_seed(options.noise_seed)
    before = [buffer.clone() for buffer in network.buffers()] if options.skip_nonfinite else []
    rows = sum(len(targets) for _, targets in micro_batches) if options.rows is None else options.rows
    total = rows / fabric.world_size  # processes' gradients and losses are averaged
    summed = _accumulate_gradients(fabric, network, loss, micro_batches, total)
    base_optimizer, scaler = getattr(optimizer, "optimizer", optimizer), gradient_scaler(fabric)
    if scaler is not None:
        scaler.unscale_(base_optimizer)  # torch's fused optimizers know gradients that are unscaled already
        _init_momentum(base_optimizer)
    if options.clip is not None:
        _clip_gradients(network, options.clip)
    if options.skip_nonfinite and any_process(fabric, _is_nonfinite(network, summed, scaler)):
        for buffer, saved in zip(network.buffers(), before, strict=True):
            buffer.copy_(saved)  # batch statistics have seen what the loss has
        summed = summed * torch.nan
        if scaler is not None:
            scaler.update()
    else:
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return summed / total


def gradient_scaler(fabric: Fabric) -> torch.amp.GradScaler | None:
    """The scaler that keeps float16 gradients from vanishing; none at other precisions.

    Args:
        fabric: Knows the precision.
    """
    return getattr(fabric.strategy.precision, "scaler", None)


def _accumulate_gradients(
    fabric: Fabric,
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    micro_batches: Sequence[tuple[Tensor, Tensor]],
    total: float,
) -> Tensor:
    """The gradient of all parts and the sum of their losses, averaged over the processes.

    A process that runs out of memory must not leave the others waiting for its gradient. So nothing is exchanged
    before every process is through, and where one has failed, all raise.
    """
    shortage = None
    summed = torch.zeros((), device=fabric.device)
    try:
        for pixels, targets in micro_batches:
            with fabric.no_backward_sync(network, enabled=fabric.world_size > 1):  # type: ignore[arg-type]
                value = loss(network(pixels), targets) * len(targets)
                fabric.backward(value / total)
            summed += value.detach()
    except (RuntimeError, MemoryError, OSError) as error:
        if fabric.world_size == 1 or not is_out_of_memory(error):
            raise
        shortage = str(error)
    if fabric.world_size > 1:
        if any_process(fabric, shortage is not None):
            raise torch.OutOfMemoryError(shortage or "another process is out of memory")
        average_over_processes(fabric, network, summed)
    return summed


def _init_momentum(optimizer: Optimizer) -> None:
    """Begin SGD's momentum with zeros: torch leaves it undefined where the scaler skips the first step."""
    for group in optimizer.param_groups if isinstance(optimizer, SGD) else ():
        for parameter in group["params"] if group["momentum"] else ():
            if parameter.grad is not None and optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def _clip_gradients(network: nn.Module, max_norm: float) -> None:
    """Shrink the gradient to a norm at most; on a CPU, where looking at it costs nothing, only where it is larger."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm.device.type != "cpu":
        torch.nn.utils.clip_grads_with_norm_(network.parameters(), max_norm, norm)
    elif not norm <= max_norm:  # a norm that is no number spoils the gradient, which the loss then tells
        torch._foreach_mul_(gradients, max_norm / (norm + 1e-6))


def _is_nonfinite(network: nn.Module, summed: Tensor, scaler: torch.amp.GradScaler | None) -> bool:
    """Whether the loss or the gradient is no number; a gradient that the scaler has made too large is not lost."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return not all(bool(torch.isfinite(tensor).all()) for tensor in (summed, *(gradients if scaler is None else ())))
