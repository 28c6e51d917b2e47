"""What is sent of a picture: its own numbers, or means of them, never more than a bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.core.errors import DataError
from holotype.review.tiles import MAX_BYTES, MAX_SIDE, Region, cut_tile


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_whole_numbers_arrive_as_they_are(kind: type) -> None:
    pixels = np.random.default_rng(1).integers(0, np.iinfo(kind).max, (3, 17, 9)).astype(kind)
    tile = cut_tile(pixels, Region())
    assert np.array_equal(np.frombuffer(tile.content, kind).reshape(3, 17, 9), pixels)
    assert (tile.facts["low"], tile.facts["high"]) == (0, np.iinfo(kind).max)


def test_real_numbers_are_spread_over_two_bytes() -> None:
    pixels = np.linspace(-3, 5, 300, dtype=np.float32).reshape(1, 15, 20)
    tile = cut_tile(pixels, Region())
    low, high = tile.facts["low"], tile.facts["high"]
    assert np.abs(tile.planes / 65535 * (high - low) + low - pixels).max() < 1e-4
    assert cut_tile(np.zeros((1, 4, 4), np.float32), Region()).planes.max() == 0


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 30), st.integers(1, 3))
def test_a_smaller_picture_is_the_mean_of_squares(height: int, width: int, side: int, channels: int) -> None:
    pixels = np.random.default_rng(height * width).integers(0, 65535, (channels, height, width)).astype(np.uint16)
    tile = cut_tile(pixels, Region(), side)
    step = tile.facts["step"]
    assert max(tile.planes.shape[1:]) <= side
    for row in range(tile.planes.shape[1]):
        for column in range(tile.planes.shape[2]):
            part = pixels[0, row * step : (row + 1) * step, column * step : (column + 1) * step]
            assert abs(tile.planes[0, row, column] - part.mean()) <= 0.5


def test_a_huge_picture_with_many_channels_stays_within_the_bound() -> None:
    pixels = np.zeros((40, 1500, 3000), np.uint8)
    tile = cut_tile(pixels, Region(), 5000)
    assert len(tile.content) <= MAX_BYTES
    assert max(tile.planes.shape[1:]) <= MAX_SIDE


def test_a_region_is_cut_at_the_edge_and_refused_outside() -> None:
    pixels = np.arange(100, dtype=np.uint8).reshape(1, 10, 10)
    tile = cut_tile(pixels, Region(left=7, top=8, width=50, height=50))
    assert tile.facts["region"] == {"left": 7, "top": 8, "width": 3, "height": 2}
    assert np.array_equal(tile.planes[0], pixels[0, 8:, 7:])
    with pytest.raises(DataError):
        cut_tile(pixels, Region(left=10))
