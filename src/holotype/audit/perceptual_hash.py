"""Perceptual hashes: signs of the 64 lowest DCT frequencies, also of the turned, mirrored and cropped image."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from holotype.data import Fingerprints

ORIENTATIONS = 8
MAX_CROP = 0.05
STRETCHES = ((0.0, 1 - MAX_CROP), (MAX_CROP / 2, 1 - MAX_CROP / 2), (MAX_CROP, 1.0))
WINDOWS = (((0.0, 1.0), (0.0, 1.0)), *((rows, columns) for rows in STRETCHES for columns in STRETCHES))
"""Crops as (rows, columns): the full image, then the nine ways to cut off a twentieth of its height and width."""

Hashes = NDArray[np.uint64]


def perceptual_hashes(fingerprints: Fingerprints, variants: bool = False) -> Hashes:
    """Compute 64-bit perceptual hashes; images that look alike differ in a few bits.

    The channels are standardized and averaged; the hash holds the signs of the 64 lowest frequencies of the cosine
    transform without the constant one (after Zauner 2010, "Implementation and benchmarking of perceptual image hash
    functions", who compares with the median; signs turn and mirror with the image).

    `variants`: also hash all 8 orientations and all windows of `WINDOWS`. Returns shape (n,), or (n, windows, 8) with
    variants, where [:, 0, 0] is the untransformed image.
    """
    gray = zscore(fingerprints.pixels).mean(axis=1)
    if not variants:
        return _pack_signs(_low_frequencies(gray))
    hashes = np.empty((len(gray), len(WINDOWS), ORIENTATIONS), np.uint64)
    for number in range(len(WINDOWS)):
        low = _low_frequencies(crop_and_resize(gray, number))
        for orientation in range(ORIENTATIONS):
            hashes[:, number, orientation] = _pack_signs(_flip_frequencies(low, orientation))
    return hashes


def zscore(pixels: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
    """Standardize each square to mean 0 and standard deviation 1; a constant square becomes 0."""
    values = pixels.astype(np.float32)
    values -= values.mean(axis=(-2, -1), keepdims=True)
    deviation = values.std(axis=(-2, -1), keepdims=True)
    return np.asarray(values / np.where(deviation > 0, deviation, 1), np.float32)


def flip_transpose(squares: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Mirror and transpose squares.

    `orientation`: 0 to 7: 1 mirrors left and right, 2 mirrors up and down, 4 transposes last.
    """
    if orientation & 1:
        squares = squares[..., ::-1]
    if orientation & 2:
        squares = squares[..., ::-1, :]
    return np.swapaxes(squares, -1, -2) if orientation & 4 else squares


def crop_and_resize(squares: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    """Crop a window of each square and enlarge it to the full side."""
    if window == 0:
        return squares
    rows, columns = (_interpolation_matrix(stretch, squares.shape[-1]) for stretch in WINDOWS[window])
    return np.asarray(rows @ squares @ columns.T, np.float32)


@cache
def _interpolation_matrix(stretch: tuple[float, float], side: int) -> NDArray[np.float32]:
    low, high = stretch
    position = np.clip((low + (np.arange(side) + 0.5) / side * (high - low)) * side - 0.5, 0, side - 1)
    left = np.minimum(position.astype(int), side - 2)
    matrix = np.zeros((side, side), np.float32)
    matrix[np.arange(side), left] = 1 - (position - left)
    matrix[np.arange(side), left + 1] = position - left
    return matrix


@cache
def _lowest_frequencies(side: int = 11) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The 64 lowest frequencies without the constant one, symmetric in rows and columns."""
    rows, columns = np.divmod(np.arange(side * side), side)
    order = np.lexsort((np.minimum(rows, columns), np.maximum(rows, columns), rows + columns))[1:65]
    return rows[order], columns[order]


def _low_frequencies(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.fft import dctn

    return np.asarray(dctn(gray, axes=(1, 2), norm="ortho")[:, :11, :11], np.float32)


def _flip_frequencies(low: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    odd = np.where(np.arange(low.shape[-1]) % 2, -1, 1).astype(np.float32)
    if orientation & 1:
        low = low * odd
    if orientation & 2:
        low = low * odd[:, None]
    return np.swapaxes(low, -1, -2) if orientation & 4 else low


def _pack_signs(low: NDArray[np.float32]) -> Hashes:
    rows, columns = _lowest_frequencies()
    bits = np.packbits(low[:, rows, columns] > 0, axis=1)
    return np.ascontiguousarray(bits).view(">u8")[:, 0].astype(np.uint64)
