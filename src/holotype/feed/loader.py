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
    MIX_DRAWS,
    OPTICS_DRAWS,
    WARP_DRAWS,
    affine_matrices,
    disturb,
    drawn_centres,
    elastic_displacement,
    intensity_draws,
    jitter,
    mix_batches,
    normalise,
    partner_places,
    warp,
    windowed,
)
from holotype.feed.sampler import REPEAT_BITS
from holotype.feed.specimens import Specimens
from holotype.seeds import derive_seed, keyed_uniforms
from holotype.spec import AugmentSpec
from holotype.types import Integers

__all__ = ["drawn_batch", "prepared_ahead", "read_batch", "to_device", "training_batch", "view_batch"]

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
    limits: list[list[float] | None] = [None, None]
    if specimens.moments is not None:
        mean, deviation = (part[rows] for part in specimens.moments)
    elif scale.low is not None and scale.high is not None:
        limits = [np.array(side)[chosen].tolist() for side in (scale.low, scale.high)]
    return normalise(
        to_device(torch.from_numpy(np.ascontiguousarray(stored)), device),
        torch.from_numpy(mean[:, chosen]), torch.from_numpy(deviation[:, chosen]), *limits,
    )  # fmt: skip


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device; through pinned memory to a GPU, so that the copy runs while the GPU computes.

    Args:
        values: In main memory.
        device: Where they go.
    """
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


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
    pixels = _augmented(specimens, rows, drawn_for, key, size, spec, device)
    targets = to_device(torch.from_numpy(specimens.truth[rows]), device).float()
    if spec.mix is not None:
        among = rows if partners is None else partners
        draws = torch.from_numpy(keyed_uniforms(derive_seed(key, "mix"), drawn_for, MIX_DRAWS)).float()
        others = among[partner_places(draws[:, 4], len(among))]
        second = _augmented(specimens, others, drawn_for, derive_seed(key, "partner"), size, spec, device)
        their_targets = to_device(torch.from_numpy(specimens.truth[others]), device).float()
        pixels, targets = mix_batches(pixels, second, targets, their_targets, draws, spec.mix)
    return pixels.contiguous(memory_format=torch.channels_last), targets


def _augmented(
    specimens: Specimens, rows: Integers, drawn_for: Integers, key: int, size: int, spec: AugmentSpec,
    device: torch.device,
) -> Tensor:  # fmt: skip
    return drawn_batch(specimens, read_batch(specimens, rows, device), drawn_for, key, (size, spec))


def drawn_batch(
    specimens: Specimens, pixels: Tensor, drawn_for: Integers, key: int, form: tuple[int, AugmentSpec]
) -> Tensor:
    """Images warped once and disturbed by what is drawn for each.

    Args:
        specimens: How they are cut and their aspect ratio is kept.
        pixels: Shape (n, channels, H, W), from `read_batch`.
        drawn_for: What the draws are keyed by, shape (n,).
        key: From (seed, member, phase, fold, epoch), or of a view.
        form: Side of the square in pixels, and the ranges of the augmentation.

    Returns:
        Shape (n, channels, size, size), channels last in memory.
    """
    size, spec = form
    channels = specimens.channels
    draws = torch.from_numpy(keyed_uniforms(key, drawn_for, GEOMETRY_DRAWS + intensity_draws(channels))).float()
    matrices = affine_matrices(draws[:, :GEOMETRY_DRAWS], spec)
    if specimens.tiles is not None:
        matrices = windowed(matrices, _tile_centres(specimens, drawn_for, key), specimens.window_share)
    elif specimens.crop_share < 1:
        where = torch.from_numpy(keyed_uniforms(derive_seed(key, "crop"), drawn_for, 2)).float()
        height, width = specimens.pack.pixels.shape[2:]
        centres = drawn_centres(where, height, width, specimens.crop_share)
        matrices = windowed(matrices, centres, specimens.crop_share)
    bent = None
    if spec.warp:
        bends = torch.from_numpy(keyed_uniforms(derive_seed(key, "warp"), drawn_for, WARP_DRAWS)).float()
        bent = elastic_displacement(bends, spec.warp, size)
    seen = warp(pixels, matrices, size, specimens.pack.fitting, bent)
    seen = seen.contiguous(memory_format=torch.channels_last)
    seen = jitter(seen, draws[:, GEOMETRY_DRAWS:], spec, specimens.jittered)
    if not (spec.gamma or spec.saturation or spec.blur or spec.noise or spec.erase):
        return seen
    optics = keyed_uniforms(derive_seed(key, "optics"), drawn_for, OPTICS_DRAWS + 1)
    keys = (optics[:, -1] * 2.0**53).astype(np.uint64)
    return disturb(seen, torch.from_numpy(optics[:, :OPTICS_DRAWS]).float(), spec, keys)


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
