"""Pixels become pictures: right colours, right depth, right size."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from holotype.core.errors import DataError
from holotype.report.render import channel_colors, composite, draw_pictures


def ramp(low: float, high: float, dtype: type = np.uint16) -> np.ndarray:
    return np.linspace(low, high, 64 * 64).reshape(64, 64).astype(dtype)


def test_one_channel_is_grey_and_stretched_over_its_percentiles():
    for dtype, low, high in ((np.uint8, 10, 60), (np.uint16, 3000, 9000), (np.float32, -2.5, 0.5)):
        picture = composite(ramp(low, high, dtype)[None])
        assert picture.shape == (64, 64)
        assert picture.min() == 0
        assert picture.max() == 255
        assert abs(float(np.median(picture)) - 127) < 6


def test_a_single_hot_pixel_does_not_darken_the_rest():
    pixels = ramp(0, 1000)
    pixels[0, 0] = 65535
    assert np.median(composite(pixels[None])) > 100


def test_a_photograph_keeps_its_hues_and_named_channels_are_stretched_one_by_one():
    pixels = np.stack([ramp(0, 200), ramp(0, 100), ramp(0, 50)])
    photograph = composite(pixels)[-1, -1].astype(int)
    assert photograph[0] > photograph[1] > photograph[2]
    assert composite(pixels, ("red", "green", "blue"))[-1, -1].min() == 255


def test_channels_named_red_green_blue_are_red_green_and_blue_in_any_order():
    colours = channel_colors(3, ("Green", "Blue", "Red"))
    assert colours == ((0, 1, 0), (0, 0, 1), (1, 0, 0))


def test_nuclear_stains_are_blue_transmitted_light_grey_and_all_colours_differ():
    colours = channel_colors(4, ("tubulin", "DAPI", "brightfield", "er"))
    assert colours[1][2] == max(colours[1])
    assert len(set(colours[2])) == 1
    assert len(set(channel_colors(6, None))) == 6
    assert len(channel_colors(9, None)) == 9


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_any_number_of_channels_makes_a_picture(channels):
    picture = composite(np.random.default_rng(0).integers(0, 4096, (channels, 20, 30)))
    assert picture.shape[:2] == (20, 30)
    assert picture.dtype == np.uint8


def test_pixels_that_are_not_numbers_or_all_the_same_are_dark_and_not_a_crash():
    broken = np.full((2, 8, 8), np.nan)
    broken[1] = np.inf
    assert composite(broken).max() == 0
    assert composite(np.full((1, 8, 8), 7)).max() == 0


def test_what_hardly_differs_is_still_shown():
    pixels = np.zeros((1, 64, 64))
    pixels[0, 5, 5] = 3
    assert composite(pixels).max() == 255


@pytest.mark.parametrize("shape", [(8,), (2, 3, 4, 5), (1, 0, 4)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(DataError, match="channels, height, width"):
        composite(np.zeros(shape))


def test_pictures_keep_their_aspect_and_shrink_until_they_fit_the_budget():
    noise = np.random.default_rng(0).integers(0, 255, (3, 300, 600), dtype=np.uint8)
    wide = draw_pictures([noise], None, 10_000_000)[0]
    assert (wide.width, wide.height) == (256, 128)
    assert not wide.pixelated
    budget = 300_000
    small = draw_pictures([noise] * 10, None, budget)
    assert len(small) == 10
    assert sum(len(picture.source) for picture in small) <= budget
    assert small[0].width < 256
    decoded = Image.open(BytesIO(base64.b64decode(wide.source.partition(",")[2])))
    assert decoded.size == (256, 128)
    assert decoded.mode == "RGB"


def test_a_small_picture_keeps_its_pixels_exactly():
    pixels = ramp(0, 255, np.uint8)[None]
    picture = draw_pictures([pixels], None, 1_000_000)[0]
    decoded = np.asarray(Image.open(BytesIO(base64.b64decode(picture.source.partition(",")[2]))))
    assert picture.pixelated
    np.testing.assert_array_equal(decoded, composite(pixels))


def test_no_images_make_no_pictures():
    assert draw_pictures([], None, 1000) == []
