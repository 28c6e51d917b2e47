"""From stored pixels to batches on the device: read, normalised, warped once, jittered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holotype.augment import GEOMETRY_DRAWS, affine_matrices, intensity_draws, jitter, normalise, warp
from holotype.data import Pack
from holotype.seeds import keyed_uniforms
from holotype.spec import AugmentSpec
from holotype.types import Integers, Normalisation

__all__ = ["Specimens", "prepared_ahead", "read_batch", "training_batch", "view_batch"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Specimens:
    """What a network is fed with: stored pixels, how to scale them, and what is known of them.

    Args:
        pack: The stored images, one an image row.
        normalisation: Mean and deviation a channel.
        truth: Which classes each image row has, shape (rows, classes); all False where that is unknown.
    """

    pack: Pack
    normalisation: Normalisation
    truth: NDArray[np.bool_]

    @property
    def channels(self) -> int:
        """Channels an image."""
        return int(self.pack.pixels.shape[1])


def read_batch(specimens: Specimens, rows: Integers, device: torch.device) -> Tensor:
    """Stored pixels on the device; they travel at their own depth, and are made float32 and normalised there, once.

    Args:
        specimens: Where they are stored, and how to scale them.
        rows: Shape (n,).
        device: Where they go.

    Returns:
        Shape (n, channels, H, W), float32, normalised.
    """
    stored = torch.from_numpy(np.ascontiguousarray(specimens.pack.pixels[rows])).to(device)
    return normalise(stored, specimens.normalisation.mean, specimens.normalisation.deviation)


def training_batch(
    specimens: Specimens, rows: Integers, key: int, size: int, spec: AugmentSpec, device: torch.device
) -> tuple[Tensor, Tensor]:
    """One augmented batch. What is drawn depends on the key and each row, not on the batch.

    Args:
        specimens: Where the images are stored.
        rows: Shape (n,).
        key: From (seed, member, phase, fold, epoch).
        size: Side of the square in pixels.
        spec: The ranges of the augmentation.
        device: Where the batch is made.

    Returns:
        Pixels (n, channels, size, size), channels last in memory; targets (n, classes).
    """
    draws = torch.from_numpy(keyed_uniforms(key, rows, GEOMETRY_DRAWS + intensity_draws(specimens.channels))).float()
    matrices = affine_matrices(draws[:, :GEOMETRY_DRAWS], spec)
    pixels = view_batch(specimens, read_batch(specimens, rows, device), matrices, size)
    pixels = jitter(pixels, draws[:, GEOMETRY_DRAWS:], spec)
    targets = torch.from_numpy(specimens.truth[rows]).to(device).float()
    return pixels.contiguous(memory_format=torch.channels_last), targets


def view_batch(specimens: Specimens, pixels: Tensor, matrices: Tensor, size: int) -> Tensor:
    """A batch as one view sees it.

    Args:
        specimens: How their aspect ratio is kept.
        pixels: Shape (n, channels, H, W), from `read_batch`.
        matrices: Shape (n, 2, 3) or (1, 2, 3).
        size: Side of the square in pixels.

    Returns:
        Shape (n, channels, size, size), channels last in memory.
    """
    warped = warp(pixels, matrices, size, specimens.pack.fitting)
    return warped.contiguous(memory_format=torch.channels_last)


def prepared_ahead(make: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Make things in order, some of them ahead of their use on threads of their own.

    Args:
        make: What makes one.
        items: What they are made of.
        workers: Threads; 0 makes each when it is asked for.
    """
    if workers == 0:
        yield from map(make, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(workers) as threads:
        ahead: list[Future[Result]] = [threads.submit(make, item) for item in islice(waiting, 2 * workers)]
        while ahead:
            ready = ahead.pop(0)
            ahead.extend(threads.submit(make, item) for item in islice(waiting, 1))
            yield ready.result()
