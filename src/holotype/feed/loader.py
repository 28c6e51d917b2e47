"""From stored pixels to batches on the device: read, normalised, warped once, jittered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from holotype.augment import (
    GEOMETRY_DRAWS,
    affine_matrices,
    drawn_centres,
    intensity_draws,
    jitter,
    normalise,
    warp,
    windowed,
)
from holotype.feed.specimens import Specimens
from holotype.seeds import derive_seed, keyed_uniforms
from holotype.spec import AugmentSpec
from holotype.types import Integers

__all__ = ["prepared_ahead", "read_batch", "training_batch", "view_batch"]

REPEAT_BITS = 40  # rows are fewer than 2 ** 40
Item = TypeVar("Item")
Result = TypeVar("Result")


def read_batch(specimens: Specimens, rows: Integers, device: torch.device) -> Tensor:
    """Stored pixels on the device; they travel at their own depth, and are made float32 and normalised there, once.

    Args:
        specimens: Where they are stored, and how to scale them.
        rows: Shape (n,).
        device: Where they go.

    Returns:
        Shape (n, channels, H, W), float32, normalised.
    """
    chosen = slice(None) if specimens.seen is None else np.array(specimens.seen)
    stored = specimens.pack.pixels[rows][:, chosen]
    scale = specimens.normalisation
    mean, deviation = np.array([scale.mean], np.float32), np.array([scale.deviation], np.float32)
    if specimens.moments is not None:
        mean, deviation = (part[rows] for part in specimens.moments)
    return normalise(
        torch.from_numpy(np.ascontiguousarray(stored)).to(device),
        torch.from_numpy(mean[:, chosen]), torch.from_numpy(deviation[:, chosen]),
    )  # fmt: skip


def training_batch(
    specimens: Specimens, rows: Integers, key: int, size: int, spec: AugmentSpec, device: torch.device,
    partners: Integers | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One augmented batch. What is drawn depends on the key and each row, not on the batch.

    Args:
        specimens: Where the images are stored.
        rows: Shape (n,), or (n, 2) with how often the epoch has had each before, since each time is drawn anew.
        key: From (seed, member, phase, fold, epoch).
        size: Side of the square in pixels.
        spec: The ranges of the augmentation.
        device: Where the batch is made.
        partners: The rows among which mixing finds its second images; those of the batch where none are given.

    Returns:
        Pixels (n, channels, size, size), channels last in memory; targets (n, classes).
    """
    rows, again = (rows, np.zeros_like(rows)) if rows.ndim == 1 else (rows[:, 0], rows[:, 1])
    drawn_for = rows + (again << REPEAT_BITS)
    draws = keyed_uniforms(key, drawn_for, GEOMETRY_DRAWS + intensity_draws(specimens.channels))
    numbers = torch.from_numpy(draws).float()
    matrices = affine_matrices(numbers[:, :GEOMETRY_DRAWS], spec)
    if specimens.tiles is not None:
        matrices = windowed(matrices, _tile_centres(specimens, drawn_for, key), specimens.window_share)
    pixels = view_batch(specimens, read_batch(specimens, rows, device), matrices, size)
    pixels = jitter(pixels, numbers[:, GEOMETRY_DRAWS:], spec)
    targets = torch.from_numpy(specimens.truth[rows]).to(device).float()
    return pixels.contiguous(memory_format=torch.channels_last), targets


def _tile_centres(specimens: Specimens, rows: Integers, key: int) -> Tensor:
    """Where the tile of each row lies in this epoch, shape (n, 2)."""
    draws = torch.from_numpy(keyed_uniforms(derive_seed(key, "tile"), rows, 2)).float()
    if specimens.tiles is not None and specimens.tiles.training == "grid":
        grid = specimens.grid()
        return grid[(draws[:, 0] * len(grid)).long()]
    height, width = specimens.pack.pixels.shape[2:]
    return drawn_centres(draws, height, width, specimens.window_share)


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
