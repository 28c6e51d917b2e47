"""Out-of-memory errors of PyTorch, NumPy, oneDNN and CUDA: detection, and retries with smaller batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from holotype.core.errors import HolotypeError
from holotype.loading.sampler import batches
from holotype.types import Integers

MESSAGES = (
    "can't allocate memory",  # PyTorch's allocator on Linux and macOS
    "not enough memory",  # the same on Windows
    "out of memory",  # CUDA and MPS, as a plain RuntimeError
    "std::bad_alloc",
    "cannot allocate memory",  # ENOMEM
    "could not create a primitive",  # oneDNN, whose buffers do not fit
    "could not execute a primitive",
    "_status_alloc_failed",  # cuDNN and cuBLAS
)
Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Detect an out-of-memory error of a CPU or a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(words in message for words in MESSAGES)


def describe_out_of_memory(error: BaseException) -> str:
    """Describe an out-of-memory error in one line."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def release_memory() -> None:
    """Return cached memory of PyTorch to the GPU, after an error."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def batches_within_memory(
    rows: Integers, size: int, compute: Callable[[Iterator[Integers]], Iterator[Result]]
) -> Iterator[Result]:
    """Compute results batch by batch, and halve the batch size whenever memory is short.

    Args:
        rows: Shape (n,).
        size: Largest number of rows per batch.
        compute: Yields one result per batch, in order.

    Raises:
        HolotypeError: Not even one row fits in memory.
    """
    done = 0
    while done < len(rows):
        parts = list(batches(rows[done:], size, drop_last=False))
        shortage = None
        try:
            for part, result in zip(parts, compute(iter(parts)), strict=True):
                yield result
                done += len(part)
        except (RuntimeError, MemoryError, OSError) as error:
            if not is_out_of_memory(error):
                raise
            shortage = describe_out_of_memory(error)
        if shortage is not None:
            release_memory()
            if size == 1:
                raise HolotypeError(
                    f"one image does not fit in memory ({shortage})",
                    remedy="close other programs, or write a smaller `input.size`; finished work is kept, and the "
                    "same command continues from there",
                )
            size = max(1, min(size, len(parts[0])) // 2)
