"""Training step: forward, backward, clipping and optimizer, for every phase, precision and number of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from holotype.loading import is_out_of_memory
from holotype.training.processes import any_process, average_over_processes


@dataclass(frozen=True)
class StepOptions:
    """Options of a training step.

    Args:
        noise_seed: Seed of the network's random numbers (dropout); keyed by step, so that a resumed run draws the same.
        rows: Number of rows of the step over all processes; None for those of `micro_batches`.
        skip_nonfinite: Leave the weights unchanged if the loss or the gradient is NaN or infinite.
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
    """Take one optimizer step over one or more batches with accumulated gradients.

    Args:
        network: As `fabric.setup` gave it.
        optimizer: As `fabric.setup` gave it.
        loss: A function of logits and targets; a mean over rows.
        micro_batches: Batches of (pixels, targets) of this process.

    Returns:
        The mean loss over all rows of the step on all processes, a scalar without gradient; NaN if the step was
        skipped.

    Raises:
        RuntimeError: Memory is short on this process, or on another (`torch.OutOfMemoryError`).
    """
    torch.manual_seed(options.noise_seed)
    before = [buffer.clone() for buffer in network.buffers()] if options.skip_nonfinite else []
    rows = sum(len(targets) for _, targets in micro_batches) if options.rows is None else options.rows
    total = rows / fabric.world_size  # gradients and losses are averaged over processes
    summed = _accumulate_gradients(fabric, network, loss, micro_batches, total)
    base_optimizer, scaler = getattr(optimizer, "optimizer", optimizer), gradient_scaler(fabric)
    if scaler is not None:
        scaler.unscale_(base_optimizer)  # fused optimizers accept gradients that are unscaled already
        _init_momentum(base_optimizer)
    if options.clip is not None:
        _clip_gradients(network, options.clip)
    if options.skip_nonfinite and any_process(fabric, _is_nonfinite(network, summed, scaler)):
        for buffer, saved in zip(network.buffers(), before, strict=True):
            buffer.copy_(saved)  # batch norm statistics have the same values in them as the loss
        summed = summed * torch.nan
        if scaler is not None:
            scaler.update()
    else:
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return summed / total


def gradient_scaler(fabric: Fabric) -> torch.amp.GradScaler | None:
    """Gradient scaler of float16 training; None at other precisions."""
    return getattr(fabric.strategy.precision, "scaler", None)


def _accumulate_gradients(
    fabric: Fabric,
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    micro_batches: Sequence[tuple[Tensor, Tensor]],
    total: float,
) -> Tensor:
    """Accumulate gradients and losses of all batches, averaged over the processes.

    A process that runs out of memory must not leave the others waiting for its gradient. So nothing is exchanged before
    every process is done, and if one has failed, all raise.
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
    """Initialize SGD's momentum with zeros; torch leaves it undefined if the scaler skips the first step."""
    for group in optimizer.param_groups if isinstance(optimizer, SGD) else ():
        for parameter in group["params"] if group["momentum"] else ():
            if parameter.grad is not None and optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def _clip_gradients(network: nn.Module, max_norm: float) -> None:
    """Clip the norm of the gradient; on a CPU, where reading the norm is free, only if it is too large."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm.device.type != "cpu":
        torch.nn.utils.clip_grads_with_norm_(network.parameters(), max_norm, norm)
    elif not norm <= max_norm:  # a NaN norm makes the weights NaN, which the next loss shows
        torch._foreach_mul_(gradients, max_norm / (norm + 1e-6))


def _is_nonfinite(network: nn.Module, summed: Tensor, scaler: torch.amp.GradScaler | None) -> bool:
    """Detect a loss or gradient that is NaN or infinite; with a scaler, overflowed gradients are left to it."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return not all(bool(torch.isfinite(tensor).all()) for tensor in (summed, *(gradients if scaler is None else ())))
