"""Small silhouettes on an empty ground: different ones are no duplicates, changed copies of one are."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from holotype.audit.confirm import SAME, confirm_on_pixels, content_box

SIDE = 160


def silhouette(length: float, width: float, seed: int = 0) -> np.ndarray:
    """A dark rod on white, drawn four times as large and averaged; length and width in pixels."""
    large = Image.new("L", (4 * SIDE, 4 * SIDE), 250)
    middle, half = 2 * SIDE, np.array([length, width]) * 2
    ImageDraw.Draw(large).ellipse([*(middle - half), *(middle + half)], fill=60)
    pixels = np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BOX), float)
    return np.clip(pixels + np.random.default_rng(seed).normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)[None]


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return confirm_on_pixels([one, other].__getitem__, 0, 1, 0, 0)


def test_rods_of_other_widths_are_no_duplicates():
    assert alike(silhouette(28, 6), silhouette(28, 8, 1)) < SAME
    assert alike(silhouette(24, 5), silhouette(28, 5, 1)) < SAME


def test_a_changed_copy_of_a_small_silhouette_is_a_duplicate():
    one = silhouette(28, 6)
    darker = (one * 0.8 + 10).astype(np.uint8)
    smaller = np.asarray(Image.fromarray(one[0]).resize((112, 112), Image.Resampling.BILINEAR))[None]
    for copy in (silhouette(28, 6, 1), darker, smaller):
        assert alike(one, copy) >= SAME


def test_the_content_of_a_picture_is_what_differs_from_its_background():
    squares = np.zeros((2, 48, 48), np.float32)
    squares[0, 20:30, 10:18] = -1
    rows, columns = content_box(squares)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (16, 34, 5, 23)
