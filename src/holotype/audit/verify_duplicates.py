"""Verify near duplicates: register two images by a small shift and zoom, and compare their fine detail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from holotype.audit.perceptual_hash import MAX_CROP, crop_and_resize, flip_transpose, zscore
from holotype.data import Fingerprints, content_square, crop_around
from holotype.types import Integers

MIN_R2 = 0.87
"""Share of an image's fine detail that the other one must explain, untransformed."""
SAME_TURNED = 0.92  # turned, mirrored or cropped: the best of eighty transformations is more often alike by chance
SAME_DENSE = 0.75  # untransformed, with detail everywhere, as in smears: unlikely by chance
SAME_CONTENT = 0.96  # small content alone: outlines of small objects are often similar
SAME_BLOCKS = {MIN_R2: 0.8, SAME_TURNED: 0.85, SAME_DENSE: 0.5, SAME_CONTENT: 0.93}  # worst tenth of the detail
DENSE = 0.4  # share of the image covered by fine detail
MIN_THUMBNAIL_R2 = 0.95  # of all detail; thumbnails are too coarse for fine detail
MIN_COARSE_R2 = 0.9
MIN_R2_WITHOUT_PIXELS = 0.98  # verified on thumbnails alone
MIN_CONTRAST = 0.004  # of the type's range: lower contrast is noise
LEAST_CORRELATION = 0.25  # of pixels two apart: camera noise has none, however faint the image is
SQUARE = 32  # side at which the correlation is measured
MAX_SHIFT = 1.0  # pixels
MIN_GAIN = 0.1
SIDES = (32, 64)  # coarse first to find the shift, then fine
SPARSE_EXTENT = 0.7  # content extent over the side below which a closer crop is compared
CONTENT_SHARE = 0.25  # of the largest distance from the background
ITERATIONS = 3  # of the fit at each size
DETAIL_SIGMA = 2.0  # standard deviation in pixels of the blur that is subtracted
BLOCK = 4  # side in pixels, about the reach of the blur
LARGE_BLOCK = 7  # less affected by noise, for the worst tenth
BATCH_SIZE = 2_000


@dataclass(frozen=True)
class _DetailFit:
    """Share of the fine detail explained: overall, in the worst tenth by energy, and the share of blocks it covers."""

    share: float
    worst: float
    coverage: float

    def is_same(self, cut: float) -> bool:
        """Whether the fit is good enough for the same specimen; `cut` is a key of `SAME_BLOCKS`."""
        return self.share >= cut and self.worst >= SAME_BLOCKS[cut]


