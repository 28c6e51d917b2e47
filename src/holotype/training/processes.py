"""Distributed training: decisions that all processes share, and averages over processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn

BUCKET = 2**23  # values per exchange


def largest_of_processes(fabric: Fabric, number: int) -> int:
    """Agree on a number over all processes: the largest of any; does not wait for the GPU."""
    if fabric.world_size == 1:
        return number
    largest = torch.tensor(float(number))
    dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=_host_group())
    return int(largest)


def any_process(fabric: Fabric, flag: bool) -> bool:
    """Agree on a flag over all processes: true if it is true on any."""
    return largest_of_processes(fabric, int(flag)) > 0


def average_over_processes(fabric: Fabric, network: nn.Module, summed: Tensor) -> None:
    """Average gradients, losses and batch norm statistics over all processes, in place.

    Every process then takes the same step and has the same network, moving average and checkpoint. A process without
    rows in this step has no gradient, which counts as zero.
    """
    tensors = [summed]
    tensors += [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            tensors.append(parameter.grad)
    for bucket in _buckets(tensors):
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
        mean = torch.as_tensor(fabric.all_reduce(flat, reduce_op="mean"))
        for tensor, values in zip(bucket, mean.split([tensor.numel() for tensor in bucket]), strict=True):
            tensor.detach().copy_(values.view(tensor.shape))


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for tensor in tensors:
        size = sum(other.numel() for other in bucket)
        if bucket and (size + tensor.numel() > BUCKET or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


@lru_cache(maxsize=1)
def _host_group() -> Any:
    return dist.group.WORLD if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
