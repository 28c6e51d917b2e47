"""Files that must be refused with their name, the reason and a way out, and never filled in or replaced."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image

from holotype.core.errors import DataError
from holotype.data import read_image
from holotype.data.file_patterns import image_files
from holotype.recipe.sections import DataSpec

GREY = np.random.default_rng(1).integers(0, 256, (40, 50)).astype(np.uint8)


def encoded(form: str, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.stack([GREY] * 3, axis=-1)).convert(mode).save(buffer, form)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 10,000 million pixels."""
    head = (100_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    chunk = b"IHDR" + head
    sized = len(head).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + sized + (9).to_bytes(4, "big") + b"IDAT" + bytes(13)


def without_data(path: Path) -> None:
    pixels = np.full(GREY.shape, np.nan, np.float32)
    pixels[3, 4] = np.inf
    tifffile.imwrite(path, pixels)


def animation(path: Path) -> None:
    frames = [Image.fromarray(np.roll(GREY, turn)) for turn in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def loop(path: Path) -> None:
    path.symlink_to(path.with_name("other.png"))
    path.with_name("other.png").symlink_to(path)


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated JPEG": ("a.jpg", lambda path: path.write_bytes(encoded("JPEG")[:600]), "cannot be decoded"),
    "truncated PNG": ("a.png", lambda path: path.write_bytes(encoded("PNG")[:900]), "cannot be decoded"),
    "zero bytes": ("a.png", lambda path: path.write_bytes(b""), "not an image of a known format"),
    "text named .tif": ("a.tif", lambda path: path.write_text("not a picture"), "not an image of a known format"),
    "bomb": ("a.png", lambda path: path.write_bytes(bomb()), "more than 200,000,000"),
    "CMYK": ("a.jpg", lambda path: path.write_bytes(encoded("JPEG", "CMYK")), "color mode CMYK.*color profile"),
    "no data": ("a.tif", without_data, "no finite value.*replace NaN"),
    "animation": ("a.gif", animation, "animation of several frames.*data.projection"),
    "animated PNG": ("a.png", animation, "animation of several frames"),
    "symlink loop": ("a.png", loop, "cannot be decoded|symbolic link"),
    "folder": ("a.png", lambda path: path.mkdir(), "cannot be decoded|folder"),
    "missing": ("a.png", lambda path: None, "does not exist"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_with_its_name_and_the_reason(kind, tmp_path):
    name, make, reason = BAD[kind]
    make(tmp_path / name)
    with pytest.raises(DataError, match=reason) as caught:
        read_image([tmp_path / name])
    assert str(tmp_path / name) in str(caught.value)


def test_a_channel_that_is_missing_is_named(tmp_path):
    files = [tmp_path / f"a_{channel}.png" for channel in ("red", "green", "blue", "yellow")]
    for file in files[:3]:
        Image.fromarray(GREY).save(file)
    with pytest.raises(DataError, match=r"a_yellow\.png does not exist"):
        read_image(files)


def test_a_channel_of_another_size_is_named(tmp_path):
    files = [tmp_path / "a_red.png", tmp_path / "a_green.png"]
    Image.fromarray(GREY).save(files[0])
    Image.fromarray(GREY[:20]).save(files[1])
    with pytest.raises(DataError, match=r"a_red\.png 50x40 uint8, a_green\.png 50x20 uint8"):
        read_image(files)


@pytest.mark.parametrize("value", ["../../etc/passwd", "..", "a/../../b", "/etc/passwd"])
def test_a_path_that_leaves_the_folder_of_the_images_is_refused(value):
    spec = DataSpec(train="train.csv", images="/data/images/{id}.png")
    with pytest.raises(DataError, match="outside the folder") as caught:
        image_files(spec, pl.DataFrame({"id": ["fine", value]}), "data.train", "train")
    assert repr(value) in str(caught.value)
    kept = image_files(spec, pl.DataFrame({"id": ["a..b", "sub/c"]}), "data.train", "train")
    assert kept.to_list() == [["/data/images/a..b.png"], ["/data/images/sub/c.png"]]
