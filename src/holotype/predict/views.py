"""Views: the readings of an image at prediction, fixed for all images, so that no prediction hangs on its company."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from holotype.augment import drawn_centres, view_matrices, windowed
from holotype.feed import Specimens, drawn_batch, view_batch
from holotype.seeds import derive_seed, keyed_uniforms
from holotype.spec import AugmentSpec, ViewSpec

__all__ = ["Reading", "list_views"]

PLAIN = AugmentSpec()
VIEW_SEED = 20_180_110  # views are the same in every run: they are chosen, not sampled


@dataclass(frozen=True)
class Reading:
    """How a network reads images.

    Args:
        size: Side of the square input in pixels.
        kind: `multiclass` or `multilabel`: what a probability is.
        views: The recipe's `predict` section.
        augment: What training drew, for views drawn in the same way.
    """

    size: int
    kind: str
    views: ViewSpec
    augment: AugmentSpec = PLAIN


def list_views(specimens: Specimens, reading: Reading) -> list[Callable[[Tensor], Tensor]]:
    """What makes each view of a batch, the plain ones first.

    Args:
        specimens: How large the stored images are, and whether they are cut into tiles.
        reading: Size and views.

    Returns:
        Functions of pixels (n, channels, H, W) from `read_batch` that give (n, channels, size, size).
    """
    views = reading.views.views
    if isinstance(views, dict) and "crops" in views:
        return [_plain(specimens, matrix, reading) for matrix in _crops(specimens, views["crops"], reading)]
    if isinstance(views, dict):
        plain = [_plain(specimens, matrix, reading) for matrix in _over_tiles(specimens, "none")]
        drawn = [_drawn(specimens, number, reading) for number in range(views["as_trained"])]
        return plain * views.get("plain", 0) + drawn
    return [_plain(specimens, matrix, reading) for matrix in _over_tiles(specimens, views)]


def _plain(specimens: Specimens, matrix: Tensor, reading: Reading) -> Callable[[Tensor], Tensor]:
    linear, shift = matrix[0, :, :2], matrix[0, :, 2]
    whole = linear.abs().sum() == 2 and bool(torch.isin(linear, torch.tensor([-1.0, 0.0, 1.0])).all())
    if whole and not shift.any() and specimens.pack.pixels.shape[2:] == (reading.size, reading.size):
        return _turning(linear)  # pixel for pixel: nothing is to be interpolated
    return lambda pixels: view_batch(specimens, pixels, matrix, reading.size)


def _turning(linear: Tensor) -> Callable[[Tensor], Tensor]:
    """A symmetry of the square, where a pixel (x, y) is read from the place that the matrix says."""
    crossed = bool(linear[0, 0] == 0)
    down, across = (linear[1, 0], linear[0, 1]) if crossed else (linear[1, 1], linear[0, 0])
    axes = [axis for axis, sign in ((2, down), (3, across)) if sign < 0]
    return partial(_turned, axes, crossed)


def _turned(axes: list[int], crossed: bool, pixels: Tensor) -> Tensor:
    seen = pixels.flip(axes) if axes else pixels
    return (seen.transpose(2, 3) if crossed else seen).contiguous(memory_format=torch.channels_last)


def _drawn(specimens: Specimens, number: int, reading: Reading) -> Callable[[Tensor], Tensor]:
    """One draw of the training augmentation, the same for every image."""
    key = derive_seed(VIEW_SEED, "as trained", number)
    return partial(_one_draw, specimens, key, reading)


def _one_draw(specimens: Specimens, key: int, reading: Reading, pixels: Tensor) -> Tensor:
    return drawn_batch(specimens, pixels, np.zeros(len(pixels), np.int64), key, (reading.size, reading.augment))


def _over_tiles(specimens: Specimens, views: str) -> list[Tensor]:
    share = specimens.window_share
    return [
        windowed(matrix[None], centre[None], share) for centre in specimens.grid() for matrix in view_matrices(views)
    ]


def _crops(specimens: Specimens, count: int, reading: Reading) -> list[Tensor]:
    """Windows of the network's size that lie anywhere in the image of the size that `from` names."""
    height, width = specimens.pack.pixels.shape[2:]
    source = reading.views.crops_from or max(height, width)
    share = reading.size / source
    draws = torch.from_numpy(keyed_uniforms(derive_seed(VIEW_SEED, "crops"), np.arange(count), 2)).float()
    centres = drawn_centres(draws, height, width, share)
    plain = view_matrices("none")
    return [windowed(plain, centre[None], share) for centre in centres]
