"""Whether two images are the same specimen: their pixels laid over each other, after a small shift is made good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from holotype.audit.hashes import LARGEST_CROP, oriented, standardised, windowed
from holotype.data import Fingerprints
from holotype.types import Integers

__all__ = [
    "SAME",
    "SAME_ALONE",
    "SAME_AT_FIRST",
    "confirm_on_fingerprints",
    "confirm_on_pixels",
    "content_box",
    "explained",
]

SAME = 0.84
"""Share of the fine detail of a picture that the other picture must explain."""
SAME_AT_FIRST = 0.95  # of the whole, fine or coarse; fingerprints are too coarse for more
SAME_COARSELY = 0.9
SAME_ALONE = 0.98  # where fingerprints are all there is
LEAST_CONTRAST = 0.004  # of the depth's range: below it there is nothing but noise to compare
LARGEST_SHIFT = 1.0  # pixels of the square
LEAST_GAIN = 0.1
SIDES = (32, 64)  # coarse first, so that a shift is found; then fine
SAME_CLOSELY = 0.86  # share of the detail of small content, seen as large as that of a picture it fills
SPARSE = 0.7  # extent of what is seen over the side, below which it is looked at more closely
CONTENT = 0.25  # of the largest distance from the background
TURNS = 3  # of the fit on each side
DETAIL = 2.0  # deviation in pixels of the blur that is taken away
AT_ONCE = 2_000


def explained(these: NDArray[np.float32], those: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of each square another one explains when brightness, contrast and a small shift or zoom may differ.

    A fit that needs a shift of more than a pixel, or turns dark into bright, explains nothing.

    Args:
        these: Shape (n, side, side), each of mean 0 and deviation 1.
        those: Likewise.

    Returns:
        Shape (n,), at most 1.
    """
    share, moves = _fitted(these, those)
    return np.where(np.abs(moves).max(axis=1) <= LARGEST_SHIFT, share, 0).astype(np.float32)


