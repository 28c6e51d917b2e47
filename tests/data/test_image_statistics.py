"""One pass over the pixels, against NumPy over all of them at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from holotype.core.digest import digest_array
from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.data import channel_statistics, dataset_normalization, measure_images
from holotype.types import ImageTable

RUNTIME = Runtime(threads=1, progress=Progress(quiet=True))
SIZES = [(8, 9), (5, 5), (1, 12), (16, 3)]


def table_of(pictures: dict[str, np.ndarray], folder: Path, roles: list[str]) -> ImageTable:
    files = []
    for name, pixels in pictures.items():
        tifffile.imwrite(folder / f"{name}.tif", pixels, photometric="minisblack")
        files.append([str(folder / f"{name}.tif")])
    rows = {"id": list(pictures), "sample": list(pictures), "role": roles, "files": files, "labels": [[0]] * len(roles)}
    return ImageTable(pl.DataFrame(rows), ("a", "b"), "multiclass")


def pictures_of(depth: str, channels: int, seed: int = 3) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    level = np.iinfo(depth).max if depth.startswith("u") else 1.0
    return {
        str(number): (random.beta(2, 5 + number, (channels, *size)) * level).astype(depth)
        for number, size in enumerate(SIZES)
    }


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 4])
def test_normalisation_is_mean_and_deviation_of_all_pixels_of_the_labelled_images(tmp_path, depth, channels):
    pictures = pictures_of(depth, channels)
    images = table_of(pictures, tmp_path, ["train", "external", "test", "train"])
    statistics = measure_images(images, RUNTIME)
    labelled = [pixels for name, pixels in pictures.items() if name != "2"]
    pixels = np.concatenate([one.reshape(channels, -1) for one in labelled], axis=1).astype(np.float64)
    np.testing.assert_allclose(statistics.normalization.mean, pixels.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(statistics.normalization.deviation, pixels.std(axis=1), rtol=1e-9)


def test_each_image_is_described_by_its_own_row(tmp_path):
    pictures = pictures_of("uint16", 2)
    frame = measure_images(table_of(pictures, tmp_path, ["train"] * 4), RUNTIME).frame
    assert frame["id"].to_list() == list(pictures)
    assert list(zip(frame["height"], frame["width"], strict=True)) == SIZES
    for row, pixels in zip(frame.iter_rows(named=True), pictures.values(), strict=True):
        assert (row["channels"], row["depth"], row["error"]) == (2, "uint16", None)
        assert row["digest"] == digest_array(pixels)
        for name in ("mean", "deviation", "min", "max", "nonzero"):
            assert row[name] == channel_statistics(pixels)[name]


@given(st.lists(st.integers(0, 2) | st.integers(0, 65535), min_size=6, max_size=6), st.integers(0, 3))
def test_channel_statistics_are_those_of_numpy(values, zeros):
    pixels = np.array(values, np.uint16).reshape(2, 3, 1)
    pixels[:, :zeros] = 0
    found = channel_statistics(pixels)
    for channel, plane in enumerate(pixels.astype(np.float64)):
        expected = (plane.mean(), plane.std(), plane.min(), plane.max(), (plane != 0).mean())
        names = ("mean", "deviation", "min", "max", "nonzero")
        np.testing.assert_allclose([found[name][channel] for name in names], expected)


def test_what_cannot_be_read_is_noted_and_passed_over(tmp_path):
    pictures = pictures_of("uint8", 3)
    images = table_of(pictures, tmp_path, ["train"] * 4)
    whole = dataset_normalization(measure_images(images, RUNTIME).frame[1:])
    (tmp_path / "0.tif").write_text("not an image")
    statistics = measure_images(images, RUNTIME)
    reason = "is not an image of a known format: it is a text; save it as PNG or TIFF"
    assert statistics.frame["error"].to_list() == [f"{tmp_path}/0.tif {reason}", *[None] * 3]
    assert statistics.frame["mean"].null_count() == statistics.frame["height"].null_count() == 1
    assert statistics.normalization == whole


def test_a_set_in_which_nothing_can_be_read_is_noted_too(tmp_path):
    images = table_of(pictures_of("uint8", 1), tmp_path, ["train"] * 4)
    for file in tmp_path.glob("*.tif"):
        file.unlink()
    statistics = measure_images(images, RUNTIME)
    assert statistics.frame["error"].str.ends_with("does not exist").all()
    assert (statistics.normalization.mean, statistics.normalization.deviation) == ((0.0,), (1.0,))


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 65535.0])
def test_a_channel_without_signal_is_scaled_by_one(tmp_path, value):
    random = np.random.default_rng(1)
    flat = {str(size): np.stack([np.full(size, value), random.random(size)]).astype("float32") for size in SIZES}
    deviation = measure_images(table_of(flat, tmp_path, ["train"] * 4), RUNTIME).normalization.deviation
    assert deviation[0] == 1.0
    assert 0.2 < deviation[1] < 0.4


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.sampled_from([1, 2, 256]))
def test_percentiles_of_eight_bits_are_those_of_the_sorted_values(seed, size, values):
    plane = np.random.default_rng(seed).integers(0, values, (1, 1, size)).astype(np.uint8)
    ranks = np.rint(np.array([1, 25, 50, 75, 99]) / 100 * (size - 1)).astype(int)
    assert channel_statistics(plane)["percentiles"] == np.sort(plane.ravel())[ranks].astype(float).tolist()