def block_r2(these: NDArray[np.float32], those: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of each square's variance explained by another square, allowing for brightness, contrast, shift and zoom.

    A fit that needs a shift of more than a pixel or a twentieth, or that inverts contrast, explains nothing. `these`:
    standardized squares, shape (n, side, side); `those`: standardized squares, shape (n, side, side). Returns shape
    (n,), at most 1.
    """
    share, moves = _fit_shift(these, those)
    limit = max(MAX_SHIFT, MAX_CROP * these.shape[-1])
    return np.where(np.abs(moves).max(axis=1) <= limit, share, 0).astype(np.float32)


def _fit_shift(
    these: NDArray[np.float32], those: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Share explained, and moves, shape (n, 4): down, across, and each at the edge of a zoom, in pixels."""
    target, rest, weights = _regression(these, those)
    gain, variance = weights[:, 0], (target**2).mean(axis=1)
    possible = (gain > MIN_GAIN) & (variance > 0)
    share = np.where(possible, 1 - (rest**2).mean(axis=1) / np.where(variance > 0, variance, 1), 0)
    moves = weights[:, 1:5] / np.maximum(gain, MIN_GAIN)[:, None]
    return share.astype(np.float32), moves.astype(np.float32)


def _regression(
    these: NDArray[np.float32], those: NDArray[np.float32], focus: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Least-squares fit of each square by another one and its gradients.

    The gradients model shifts to first order (Lucas & Kanade 1981, "An iterative image registration technique", IJCAI);
    the Laplacian models another focus or resampling. Returns target and residual, shape (n, pixels), and weights.
    """
    count, side, _ = those.shape
    down, across = np.gradient(those, axis=(1, 2))
    line = np.linspace(-1, 1, side, dtype=np.float32)
    terms = [those, down, across, down * line[:, None], across * line]
    if focus:
        from scipy.ndimage import laplace

        terms += [np.stack([laplace(square) for square in those])]
    flat = np.stack(terms, axis=1)[:, :, 1:-1, 1:-1].reshape(count, len(terms), -1)
    flat = flat - flat.mean(axis=2, keepdims=True)
    target = these[:, 1:-1, 1:-1].reshape(count, -1)
    target = target - target.mean(axis=1, keepdims=True)
    gram = flat @ flat.transpose(0, 2, 1)
    ridge = 1e-4 * np.trace(gram, axis1=1, axis2=2)[:, None, None] / len(terms) + 1e-6
    gram += ridge * np.eye(len(terms), dtype=np.float32)
    weights = np.linalg.solve(gram, flat @ target[:, :, None])
    return target, target - (flat.transpose(0, 2, 1) @ weights)[:, :, 0], weights[:, :, 0]


def _fit_detail(fixed: NDArray[np.float32], moved: NDArray[np.float32]) -> _DetailFit:
    target, rest, weights = _regression(_high_pass(fixed), _high_pass(moved), focus=True)
    energy, unexplained = _block_sums(target, LARGE_BLOCK), _block_sums(rest, LARGE_BLOCK)
    total = np.maximum(energy.sum(axis=1), 1e-9)
    possible = weights[:, 0] > MIN_GAIN
    shares = 1 - unexplained / np.maximum(energy, 1e-9)
    order = np.argsort(shares, axis=1)
    below = np.cumsum(np.take_along_axis(energy, order, axis=1), axis=1) / total[:, None]
    worst = np.take_along_axis(shares, order, axis=1)[np.arange(len(shares)), (below >= 0.1).argmax(axis=1)]
    fine = _block_sums(target, BLOCK)
    coverage = total**2 / np.maximum((fine**2).sum(axis=1), 1e-9) / fine.shape[1]
    overall = np.where(possible, 1 - (rest**2).sum(axis=1) / np.maximum((target**2).sum(axis=1), 1e-9), 0)
    return _DetailFit(float(overall.mean()), float(np.where(possible, worst, 0).mean()), float(coverage.mean()))


def _block_sums(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Sums of squares over square blocks, shape (n, blocks)."""
    side = int(np.sqrt(values.shape[1]))
    count = max(side // size, 1)
    ends = np.linspace(0, side, count + 1).astype(int)[:-1]
    squares = values.reshape(len(values), side, side) ** 2
    return np.add.reduceat(np.add.reduceat(squares, ends, axis=1), ends, axis=2).reshape(len(values), -1)


def confirm_on_fingerprints(
    fingerprints: Fingerprints, rows: Integers, others: Integers, window: Integers, orientation: Integers
) -> NDArray[np.float32]:
    """Similarity of pairs of images on their thumbnails.

    `rows`: first image of each pair, shape (n,), transformed by its window and orientation; `others`: second image,
    shape (n,), untransformed. Returns mean of `block_r2` over the channels with structure, shape (n,); 0 if no channel
    has any.
    """
    similarity, structured = np.zeros(len(rows), np.float32), channels_with_structure(fingerprints)
    for part in _group_pairs(window, orientation):
        those = zscore(fingerprints.pixels[rows[part]])
        those = flip_transpose(crop_and_resize(those, int(window[part[0]])), int(orientation[part[0]]))
        these = zscore(fingerprints.pixels[others[part]])
        both = structured[rows[part]] & structured[others[part]]
        similarity[part] = _average_channels(these, np.ascontiguousarray(those), both)
    return similarity


def channels_with_structure(fingerprints: Fingerprints) -> NDArray[np.bool_]:
    """Mask of channels with more than noise: enough contrast, or correlated neighboring pixels, shape (n, channels).

    Contrast is a share of the pixel type's range; a 12-bit camera in 16-bit files uses a sixteenth of it.
    """
    return np.asarray((fingerprints.contrast >= MIN_CONTRAST) | _is_correlated(zscore(fingerprints.pixels)))


def _has_structure(pixels: NDArray[Any]) -> NDArray[np.bool_]:
    squares = zscore(np.stack([_resize_square(plane, SQUARE) for plane in pixels]))
    return np.asarray((_channel_contrast(pixels) >= MIN_CONTRAST) | _is_correlated(squares))


def _is_correlated(squares: NDArray[np.float32]) -> NDArray[np.bool_]:
    down = (squares[..., 2:, :] * squares[..., :-2, :]).mean(axis=(-2, -1))
    across = (squares[..., 2:] * squares[..., :-2]).mean(axis=(-2, -1))
    return np.asarray(np.minimum(down, across) >= LEAST_CORRELATION)


def confirm_on_pixels(
    read: Callable[[int], NDArray[Any]], row: int, other: int, window: int, orientation: int, *, zoom: bool = True
) -> float:
    """Similarity of two images at 64 pixels a side, or at the size of the smaller one.

    `read`: return the pixels (channels, height, width) of an image row; `row`: transformed by the window and
    orientation, then shifted and zoomed slightly; `zoom`: whether the scales may differ slightly; False for small
    content, which has to match better. Returns mean over the channels with structure of the share of fine detail
    explained; 0 if it is too small for the same specimen, overall or in the worst regions.
    """
    those, these = read(row), read(other)
    structured = _has_structure(those) & _has_structure(these)
    if not structured.any():
        return 0.0
    finest = min(*these.shape[1:], *those.shape[1:])
    moves, share = np.zeros(4, np.float32), np.zeros(1, np.float32)
    for side in (min(side, finest) for side in SIDES):
        fixed = zscore(np.stack([_resize_square(plane, side) for plane in these[structured]]))
        moving = np.stack([_resize_square(plane, side) for plane in those[structured]])
        moving = flip_transpose(crop_and_resize(moving, window), orientation)
        for _ in range(ITERATIONS):
            share, step = _fit_shift(fixed, zscore(_shift_squares(moving, moves * side)))
            step = step.mean(axis=0) if zoom else step.mean(axis=0) * [1, 1, 0, 0]
            moves = moves + np.clip(step, -MAX_SHIFT, MAX_SHIFT).astype(np.float32) / side
    if share.mean() < MIN_COARSE_R2 or np.abs(moves).max() > MAX_CROP:
        return 0.0
    detail = _fit_detail(fixed, _shift_squares(moving, moves * side))
    box = content_box(fixed)
    extent = max(part.stop - part.start for part in box) / side
    cut = SAME_CONTENT if not zoom else SAME_TURNED if window or orientation else MIN_R2
    if cut == MIN_R2 and extent > SPARSE_EXTENT and detail.coverage >= DENSE:
        cut = SAME_DENSE
    if not detail.is_same(cut) or extent > SPARSE_EXTENT:
        return detail.share if detail.is_same(cut) else 0.0
    finer = min(finest, round(SIDES[-1] / extent))
    fixed = np.stack([_resize_square(plane, finer) for plane in these[structured]])
    moving = flip_transpose(
        crop_and_resize(np.stack([_resize_square(plane, finer) for plane in those[structured]]), window), orientation
    )
    width = round((box[0].stop - box[0].start) * finer / side)
    begin = [min(round(part.start * finer / side), finer - width) for part in box]
    closer = (slice(None), *(slice(start, start + width) for start in begin))
    close = _fit_content(fixed, moving, moves, closer)
    return min(detail.share, close.share) if close.is_same(cut) else 0.0


def confirm_on_content(read: Callable[[int], NDArray[Any]], row: int, other: int, orientation: int) -> float:
    """Similarity of two images' small content at equal scale, in pixels or relative to the image.

    `read`: return the pixels (channels, height, width) of an image row. Returns the larger of the two similarities; 0
    if neither is enough.
    """
    those, these = read(row), read(other)
    first, second = content_square(those), content_square(these)
    if first is None or second is None:
        return 0.0
    rooms, side = [min(pixels.shape[1:]) for pixels in (those, these)], max(first[2], second[2])
    share = max(first[2] / rooms[0], second[2] / rooms[1])
    choices = {(side, side), (round(share * rooms[0]), round(share * rooms[1]))}
    crops = [
        (crop_around(those, first, one_side), crop_around(these, second, other_side))
        for one_side, other_side in choices
    ]
    return max(confirm_on_pixels(pair.__getitem__, 0, 1, 0, orientation, zoom=False) for pair in crops)


def content_box(squares: NDArray[np.float32]) -> tuple[slice, slice]:
    """Bounding square of the pixels that differ from the background, with a margin of a twelfth of the side.

    `squares`: channels of one image, shape (channels, side, side).
    """
    side = squares.shape[-1]
    away = np.abs(squares - np.median(squares, axis=(1, 2), keepdims=True))
    lit = (away > CONTENT_SHARE * away.max(axis=(1, 2), keepdims=True)).any(axis=0)
    ends = [np.flatnonzero(lit.any(axis=axis))[[0, -1]] if lit.any() else np.array([0, side - 1]) for axis in (1, 0)]
    width = min(side, max(int(high - low) + 1 for low, high in ends) + side // 6)
    begin = [int(np.clip((low + high + 1 - width) // 2, 0, side - width)) for low, high in ends]
    return slice(begin[0], begin[0] + width), slice(begin[1], begin[1] + width)


def _fit_content(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], moves: NDArray[np.float32], box: tuple[slice, ...]
) -> _DetailFit:
    side = fixed.shape[-1]
    target = moved = zscore(fixed[box])
    for turn in range(2 * ITERATIONS):
        moved = zscore(_shift_squares(moving, moves * side)[box])
        if turn < 2 * ITERATIONS - 1:
            shift = np.clip(_fit_shift(target, moved)[1].mean(axis=0), -MAX_SHIFT, MAX_SHIFT)
            moves = moves + np.r_[shift[:2], 0, 0].astype(np.float32) / side
    return _fit_detail(target, moved)


def _shift_squares(squares: NDArray[np.float32], moves: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.ndimage import map_coordinates

    side = squares.shape[-1]
    coordinates = np.linspace(-1, 1, side)
    down = np.clip(np.arange(side) + moves[0] + moves[2] * coordinates, 0, side - 1)
    across = np.clip(np.arange(side) + moves[1] + moves[3] * coordinates, 0, side - 1)
    grid = np.meshgrid(down, across, indexing="ij")
    return np.stack([map_coordinates(square, grid, order=1) for square in squares])


def _high_pass(squares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standardized detail finer than a few pixels: coarse shapes such as round cells are alike without it."""
    from scipy.ndimage import gaussian_filter

    return zscore(squares - gaussian_filter(squares, (0, DETAIL_SIGMA, DETAIL_SIGMA)))


def _channel_contrast(picture: NDArray[Any]) -> NDArray[np.float64]:
    top = float(np.iinfo(picture.dtype).max) if picture.dtype.kind == "u" else float(np.abs(picture).max())
    return np.asarray(picture.std(axis=(1, 2)) / (top or 1.0), np.float64)


def _average_channels(these: Any, those: Any, structured: NDArray[np.bool_]) -> NDArray[np.float32]:
    count, channels, side, _ = these.shape
    each = np.concatenate(
        [
            block_r2(
                these[start : start + BATCH_SIZE].reshape(-1, side, side),
                those[start : start + BATCH_SIZE].reshape(-1, side, side),
            )
            for start in range(0, count, BATCH_SIZE)
        ]
    ).reshape(count, channels)
    return (each * structured).sum(axis=1) / np.maximum(structured.sum(axis=1), 1)


def _group_pairs(window: Integers, orientation: Integers) -> list[Integers]:
    form = window * 8 + orientation
    order = np.argsort(form, kind="stable")
    cuts = np.flatnonzero(np.diff(form[order])) + 1
    return [part for part in np.split(order, cuts) if len(part)]


def _resize_square(plane: NDArray[Any], side: int) -> NDArray[np.float32]:
    picture = Image.fromarray(plane.astype(np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR), np.float32)
