"""Out-of-memory errors: the exceptions by which PyTorch, NumPy, oneDNN and CUDA say that memory is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from holotype.core.errors import HolotypeError
from holotype.loading.sampler import batches
from holotype.types import Integers

__all__ = ["batches_within_memory", "describe_out_of_memory", "is_out_of_memory", "release_memory"]

MESSAGES = (
    "can't allocate memory",  # PyTorch's allocator on Linux and macOS
    "not enough memory",  # the same on Windows
    "out of memory",  # CUDA and MPS where they raise no class of their own
    "std::bad_alloc",
    "cannot allocate memory",  # ENOMEM
    "could not create a primitive",  # oneDNN, whose buffers do not fit
    "could not execute a primitive",
    "_status_alloc_failed",  # cuDNN and cuBLAS
)
Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory is short, on a CPU or a GPU.

    Args:
        error: From a computation.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(words in message for words in MESSAGES)


def describe_out_of_memory(error: BaseException) -> str:
    """What an out-of-memory error says, in one line.

    Args:
        error: For which `is_out_of_memory` holds.
    """
    return str(error).strip().partition("\n")[0] or type(error).__name__


def release_memory() -> None:
    """Give memory that PyTorch keeps for later back to the GPU, after an error has freed what it held."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def batches_within_memory(
    rows: Integers, size: int, compute: Callable[[Iterator[Integers]], Iterator[Result]]
) -> Iterator[Result]:
    """What is computed of batches of rows, with batches of half the size wherever memory is short.

    Args:
        rows: Shape (n,).
        size: Rows a batch, as long as they fit.
        compute: Yields one result a batch, in order.

    Raises:
        HolotypeError: Not even one row fits.
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
                    remedy="close other programs, or write a smaller `input.size`; what is trained is kept, and the "
                    "same command goes on from there",
                )
            size = max(1, min(size, len(parts[0])) // 2)
