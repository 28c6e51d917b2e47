"""The pack: decoded once, never enlarged, kept at depth, read by row."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from holotype.core.errors import DataError, StoreError
from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.data import (
    build_pixel_cache,
    input_size,
    measure_images,
    open_pixel_cache,
    plan_pixel_cache,
    resize_image,
)
from holotype.types import ImageStatistics, ImageTable, Normalization

RUNTIME = Runtime(threads=2, progress=Progress(quiet=True))
RANDOM = np.random.default_rng(5)


def noise(depth: str, *shape: int) -> np.ndarray:
    return RANDOM.integers(0, 200, shape).astype(depth)


def table_of(pictures: list[np.ndarray], folder: Path) -> ImageTable:
    files = [[str(folder / f"{number}.tif")] for number in range(len(pictures))]
    for (file,), pixels in zip(files, pictures, strict=True):
        tifffile.imwrite(file, pixels, photometric="minisblack")
    ids = [str(number) for number in range(len(pictures))]
    rows = {"id": ids, "sample": ids, "role": ["train"] * len(ids), "files": files, "labels": [[0]] * len(ids)}
    return ImageTable(pl.DataFrame(rows), ("a", "b"), "multiclass")


def packed(pictures: list[np.ndarray], folder: Path, size: int, resize: str = "auto") -> np.ndarray:
    images = table_of(pictures, folder)
    return build_pixel_cache(images, plan_pixel_cache(measure_images(images, RUNTIME), size, resize), None, RUNTIME)


def statistics_of(sizes: list[tuple[int, int]], depths: tuple[str, ...] = ("uint8",)) -> ImageStatistics:
    heights, widths = zip(*sizes, strict=True)
    frame = {"id": [f"i{n}" for n in range(len(sizes))], "height": heights, "width": widths, "channels": 2}
    cycle = [depths[number % len(depths)] for number in range(len(sizes))]
    return ImageStatistics(pl.DataFrame({**frame, "depth": cycle}), Normalization((0.0,), (1.0,)))


sides = st.integers(1, 400)


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=5), st.integers(16, 256))
def test_no_plan_is_larger_than_the_input_or_than_the_largest_image(sizes, size):
    for resize in ("auto", "fit", "stretch"):
        rows, channels, height, width = plan_pixel_cache(statistics_of(sizes), size, resize).shape
        assert (rows, channels) == (len(sizes), 2)
        assert 1 <= height <= min(size, max(height for height, _ in sizes))
        assert 1 <= width <= min(size, max(width for _, width in sizes))


@pytest.mark.parametrize("resize", ["auto", "none", "fit", "stretch"])
def test_images_of_the_size_of_the_input_are_stored_as_they_are(tmp_path, resize):
    pictures = [noise("uint16", 3, 20, 20) for _ in range(3)]
    np.testing.assert_array_equal(packed(pictures, tmp_path, 20, resize), np.stack(pictures), strict=True)


@pytest.mark.parametrize("resize", ["auto", "fit", "stretch"])
def test_smaller_images_are_never_enlarged(tmp_path, resize):
    pictures = [noise("uint8", 1, 10, 14)]
    np.testing.assert_array_equal(packed(pictures, tmp_path, 64, resize), np.stack(pictures), strict=True)


def test_fit_keeps_the_aspect_ratio_and_draws_out_the_edges(tmp_path):
    tall = np.broadcast_to(np.arange(40, dtype=np.float32)[None, :, None], (1, 40, 20))
    square = noise("float32", 1, 20, 20)
    first, second = packed([tall.copy(), square], tmp_path, 20, "fit")
    np.testing.assert_allclose(first[0, 1:-1, 7], np.arange(40).reshape(20, 2).mean(axis=1)[1:-1], atol=0.3)
    assert (first == first[..., 7:8]).all()  # 20 x 10 in the middle, its columns drawn out to both sides
    np.testing.assert_array_equal(second, square)


def test_a_smaller_image_lies_in_the_middle_between_its_own_edges(tmp_path):
    large, small = noise("uint8", 2, 9, 9), noise("uint8", 2, 4, 5)
    stored = packed([large, small], tmp_path, 64, "fit")[1]
    np.testing.assert_array_equal(stored, np.pad(small, ((0, 0), (2, 3), (2, 2)), mode="edge"))


def test_stretch_fills_the_plane_and_does_not_keep_the_aspect_ratio(tmp_path):
    wide = noise("float32", 1, 10, 40)
    stored = packed([wide, noise("float32", 1, 20, 20)], tmp_path, 20, "stretch")
    filled = Image.fromarray(wide[0]).resize((20, 20), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(stored[0, 0], np.asarray(filled), strict=True)
    plan = plan_pixel_cache(statistics_of([(30, 50), (40, 10)]), 200, "stretch")
    assert (plan.shape[2:], plan.resize_mode) == ((40, 50), "stretch")


def test_none_refuses_images_of_another_size_by_name():
    with pytest.raises(DataError, match=r"resize is 'none', the input size is 64, and 'i1' has 32x64 pixels; set"):
        plan_pixel_cache(statistics_of([(64, 64), (64, 32)]), 64, "none")


@pytest.mark.parametrize(
    ("depths", "stored"), [(("uint8",), "uint8"), (("uint8", "uint16"), "uint16"), (("uint16", "float32"), "float32")]
)
def test_the_deepest_image_decides_the_depth_of_all(tmp_path, depths, stored):
    pictures = [noise(depth, 1, 6, 6) for depth in depths]
    pixels = packed(pictures, tmp_path, 6)
    assert pixels.dtype == stored
    for image, picture in zip(pixels, pictures, strict=True):
        np.testing.assert_array_equal(image, picture)


def test_a_pack_on_disk_equals_one_in_memory(tmp_path):
    pictures = [noise("uint16", 5, 12 + number, 17) for number in range(4)]
    images, folder = table_of(pictures, tmp_path), tmp_path / "pack"
    plan = plan_pixel_cache(measure_images(images, RUNTIME), 16, "fit")
    folder.mkdir()
    build_pixel_cache(images, plan, folder, RUNTIME)
    pack = open_pixel_cache(folder)
    assert isinstance(pack.pixels, np.memmap)
    assert not pack.pixels.flags.writeable
    assert (pack.pixels.nbytes, pack.resize_mode) == (plan.bytes, "fit")
    np.testing.assert_array_equal(pack.pixels, build_pixel_cache(images, plan, None, RUNTIME), strict=True)
    assert json.loads((folder / "cache.json").read_text())["shape"] == list(plan.shape)


def test_a_disk_without_room_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    images = table_of([noise("uint8", 1, 8, 8)], tmp_path)
    plan = plan_pixel_cache(measure_images(images, RUNTIME), 8, "fit")
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 37, plan.bytes))
    (tmp_path / "pack").mkdir()
    with pytest.raises(
        StoreError, match=r"the pixel cache needs 64 bytes .* has 64 bytes free; .*HOLOTYPE_STORE.*`input\.size`"
    ):
        build_pixel_cache(images, plan, tmp_path / "pack", RUNTIME)
    assert list((tmp_path / "pack").iterdir()) == []


# ---- resizing


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_halving_is_what_pillow_does_in_single_precision(depth):
    image = noise(depth, 3, 16, 12)
    smaller = resize_image(image, 8, 6)
    assert (smaller.shape, smaller.dtype) == ((3, 8, 6), depth)
    for plane, found in zip(image, smaller, strict=True):
        exact = np.asarray(Image.fromarray(plane.astype(np.float32)).resize((6, 8), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(found, exact, atol=0.5 if depth != "float32" else 0)


def test_resizing_keeps_the_last_level_of_16_bits():
    image = np.full((1, 8, 8), 65535, np.uint16)
    np.testing.assert_array_equal(resize_image(image, 3, 5), np.full((1, 3, 5), 65535, np.uint16), strict=True)


@pytest.mark.parametrize(("longest", "size"), [(10, 64), (64, 64), (65, 96), (200, 224), (1000, 224)])
def test_the_automatic_size_is_the_longest_side_in_steps_of_32(longest, size):
    assert input_size(statistics_of([(9, longest), (longest // 2, 3)]), "auto") == size
    assert input_size(statistics_of([(9, longest)]), 77) == 77


def _many(folder, count=40, broken=None):
    import tifffile

    names = [f"i{number}" for number in range(count)]
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 65_536, (12, 10)).astype(np.uint16)
        tifffile.imwrite(folder / f"{name}.tif", pixels)
    frame = pl.DataFrame(
        {
            "id": names,
            "sample": names,
            "role": ["train"] * count,
            "labels": [[0]] * count,
            "files": [[str(folder / f"{name}.tif")] for name in names],
            "domain": pl.Series([None] * count, dtype=pl.String),
        }
    )
    return ImageTable(frame, ("x", "y"), "multiclass")


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda folder: None, 16),
        (lambda folder: flip(folder / "pixels.npy", 128 + 9 * 12 * 10 * 2), 8),
        (lambda folder: flip(folder / "pixels.npy", 130), 0),
        (lambda folder: (folder / "progress.json").write_text("{"), 0),
        (lambda folder: (folder / "pixels.npy").write_bytes((folder / "pixels.npy").read_bytes()[:900]), 0),
    ],
    ids=["undamaged", "a bit of the second block", "a bit of the first block", "torn progress", "torn pixels"],
)
def test_an_interrupted_pack_goes_on_where_it_is_undamaged_and_ends_in_the_same_bytes(
    tmp_path, monkeypatch, damage, kept
):
    from holotype.data import pixel_cache as module

    monkeypatch.setattr(module, "CHUNK", 4)
    monkeypatch.setattr(module, "BLOCK", 8)
    images = _many(tmp_path)
    plan = plan_pixel_cache(measure_images(images, Runtime()), 16, "fit")
    for name in ("whole", "torn"):
        (tmp_path / name).mkdir()
    build_pixel_cache(images, plan, tmp_path / "whole", Runtime(), tmp_path / "work-whole")
    read, seen = module.read_row, []

    def failing(table, row):
        if len(seen) == 21:
            raise KeyboardInterrupt
        seen.append(row)
        return read(table, row)

    monkeypatch.setattr(module, "read_row", failing)
    with pytest.raises(KeyboardInterrupt):
        build_pixel_cache(images, plan, tmp_path / "torn", Runtime(threads=1), tmp_path / "work-torn")
    damage(tmp_path / "work-torn")
    again = []
    monkeypatch.setattr(module, "read_row", lambda table, row: again.append(row) or read(table, row))
    build_pixel_cache(images, plan, tmp_path / "torn", Runtime(threads=1), tmp_path / "work-torn")
    assert len(again) == len(images) - kept
    whole, torn = ((tmp_path / name / "pixels.npy").read_bytes() for name in ("whole", "torn"))
    assert whole == torn


def test_rows_that_cannot_be_read_are_left_empty(tmp_path):
    images = _many(tmp_path, 5)
    (tmp_path / "i2.tif").write_bytes(b"")
    plan = plan_pixel_cache(measure_images(images, Runtime()), 16, "fit")
    assert plan.skipped == {2}
    pixels = build_pixel_cache(images, plan, None, Runtime())
    assert not pixels[2].any()
    assert pixels[[0, 1, 3, 4]].any(axis=(1, 2, 3)).all()