def _fitted(these: NDArray[np.float32], those: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The share explained, and by which moves, shape (n, 4): down, across, and each at the edge of a zoom, in pixels.

    Each square is fitted by the other and by its slopes, which stand for the moves to first order (Lucas & Kanade
    1981, "An iterative image registration technique", IJCAI).
    """
    count, side, _ = those.shape
    down, across = np.gradient(those, axis=(1, 2))
    place = np.linspace(-1, 1, side, dtype=np.float32)
    terms = np.stack([those, down, across, down * place[:, None], across * place], axis=1)
    flat = terms[:, :, 1:-1, 1:-1].reshape(count, 5, -1)
    flat = flat - flat.mean(axis=2, keepdims=True)
    target = these[:, 1:-1, 1:-1].reshape(count, -1)
    target = target - target.mean(axis=1, keepdims=True)
    gram = flat @ flat.transpose(0, 2, 1)
    gram += (1e-4 * np.trace(gram, axis1=1, axis2=2)[:, None, None] / 5 + 1e-6) * np.eye(5, dtype=np.float32)
    weights = np.linalg.solve(gram, flat @ target[:, :, None])
    rest = ((target[:, :, None] - flat.transpose(0, 2, 1) @ weights) ** 2).mean(axis=(1, 2))
    gain, variance = weights[:, 0, 0], (target**2).mean(axis=1)
    possible = (gain > LEAST_GAIN) & (variance > 0)
    share = np.where(possible, 1 - rest / np.where(variance > 0, variance, 1), 0)
    moves = weights[:, 1:, 0] / np.maximum(gain, LEAST_GAIN)[:, None]
    return share.astype(np.float32), moves.astype(np.float32)


def confirm_on_fingerprints(
    fingerprints: Fingerprints, rows: Integers, others: Integers, window: Integers, orientation: Integers
) -> NDArray[np.float32]:
    """How alike pairs of images are, seen as small squares.

    Args:
        fingerprints: Of all images.
        rows: One image of each pair, shape (n,), read through its window and orientation.
        others: The other, shape (n,), read as it stands.
        window: Number in `WINDOWS` for each pair.
        orientation: From 0 to 7 for each pair.

    Returns:
        The mean over the channels with structure of `explained`, shape (n,); 0 where no channel has any.
    """
    similarity = np.zeros(len(rows), np.float32)
    for part in _parts(window, orientation):
        those = standardised(fingerprints.pixels[rows[part]])
        those = oriented(windowed(those, int(window[part[0]])), int(orientation[part[0]]))
        these = standardised(fingerprints.pixels[others[part]])
        contrast = np.minimum(fingerprints.contrast[rows[part]], fingerprints.contrast[others[part]])
        similarity[part] = _over_channels(these, np.ascontiguousarray(those), contrast >= LEAST_CONTRAST)
    return similarity


def confirm_on_pixels(
    read: Callable[[int], NDArray[Any]], row: int, other: int, window: int, orientation: int
) -> float:
    """How alike two images are at 64 pixels a side, or as many as the smaller one has.

    Args:
        read: Gives the pixels (channels, height, width) of an image row.
        row: Read through the window and orientation, and then moved and zoomed a little.
        other: Read as it stands.
        window: Number in `WINDOWS`.
        orientation: From 0 to 7.

    Returns:
        The mean over the channels with structure of what the one explains of the other; 0 where none has any.
    """
    those, these = read(row), read(other)
    structured = np.minimum(_contrast(those), _contrast(these)) >= LEAST_CONTRAST
    if not structured.any():
        return 0.0
    finest = min(*these.shape[1:], *those.shape[1:])
    moves, share = np.zeros(4, np.float32), np.zeros(1, np.float32)
    for side in (min(side, finest) for side in SIDES):
        fixed = _scaled(np.stack([_square(plane, side) for plane in these[structured]]))
        moving = np.stack([_square(plane, side) for plane in those[structured]])
        moving = oriented(windowed(moving, window), orientation)
        for _ in range(TURNS):
            share, step = _fitted(fixed, _scaled(_moved(moving, moves * side)))
            moves = moves + np.clip(step.mean(axis=0), -LARGEST_SHIFT, LARGEST_SHIFT) / side
    if share.mean() < SAME_COARSELY or np.abs(moves).max() > LARGEST_CROP:
        return 0.0
    detail, _ = _fitted(_detail(fixed), _detail(_moved(moving, moves * side)))
    box = content_box(fixed)
    extent = max(part.stop - part.start for part in box) / side
    if detail.mean() < SAME or extent > SPARSE:
        return float(detail.mean())
    finer = min(finest, round(SIDES[-1] / extent))
    fixed = np.stack([_square(plane, finer) for plane in these[structured]])
    moving = oriented(windowed(np.stack([_square(plane, finer) for plane in those[structured]]), window), orientation)
    width = round((box[0].stop - box[0].start) * finer / side)
    begin = [min(round(part.start * finer / side), finer - width) for part in box]
    closer = (slice(None), *(slice(start, start + width) for start in begin))
    close = _same_content(fixed, moving, moves, closer)
    return min(float(detail.mean()), close) if close >= SAME_CLOSELY else 0.0


def content_box(squares: NDArray[np.float32]) -> tuple[slice, slice]:
    """The part of some squares that holds what differs from the background.

    Args:
        squares: Channels of one image, shape (channels, side, side).

    Returns:
        Rows and columns of a square, with a margin of a twelfth of the side.
    """
    side = squares.shape[-1]
    away = np.abs(squares - np.median(squares, axis=(1, 2), keepdims=True))
    lit = (away > CONTENT * away.max(axis=(1, 2), keepdims=True)).any(axis=0)
    ends = [np.flatnonzero(lit.any(axis=axis))[[0, -1]] if lit.any() else np.array([0, side - 1]) for axis in (1, 0)]
    width = min(side, max(int(high - low) + 1 for low, high in ends) + side // 6)
    begin = [int(np.clip((low + high + 1 - width) // 2, 0, side - width)) for low, high in ends]
    return slice(begin[0], begin[0] + width), slice(begin[1], begin[1] + width)


def _same_content(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], moves: NDArray[np.float32], box: tuple[slice, ...]
) -> float:
    """How much of the content's fine detail is explained where it fills the square, after one more small shift."""
    side = fixed.shape[-1]
    target = moved = _scaled(fixed[box])
    share = np.zeros(1, np.float32)
    for turn in range(2 * TURNS):
        moved = _scaled(_moved(moving, moves * side)[box])
        share, step = _fitted(target, moved)
        if turn < 2 * TURNS - 1:
            shift = np.clip(step.mean(axis=0), -LARGEST_SHIFT, LARGEST_SHIFT)
            moves = moves + np.r_[shift[:2], 0, 0].astype(np.float32) / side
    detail, _ = _fitted(_detail(target), _detail(moved))
    return float(min(detail.mean(), share.mean()))


def _moved(squares: NDArray[np.float32], moves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squares read at moved places; moves as in `_fitted`."""
    side = squares.shape[-1]
    place = np.linspace(-1, 1, side)
    down = np.clip(np.arange(side) + moves[0] + moves[2] * place, 0, side - 1)
    across = np.clip(np.arange(side) + moves[1] + moves[3] * place, 0, side - 1)
    grid = np.meshgrid(down, across, indexing="ij")
    return np.stack([map_coordinates(square, grid, order=1) for square in squares])


def _detail(squares: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is finer than a few pixels: round cells and smooth leaves are all alike but for that."""
    return _scaled(squares - gaussian_filter(squares, (0, DETAIL, DETAIL)))


def _contrast(picture: NDArray[Any]) -> NDArray[np.float64]:
    top = float(np.iinfo(picture.dtype).max) if picture.dtype.kind == "u" else float(np.abs(picture).max())
    return np.asarray(picture.std(axis=(1, 2)) / (top or 1.0), np.float64)


def _over_channels(these: Any, those: Any, structured: NDArray[np.bool_]) -> NDArray[np.float32]:
    count, channels, side, _ = these.shape
    each = np.concatenate([
        explained(these[start : start + AT_ONCE].reshape(-1, side, side),
                  those[start : start + AT_ONCE].reshape(-1, side, side))
        for start in range(0, count, AT_ONCE)
    ]).reshape(count, channels)  # fmt: skip
    return (each * structured).sum(axis=1) / np.maximum(structured.sum(axis=1), 1)


def _parts(window: Integers, orientation: Integers) -> list[Integers]:
    """The pairs by window and orientation."""
    form = window * 8 + orientation
    order = np.argsort(form, kind="stable")
    cuts = np.flatnonzero(np.diff(form[order])) + 1
    return [part for part in np.split(order, cuts) if len(part)]


def _square(plane: NDArray[Any], side: int) -> NDArray[np.float32]:
    picture = Image.fromarray(plane.astype(np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR), np.float32)


def _scaled(squares: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = squares - squares.mean(axis=(-2, -1), keepdims=True)
    deviation = centred.std(axis=(-2, -1), keepdims=True)
    return centred / np.where(deviation > 0, deviation, 1)
