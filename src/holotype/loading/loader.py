"""Batches on the device from cached pixels: read, normalize, warp once, jitter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from holotype.augment import (
    CUSTOM_DRAWS,
    DEGRADATION_DRAWS,
    ELASTIC_DRAWS,
    GEOMETRY_DRAWS,
    MIX_DRAWS,
    affine_matrices,
    apply_custom,
    apply_degradations,
    crop_matrices,
    elastic_displacement,
    intensity_draws,
    jitter,
    mix_batches,
    mixing_partners,
    normalize,
    random_crop_centers,
    warp,
)
from holotype.core.seeds import derive_seed, keyed_uniforms
from holotype.loading.dataset import ImageDataset
from holotype.loading.sampler import REPEAT_BITS
from holotype.recipe.sections import AugmentSpec
from holotype.types import Integers

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_batch(dataset: ImageDataset, rows: Integers, device: torch.device) -> Tensor:
    """Transfer cached pixels at their own bit depth and normalize them, shape (n, channels, H, W), float32."""
    channel_index = slice(None) if dataset.input_channels is None else np.array(dataset.input_channels)
    stored = dataset.pixel_cache.pixels[rows][:, channel_index]
    scale = dataset.normalization
    mean, deviation = np.array([scale.mean], np.float32), np.array([scale.deviation], np.float32)
    limits: list[list[float] | None] = [None, None]
    if dataset.row_normalization is not None:
        mean, deviation = (part[rows] for part in dataset.row_normalization)
    elif scale.low is not None and scale.high is not None:
        limits = [np.array(side)[channel_index].tolist() for side in (scale.low, scale.high)]
    return normalize(
        to_device(torch.from_numpy(np.ascontiguousarray(stored)), device),
        torch.from_numpy(mean[:, channel_index]),
        torch.from_numpy(deviation[:, channel_index]),
        *limits,
    )


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device; through pinned memory to a GPU, so that the copy overlaps with computation."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def training_batch(
    dataset: ImageDataset,
    rows: Integers,
    key: int,
    size: int,
    spec: AugmentSpec,
    device: torch.device,
    partners: Integers | None = None,
) -> tuple[Tensor, Tensor]:
    """Make one augmented training batch; random numbers depend on the key and each row, not on the batch.

    Args:
        rows: Shape (n,), or (n, 2) with the number of earlier occurrences in the epoch, since each is augmented anew.
        key: From (seed, model, phase, fold, epoch).
        size: Side of the square in pixels.
        partners: Rows from which mixing draws the second images; None for those of the batch.

    Returns:
        Pixels (n, channels, size, size), channels last in memory; targets (n, classes).
    """
    rows, repeats = (rows, np.zeros_like(rows)) if rows.ndim == 1 else (rows[:, 0], rows[:, 1])
    sample_keys = rows + (repeats << REPEAT_BITS)
    pixels = read_batch(dataset, rows, device)
    pixels = augmented_batch(dataset, pixels, sample_keys, key, size=size, spec=spec)
    targets = to_device(torch.from_numpy(dataset.truth[rows]), device).float()
    if spec.mix is not None:
        candidates = rows if partners is None else partners
        draws = torch.from_numpy(keyed_uniforms(derive_seed(key, "mix"), sample_keys, MIX_DRAWS)).float()
        partner_rows = candidates[mixing_partners(draws[:, 4], len(candidates))]
        second = read_batch(dataset, partner_rows, device)
        second = augmented_batch(dataset, second, sample_keys, derive_seed(key, "partner"), size=size, spec=spec)
        partner_targets = to_device(torch.from_numpy(dataset.truth[partner_rows]), device).float()
        pixels, targets = mix_batches(pixels, second, targets, partner_targets, draws, spec.mix)
    return pixels.contiguous(memory_format=torch.channels_last), targets


def augmented_batch(
    dataset: ImageDataset, pixels: Tensor, sample_keys: Integers, key: int, *, size: int, spec: AugmentSpec
) -> Tensor:
    """Augment a batch: one warp, then intensity jitter and degradations.

    Args:
        pixels: Shape (n, channels, H, W), from `read_batch`.
        sample_keys: Key of each row's random numbers, shape (n,).
        key: From (seed, model, phase, fold, epoch), or of a view.
        size: Side of the square in pixels.

    Returns:
        Shape (n, channels, size, size), channels last in memory.
    """
    draw_count = GEOMETRY_DRAWS + intensity_draws(dataset.channels)
    draws = torch.from_numpy(keyed_uniforms(key, sample_keys, draw_count)).float()
    matrices = affine_matrices(draws[:, :GEOMETRY_DRAWS], spec)
    if dataset.tiles is not None:
        matrices = crop_matrices(matrices, _tile_centers(dataset, sample_keys, key), dataset.window_share)
    elif dataset.crop_share < 1:
        crop_draws = torch.from_numpy(keyed_uniforms(derive_seed(key, "crop"), sample_keys, 2)).float()
        height, width = dataset.pixel_cache.pixels.shape[2:]
        centers = random_crop_centers(crop_draws, height, width, dataset.crop_share)
        matrices = crop_matrices(matrices, centers, dataset.crop_share)
    displacement = None
    if spec.elastic:
        elastic_draws = torch.from_numpy(keyed_uniforms(derive_seed(key, "warp"), sample_keys, ELASTIC_DRAWS)).float()
        displacement = elastic_displacement(elastic_draws, spec.elastic, size)
    augmented = warp(pixels, matrices, size, dataset.pixel_cache.resize_mode, displacement)
    augmented = augmented.contiguous(memory_format=torch.channels_last)
    augmented = jitter(augmented, draws[:, GEOMETRY_DRAWS:], spec, dataset.jitter_channels)
    if spec.gamma or spec.saturation or spec.blur or spec.noise or spec.random_erasing:
        optics_draws = keyed_uniforms(derive_seed(key, "optics"), sample_keys, DEGRADATION_DRAWS + 1)
        keys = (optics_draws[:, -1] * 2.0**53).astype(np.uint64)
        light_path = torch.from_numpy(optics_draws[:, :DEGRADATION_DRAWS]).float()
        augmented = apply_degradations(augmented, light_path, spec, keys)
    custom_draws = [
        torch.from_numpy(keyed_uniforms(derive_seed(key, "custom", number), sample_keys, CUSTOM_DRAWS)).float()
        for number in range(len(spec.custom))
    ]
    return apply_custom(augmented, custom_draws, spec.custom)


def _tile_centers(dataset: ImageDataset, rows: Integers, key: int) -> Tensor:
    draws = torch.from_numpy(keyed_uniforms(derive_seed(key, "tile"), rows, 2)).float()
    if dataset.tiles is not None and dataset.tiles.sampling == "grid":
        grid = dataset.grid()
        return grid[(draws[:, 0] * len(grid)).long()]
    height, width = dataset.pixel_cache.pixels.shape[2:]
    return random_crop_centers(draws, height, width, dataset.window_share)


def view_batch(dataset: ImageDataset, pixels: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Warp a batch for one view of test-time augmentation, shape (n, channels, size, size), channels last in memory.

    `pixels`: shape (n, channels, H, W), from `read_batch`; `size`: side of the square in pixels.
    """
    warped = warp(pixels, matrices, size, dataset.pixel_cache.resize_mode)
    return warped.contiguous(memory_format=torch.channels_last)


def prefetch(make: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Compute results in order, some ahead of use on background threads; with 0 workers on demand."""
    if workers == 0:
        yield from map(make, items)
        return
    remaining = iter(items)
    with ThreadPoolExecutor(workers) as threads:
        pending: list[Future[Result]] = [threads.submit(make, item) for item in islice(remaining, 2 * workers)]
        while pending:
            ready = pending.pop(0)
            pending.extend(threads.submit(make, item) for item in islice(remaining, 1))
            yield ready.result()
