"""Uncompressed TIFF, which is read without tifffile: in every way as tifffile would have read it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from holotype.core.errors import DataError
from holotype.data import read_image, tiff

RANDOM = np.random.default_rng(23)
STACK = RANDOM.integers(0, 200, (6, 14, 18))


def written(pixels: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def pages(*planes: np.ndarray, form: str = "TIFF") -> bytes:
    stream = io.BytesIO()
    first, *others = map(Image.fromarray, planes)
    first.save(stream, form, save_all=True, append_images=others)
    return stream.getvalue()


KINDS: dict[str, bytes] = {
    "gray": written(STACK[0].astype("u1")),
    "strips": written(STACK[0].astype("u2"), rowsperstrip=4),
    "big endian": written(STACK[0].astype("u2"), byteorder=">"),
    "float": written(STACK[0].astype("f4") / 7),
    "color": written(np.moveaxis(STACK[:3], 0, -1).astype("u1"), photometric="rgb"),
    "white at zero": written(STACK[0].astype("u1"), photometric="miniswhite"),
    "channels": written(STACK[:4].astype("u2"), photometric="minisblack"),
    "no description": written(STACK[:4].astype("u2"), photometric="minisblack", metadata=None),
    "pillow": pages(STACK[0].astype("u1")),
    "ImageJ": written(STACK[0].astype("u2"), imagej=True),
    "channels of ImageJ": written(STACK.astype("u2"), imagej=True, metadata={"axes": "CYX"}),
    "planes of ImageJ": written(STACK.astype("u2"), imagej=True, metadata={"axes": "ZYX"}),
    "channels of OME": written(STACK.astype("u2"), ome=True, metadata={"axes": "CYX"}),
    "planes of OME": written(STACK.astype("u2"), ome=True, metadata={"axes": "ZYX"}),
}


def outcome(content: bytes, file: Path, projection: str | None) -> tuple[np.ndarray | None, str]:
    file.write_bytes(content)
    try:
        return read_image([file], projection=projection), ""
    except DataError as error:
        return None, str(error)


def both(content: bytes, folder: Path, projection: str | None = None) -> tuple[Any, Any]:
    """What is read, and what tifffile would have read."""
    ours = outcome(content, folder / "a.tif", projection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiff, "uncompressed_image", lambda *_: None)
        return ours, outcome(content, folder / "a.tif", projection)


@pytest.mark.parametrize("kind", KINDS)
def test_usual_files_are_read_without_tifffile_and_mean_the_same(tmp_path, kind, monkeypatch):
    projection = "max" if kind.startswith("planes") else None
    (ours, _), (theirs, _) = both(KINDS[kind], tmp_path, projection)
    np.testing.assert_array_equal(ours, theirs, strict=True)
    assert ours.flags.writeable
    monkeypatch.setattr(tifffile, "TiffFile", None)
    np.testing.assert_array_equal(outcome(KINDS[kind], tmp_path / "b.tif", projection)[0], theirs)


@pytest.mark.parametrize("kind", ["planes of ImageJ", "planes of OME"])
def test_planes_are_refused_without_a_projection_by_either_reader(tmp_path, kind):
    (ours, message), (theirs, other) = both(KINDS[kind], tmp_path)
    assert ours is None is theirs
    assert message == other


UNUSUAL: dict[str, bytes] = {
    "a description of another shape": written(STACK[0].astype("u1"), metadata=None, description='{"shape": [7, 36]}'),
    "a stack of one page": written(STACK[0].astype("u1"), metadata=None, description="ImageJ=1.5\nimages=3\nslices=3"),
    "an order of axes": written(
        STACK.astype("u1"),
        metadata=None,
        photometric="minisblack",
        description="ImageJ=1.5\nimages=6\nchannels=2\nslices=3\norder=ztc\n",
    ),
    "a program that is known": written(STACK[0].astype("u1"), metadata=None, software="SI.LINE=1"),
    "no data": written(STACK[0].astype("f4"), extratags=[(42113, 2, 3, "11", True)]),
    "opacity": written(
        STACK[:2].astype("u1").transpose(1, 2, 0).copy(),
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"],
    ),
    "tiles": written(STACK[0].astype("u1"), tile=(16, 16)),
    "a predictor": written(STACK[0].astype("u1"), compression="zlib", predictor=True),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_what_is_unusual_is_left_to_tifffile(tmp_path, kind):
    (ours, message), (theirs, other) = both(UNUSUAL[kind], tmp_path, "max")
    assert message == other
    np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=120, deadline=None)
@given(kind=some.sampled_from(sorted(KINDS)), seed=some.integers(0, 2**32))
def test_changed_bytes_never_mean_something_else_than_to_tifffile(tmp_path_factory, kind, seed):
    draw = np.random.default_rng(seed)
    content = bytearray(KINDS[kind])
    head = np.frombuffer(KINDS[kind], np.uint8)[4:8]
    start = int.from_bytes(head.tobytes(), "big" if content[:2] == b"MM" else "little")
    for _ in range(int(draw.integers(1, 3))):
        place = start + int(draw.integers(0, 200))
        if place < len(content):
            content[place] = int(draw.choice([0, 1, 2, 3, 4, 8, 16, 255, int(draw.integers(0, 256))]))
    folder = tmp_path_factory.mktemp("changed", numbered=True)
    (ours, _), (theirs, _) = both(bytes(content), folder, "max")
    if ours is not None or theirs is not None:
        np.testing.assert_array_equal(ours, theirs, strict=True)
