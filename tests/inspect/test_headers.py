from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from holotype.data import read_image
from holotype.inspect.headers import read_header, read_headers, spread_positions


@pytest.mark.parametrize(
    ("name", "shape", "depth", "header"),
    [
        ("a.png", (5, 7), np.uint8, (5, 7, 1, 8)),
        ("b.png", (5, 7), np.uint16, (5, 7, 1, 16)),
        ("c.png", (5, 7, 3), np.uint8, (5, 7, 3, 8)),
        ("d.jpg", (5, 7, 3), np.uint8, (5, 7, 3, 8)),
    ],
)
def test_headers_of_pictures_tell_size_channels_and_depth(
    tmp_path: Path, name: str, shape: tuple[int, ...], depth: type, header: tuple[int, ...]
) -> None:
    Image.fromarray(np.zeros(shape, depth)).save(tmp_path / name)
    assert read_header(tmp_path / name) == header


@pytest.mark.parametrize(
    ("shape", "photometric", "header"),
    [
        ((5, 7), "minisblack", (5, 7, 1, 16)),
        ((4, 5, 7), "minisblack", (5, 7, 4, 16)),
        ((5, 7, 3), "rgb", (5, 7, 3, 16)),
    ],
)
def test_headers_of_tiffs_take_pages_for_channels(
    tmp_path: Path, shape: tuple[int, ...], photometric: str, header: tuple[int, ...]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint16), photometric=photometric)
    assert read_header(tmp_path / "a.tif") == header


def test_headers_tell_what_the_reader_gives(tmp_path: Path) -> None:
    color = np.zeros((5, 7, 3), np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(color).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(color).save(tmp_path / "a.gif")
    Image.fromarray(color[..., 0]).convert("LA").save(tmp_path / "a.png")
    Image.fromarray(color).save(tmp_path / "tiff.png", format="TIFF")
    tifffile.imwrite(tmp_path / "turned.tif", color, photometric="rgb", extratags=[(274, 3, 1, 8, True)])
    tifffile.imwrite(tmp_path / "signed.tif", np.zeros((5, 7), np.int16))
    Image.fromarray(color).quantize(4).save(tmp_path / "palette.tif")
    for path in tmp_path.iterdir():
        pixels = read_image([path])
        channels, height, width = pixels.shape
        assert read_header(path) == (height, width, channels, 8 * pixels.dtype.itemsize), path.name


def test_files_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    for name in ("a.png", "b.tif", "c.jpg"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    assert read_headers(tmp_path, ["a.png", "b.tif", "c.jpg", "d.png"]).height == 0


def test_a_spread_reaches_both_ends() -> None:
    assert spread_positions(10, 4) == [0, 3, 6, 9]
    assert spread_positions(3, 10) == [0, 1, 2]
    assert spread_positions(0, 10) == []
