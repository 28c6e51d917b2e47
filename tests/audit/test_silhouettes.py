"""Small silhouettes on an empty ground: different ones are no duplicates, changed copies of one are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from holotype.audit import find_duplicates
from holotype.audit.verify_duplicates import MIN_R2, confirm_on_pixels, content_box
from holotype.data import content_square, crop_around, fingerprint, has_content, unpack_fingerprints

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
    assert alike(silhouette(28, 6), silhouette(28, 8, 1)) < MIN_R2
    assert alike(silhouette(24, 5), silhouette(28, 5, 1)) < MIN_R2


def test_a_changed_copy_of_a_small_silhouette_is_a_duplicate():
    one = silhouette(28, 6)
    darker = (one * 0.8 + 10).astype(np.uint8)
    smaller = np.asarray(Image.fromarray(one[0]).resize((112, 112), Image.Resampling.BILINEAR))[None]
    for copy in (silhouette(28, 6, 1), darker, smaller):
        assert alike(one, copy) >= MIN_R2


def test_the_content_of_a_picture_is_what_differs_from_its_background():
    squares = np.zeros((2, 48, 48), np.float32)
    squares[0, 20:30, 10:18] = -1
    rows, columns = content_box(squares)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (16, 34, 5, 23)


def moved(pixels: np.ndarray, down: int, across: int) -> np.ndarray:
    return np.roll(pixels, (down, across), axis=(1, 2))


def test_small_objects_of_one_hash_are_told_apart_and_their_copies_are_found():
    pictures = [silhouette(22 + number, 5 + number % 7, number) for number in range(24)]
    pictures += [np.ascontiguousarray(np.rot90(moved(pictures[number], 3, -2), axes=(1, 2))) for number in (5, 20)]
    digests = np.array([str(number) for number in range(26)])
    same = find_duplicates(digests, [fingerprint(one) for one in pictures], 6, pictures.__getitem__)
    assert same.pairs.select("row", "other").rows() == [(5, 24), (20, 25)]


def test_outlines_that_differ_in_one_part_are_no_duplicates():
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    radius = 250 * (1 + 0.1 * np.cos(2 * angle) + 0.05 * np.cos(3 * angle))
    leaves = []
    for lobe in (0, 45):
        reach = radius + lobe * np.exp(-(((angle - 2) / 0.12) ** 2))
        picture = Image.new("L", (4 * SIDE, 4 * SIDE), 0)
        points = np.stack([2 * SIDE + reach * np.cos(angle), 2 * SIDE + reach * np.sin(angle)], axis=1)
        ImageDraw.Draw(picture).polygon([tuple(point) for point in points], fill=255)
        leaves.append(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX))[None])
    assert alike(leaves[0], leaves[1]) == 0
    assert alike(leaves[0], moved(leaves[0], 2, -1)) >= MIN_R2


def test_content_of_images_of_any_form():
    picture = np.full((2, 90, 140), 5, np.uint16)
    picture[1, 60:80, 100:112] = 3_000
    assert content_square(picture) == (140, 212, 24)
    assert crop_around(picture, (140, 212, 24), 24)[1].sum() == 20 * 12 * 3_000 + (24 * 24 - 240) * 5
    assert crop_around(picture, (170, 270, 24), 24).shape == (2, 24, 24)
    assert content_square(np.full((1, 40, 40), 7, np.uint8)) is None
    packed = [fingerprint(picture), fingerprint(np.arange(2 * 90 * 140, dtype=np.uint16).reshape(2, 90, 140))]
    assert [has_content(entry) for entry in packed] == [True, False]
    assert unpack_fingerprints(packed).pixels.shape == (2, 2, 32, 32)
    assert unpack_fingerprints(packed[:1], content=True).pixels[0, 1].mean() > 100
    with pytest.raises(ValueError, match="no squares of small content"):
        unpack_fingerprints(packed, content=True)
