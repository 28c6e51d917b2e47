"""A trial reading before a recipe is written: what cannot be read is said, and what `check` refuses is not proposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.inspect.conftest import Bench

from holotype.core.errors import DataError
from holotype.data import read_images, read_row
from holotype.inspect.inspect_folder import inspect_folder
from holotype.recipe.load import load_recipe


def drawn(bench: Bench, count: int = 8, **tiff: object) -> list[Path]:
    """TIFF files of two classes; of three planes, pages or channels."""
    paths = []
    for number in range(2 * count):
        path = bench.folder / "ab"[number % 2] / f"i{number}.tif"
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 200, (3, 16, 16), dtype=np.uint8)
        tifffile.imwrite(path, pixels, **tiff)
        paths.append(path)
    return paths


def test_planes_are_proposed_as_a_projection_and_asked_about(bench: Bench) -> None:
    paths = drawn(bench, imagej=True, metadata={"axes": "ZYX"})
    proposal, _, path = bench.written()
    assert proposal.content["data"]["projection"] == "max"
    assert any("planes or time points of each file" in question for question in proposal.questions)
    images = read_images(load_recipe(path).data)
    first = next(number for number in range(len(images)) if images.files_of_row(number)[0].endswith("/i0.tif"))
    assert (read_row(images, first)[0] == tifffile.imread(paths[0]).max(axis=0)).all()


def test_unnamed_pages_are_channels_and_a_question(bench: Bench) -> None:
    drawn(bench, photometric="minisblack", metadata=None)
    proposal, _, _ = bench.written()
    assert "projection" not in proposal.content["data"]
    assert any("3 pages of each TIFF" in question for question in proposal.questions)


def test_some_images_that_cannot_be_read_are_counted_named_and_left_out(bench: Bench) -> None:
    paths = drawn(bench, photometric="minisblack", metadata=None)
    for path in paths[:3]:
        path.write_bytes(path.read_bytes()[:300])
    proposal, text, path = bench.written()
    assert proposal.content["audit"] == {"on_unreadable": "skip"}
    assert any("3 of 16 images cannot be read (a/i0.tif:" in question for question in proposal.questions)
    assert "on_unreadable: skip" in text
    assert load_recipe(path).audit.on_unreadable == "skip"


def test_most_images_that_cannot_be_read_are_refused_with_the_count_and_the_reason(bench: Bench) -> None:
    for number in range(8):
        path = bench.folder / "ab"[number % 2] / f"i{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 4), np.uint8), "CMYK").save(path)
    with pytest.raises(DataError, match=r"8 of 8 images cannot be read \(a/i0\.jpg: has the color mode CMYK"):
        inspect_folder(bench.folder)


def test_channels_of_different_sizes_are_found_before_check_finds_them(bench: Bench) -> None:
    bench.images(*(f"i{number}_{color}.png" for number in range(10) for color in ("red", "green")))
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(bench.folder / "i3_green.png")
    bench.table("train.csv", "id,label", [f"i{number},{'ab'[number % 2]}" for number in range(10)])
    questions = " ".join(bench.written()[0].questions)
    assert "1 of 10 images cannot be read (i3_red.png: the channels of one image differ in size" in questions


def test_folders_zarr_are_images(bench: Bench) -> None:
    zarr = pytest.importorskip("zarr")
    for number in range(12):
        zarr.save_array(str(bench.folder / "images" / f"i{number}.zarr"), np.zeros((2, 12, 14), np.uint8))
    bench.table("train.csv", "id,label", [f"i{number},{'ab'[number % 2]}" for number in range(12)])
    proposal, _, _ = bench.written()
    assert proposal.content["data"]["images"].endswith("images/{id}.zarr")
    assert inspect_folder(bench.folder).headers.select("height", "width", "channels").unique().rows() == [(12, 14, 2)]


def test_images_that_no_row_names_are_counted_by_ending(bench: Bench) -> None:
    bench.images(*(f"images/i{n}.png" for n in range(12)), "images/extra.bmp", "images/other.bmp", "images/last.jpg")
    bench.table("train.csv", "id,label", [f"i{n},{'ab'[n % 2]}" for n in range(12)])
    assert "3 image files belong to no row (2 .bmp, 1 .jpg)" in bench.written()[0].notes
