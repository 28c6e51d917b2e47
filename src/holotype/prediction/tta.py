"""Test-time augmentation. Views are the same for every image, so a prediction does not depend on the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from holotype.augment import crop_matrices, random_crop_centers, tta_matrices
from holotype.core.seeds import derive_seed, keyed_uniforms
from holotype.loading import ImageDataset, augmented_batch, view_batch
from holotype.recipe.sections import AugmentSpec, PredictSpec

NO_AUGMENTATION = AugmentSpec()
VIEW_SEED = 20_180_110  # fixed, so that views are the same in every run


@dataclass(frozen=True)
class InferenceOptions:
    """Inference options: input size, views and pooling. `size`: side of the square input, in pixels."""

    size: int
    kind: str
    views: PredictSpec
    augment: AugmentSpec = NO_AUGMENTATION


def tta_transforms(dataset: ImageDataset, options: InferenceOptions) -> list[Callable[[Tensor], Tensor]]:
    """Build one transform per view, the identity first.

    Returns functions from pixels (n, channels, H, W) as read by `read_batch` to (n, channels, size, size).
    """
    views = options.views.tta
    if isinstance(views, dict) and "crops" in views:
        return [
            _affine_view(dataset, matrix, options) for matrix in _crop_view_matrices(dataset, views["crops"], options)
        ]
    if isinstance(views, dict):
        identity = [_affine_view(dataset, matrix, options) for matrix in _tile_view_matrices(dataset, "none")]
        augmented = [_augmented_view(dataset, number, options) for number in range(views["train_augmentation"])]
        return identity * views.get("identity", 0) + augmented
    return [_affine_view(dataset, matrix, options) for matrix in _tile_view_matrices(dataset, views)]


def _affine_view(dataset: ImageDataset, matrix: Tensor, options: InferenceOptions) -> Callable[[Tensor], Tensor]:
    linear, shift = matrix[0, :, :2], matrix[0, :, 2]
    is_symmetry = linear.abs().sum() == 2 and bool(torch.isin(linear, torch.tensor([-1.0, 0.0, 1.0])).all())
    if is_symmetry and not shift.any() and dataset.pixel_cache.pixels.shape[2:] == (options.size, options.size):
        return _square_symmetry(linear)  # exact, no interpolation needed
    return lambda pixels: view_batch(dataset, pixels, matrix, options.size)


def _square_symmetry(linear: Tensor) -> Callable[[Tensor], Tensor]:
    """A symmetry of the square as flips and a transposition, from the matrix that maps output to input coordinates."""
    transposed = bool(linear[0, 0] == 0)
    down, across = (linear[1, 0], linear[0, 1]) if transposed else (linear[1, 1], linear[0, 0])
    axes = [axis for axis, sign in ((2, down), (3, across)) if sign < 0]
    return partial(_flip_and_transpose, axes, transposed)


def _flip_and_transpose(axes: list[int], transposed: bool, pixels: Tensor) -> Tensor:
    flipped = pixels.flip(axes) if axes else pixels
    return (flipped.transpose(2, 3) if transposed else flipped).contiguous(memory_format=torch.channels_last)


def _augmented_view(dataset: ImageDataset, number: int, options: InferenceOptions) -> Callable[[Tensor], Tensor]:
    key = derive_seed(VIEW_SEED, "as trained", number)
    return partial(_augment_pixels, dataset, key, options)


def _augment_pixels(dataset: ImageDataset, key: int, options: InferenceOptions, pixels: Tensor) -> Tensor:
    sample_keys = np.zeros(len(pixels), np.int64)
    return augmented_batch(dataset, pixels, sample_keys, key, size=options.size, spec=options.augment)


def _tile_view_matrices(dataset: ImageDataset, views: str) -> list[Tensor]:
    share = dataset.window_share
    return [
        crop_matrices(matrix[None], center[None], share) for center in dataset.grid() for matrix in tta_matrices(views)
    ]


def _crop_view_matrices(dataset: ImageDataset, count: int, options: InferenceOptions) -> list[Tensor]:
    """Random windows of the network's input size in an image of side `image_size`."""
    height, width = dataset.pixel_cache.pixels.shape[2:]
    source = options.views.crops_from or max(height, width)
    share = options.size / source
    draws = torch.from_numpy(keyed_uniforms(derive_seed(VIEW_SEED, "crops"), np.arange(count), 2)).float()
    centers = random_crop_centers(draws, height, width, share)
    identity = tta_matrices("none")
    return [crop_matrices(identity, center[None], share) for center in centers]
