"""No-data values and isolated values of an image, against masks and ranges that the drawing knows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from holotype.data import channel_statistics, dataset_normalization, extreme_rows, missing_pixels, usable_pixels
from holotype.data.validity import isolated_limits

BORDER = np.zeros((1, 40, 40), bool)
BORDER[:, :, :5] = True


def floats(seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).random((1, 40, 40)) * scale).astype(np.float32)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -9999.0, -3.4e38, 9.97e36, -32768.0, 65535.0])
def test_a_border_without_data_counts_in_no_statistic(value):
    clean = floats(scale=3000.0)
    pixels = np.where(BORDER, np.float32(value), clean)
    np.testing.assert_array_equal(missing_pixels(pixels), BORDER)
    data = clean[~BORDER].astype(np.float64)
    found = channel_statistics(pixels)
    np.testing.assert_allclose(
        [found[name][0] for name in ("mean", "deviation", "min", "max", "missing")],
        [data.mean(), data.std(), data.min(), data.max(), 0.125],
    )
    np.testing.assert_allclose(
        found["percentiles"], np.percentile(data, [1, 25, 50, 75, 99], method="nearest"), rtol=1e-6
    )


def test_a_constant_border_of_the_largest_16_bit_value_around_12_bits_holds_no_data():
    clean = np.random.default_rng(1).integers(0, 4096, (1, 40, 40)).astype(np.uint16)
    pixels = np.where(BORDER, np.uint16(65535), clean)
    np.testing.assert_array_equal(missing_pixels(pixels), BORDER)
    assert (usable_pixels(pixels, [7.0])[BORDER] == 7).all()


@pytest.mark.parametrize(
    "pixels",
    [
        np.where(BORDER, 255, np.random.default_rng(2).integers(0, 9, (1, 40, 40))).astype(np.uint8),
        np.where(BORDER, 0, np.random.default_rng(2).random((1, 40, 40)) + 1000).astype(np.float32),
        np.where(BORDER, 65535, np.random.default_rng(2).integers(0, 40_000, (1, 40, 40))).astype(np.uint16),
        np.random.default_rng(2).normal(0, 20_000, (1, 40, 40)).astype(np.float32),
    ],
    ids=["white of 8 bits", "a masked background", "a white background of 16 bits", "wide values"],
)
def test_backgrounds_are_data(pixels):
    assert missing_pixels(pixels) is None
    assert usable_pixels(pixels) is pixels


def test_what_is_missing_becomes_the_fill_or_the_mean_of_the_data():
    clean = floats()
    pixels = np.where(BORDER, np.float32(np.nan), clean)
    np.testing.assert_allclose(usable_pixels(pixels)[BORDER], clean[~BORDER].mean(dtype=np.float64), rtol=1e-6)
    assert (usable_pixels(pixels, [0.25])[BORDER] == 0.25).all()
    np.testing.assert_array_equal(usable_pixels(pixels)[~BORDER], clean[~BORDER])


@pytest.mark.parametrize("value", [1e10, 1e6, -1e6, 50.0, 3e38])
def test_single_pixels_far_beyond_the_others_scale_nothing(value):
    clean = floats()
    pixels = clean.copy()
    pixels[0, 3, 4] = value
    found, plain = channel_statistics(pixels), channel_statistics(clean)
    assert found["mean"][0] == pytest.approx(plain["mean"][0], abs=1e-3)
    assert found["deviation"][0] == pytest.approx(plain["deviation"][0], abs=1e-3)
    if abs(value) < 1e19:
        assert value in {found["lowest"][0], found["highest"][0]}
    assert np.ptp(usable_pixels(pixels)) <= 1


def test_sparse_signal_is_not_isolated():
    sparse = np.zeros(40_000, np.float32)
    sparse[:30] = np.linspace(1, 900, 30)
    assert isolated_limits(sparse) == (0.0, 900.0)
    spots = np.random.default_rng(0).normal(100, 5, 40_000)
    spots[:20] = 100 + 60_000 * np.exp(-np.linspace(0, 9, 20))  # a spot with the shoulders that optics give it
    assert isolated_limits(spots)[1] == spots.max()


def _frame(pictures: list[np.ndarray]) -> pl.DataFrame:
    plain = {"height": 40, "width": 40, "channels": 1, "error": None}
    rows = [{**plain, "depth": one.dtype.name, **channel_statistics(one)} for one in pictures]
    return pl.DataFrame(rows, schema_overrides={"error": pl.String})


def test_an_image_of_another_unit_does_not_scale_the_others():
    pictures = [floats(seed) for seed in range(11)]
    plain = dataset_normalization(_frame(pictures))
    hot = pictures[3].copy()
    hot[0, :, 7] = 1e6  # a dead column: too many pixels to be isolated
    mixed = dataset_normalization(_frame([*pictures, hot, floats(99, 65_535.0)]))
    assert extreme_rows(_frame([*pictures, hot])).tolist() == [False] * 11 + [True]
    np.testing.assert_allclose((mixed.mean, mixed.deviation), (plain.mean, plain.deviation), rtol=1e-9)
    assert mixed.high is not None
    assert mixed.high[0] == pytest.approx(3, abs=0.02)


def test_the_statistics_of_two_channels_are_bounded():
    found = channel_statistics(np.zeros((400, 3, 3), np.uint16))
    assert found["correlation"] == found["masked_mean"] == []
    assert len(found["mean"]) == 400


def test_a_large_image_is_measured_in_blocks(monkeypatch):
    import holotype.data.image_statistics as module

    pixels = np.random.default_rng(3).integers(0, 4000, (3, 50, 60)).astype(np.uint16)
    whole = channel_statistics(pixels)
    monkeypatch.setattr(module, "BLOCK", 700)
    for name, values in channel_statistics(pixels).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-9, err_msg=name)


def test_a_hot_pixel_becomes_the_median_of_its_neighbors_and_a_small_bright_object_the_nearest_limit():
    pixels = floats(7, 1.0).copy()
    plain, row, column = pixels.copy(), 5, 6
    pixels[0, row, column], pixels[0, 0, 0], pixels[0, 20:22, 20] = 1e10, 1e6, 1e6
    found = usable_pixels(pixels)
    around = np.sort(np.delete(plain[0, row - 1 : row + 2, column - 1 : column + 2].ravel(), 4))
    corner = np.sort([plain[0, 0, 1], plain[0, 1, 0], plain[0, 1, 1]])
    assert found[0, row, column] == around[3]  # the lower of the two in the middle
    assert found[0, 0, 0] == corner[1]
    usual = np.delete(
        plain.ravel(), [0, *(np.ravel_multi_index(at, plain.shape[1:]) for at in [(5, 6), (20, 20), (21, 20)])]
    )
    assert (found[0, 20:22, 20] == usual.max()).all()
    untouched = pixels < 1e5
    np.testing.assert_array_equal(found[untouched], pixels[untouched])
    facts = channel_statistics(pixels)
    np.testing.assert_allclose(facts["mean"], found.mean(axis=(1, 2), dtype=np.float64), rtol=1e-6)
