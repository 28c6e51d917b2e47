"""Damaged and hostile files end in an array or in one sentence, within a bounded time and memory."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from holotype.core.errors import DataError
from holotype.data import read_image

RANDOM = np.random.default_rng(3)
GREY = RANDOM.integers(0, 256, (20, 24)).astype(np.uint8)
COLOR = RANDOM.integers(0, 256, (20, 24, 3)).astype(np.uint8)
MUTATIONS = 60
SECONDS = 2.0


def pillow(form: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(COLOR).convert(mode).save(stream, form, **options)
    return stream.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def numpy_file(save: Callable[..., None]) -> bytes:
    stream = io.BytesIO()
    save(stream, GREY)
    return stream.getvalue()


FORMATS: dict[str, bytes] = {
    "a.png": pillow("PNG"),
    "palette.png": pillow("PNG", "P"),
    "deep.png": imagecodecs.png_encode(COLOR.astype(np.uint16)),
    "a.jpg": pillow("JPEG"),
    "a.gif": pillow("GIF"),
    "a.bmp": pillow("BMP"),
    "a.webp": pillow("WEBP"),
    "a.ppm": b"P6 24 20 65535\n" + COLOR.astype(">u2").tobytes(),
    "text.pgm": b"P2 2 2 999\n1 2 3 4\n",
    "a.jp2": pillow("JPEG2000"),
    "deep.jp2": imagecodecs.jpeg2k_encode(GREY.astype(np.uint16), bitspersample=12),
    "a.jxl": imagecodecs.jpegxl_encode(COLOR),
    "a.jxr": imagecodecs.jpegxr_encode(COLOR),
    "a.tif": tiff(GREY),
    "tiles.tif": tiff(GREY, tile=(16, 16), compression="zlib"),
    "lzw.tif": tiff(GREY, compression="lzw", rowsperstrip=4),
    "jpeg.tif": tiff(COLOR, compression="jpeg"),
    "big.tif": tiff(GREY, bigtiff=True),
    "imagej.tif": tiff(np.stack([GREY] * 3), imagej=True, metadata={"axes": "CYX"}),
    "a.ome.tif": tiff(np.stack([GREY] * 3), ome=True, metadata={"axes": "CYX"}, photometric="minisblack"),
    "a.npy": numpy_file(np.save),
    "a.npz": numpy_file(np.savez_compressed),
}


@pytest.mark.parametrize("name", FORMATS)
def test_mutated_bytes_end_in_an_array_or_in_one_sentence(tmp_path, name, capfd):
    content = FORMATS[name]
    random = np.random.default_rng([5, list(FORMATS).index(name)])
    assert read_image([written(tmp_path / name, content)]).ndim == 3
    for number in range(MUTATIONS):
        damaged = bytearray(content)
        if number % 4 == 0:
            damaged = damaged[: int(random.integers(1, len(content)))]
        places = len(damaged) if number % 2 else min(len(damaged), 300)
        for place in random.integers(0, places, 1 + number % 5):
            damaged[place] = int(random.integers(0, 256))
        path = written(tmp_path / name, bytes(damaged))
        start = time.process_time()
        outcome = outcome_of(path)
        if isinstance(outcome, str):
            assert name in outcome
            assert "\n" not in outcome
        else:
            assert outcome.dtype.name in {"uint8", "uint16", "float32"}
            assert outcome.ndim == 3
        assert time.process_time() - start < SECONDS
    said = capfd.readouterr()
    assert said.out + said.err == ""


def outcome_of(path: Path) -> np.ndarray | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            return read_image([path])
    except DataError as error:
        return str(error)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# ---- what is no file, or no image


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy", "a.npz", "a.czi", "a.zarr", "a.jp2"])
def test_a_pipe_a_socket_and_a_device_are_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name} is a pipe \(FIFO\) and not a file"):
        read_image([tmp_path / name])
    with pytest.raises(DataError, match="is a pipe"):
        read_image([f"file://{tmp_path}/{name}"])
    (tmp_path / name).unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / name))
        with pytest.raises(DataError, match=f"{name} is a socket"):
            read_image([tmp_path / name])
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(DataError, match=f"{name} is a device"):
        read_image([tmp_path / name])


def test_a_pipe_inside_a_zarr_and_at_the_end_of_a_chain_of_addresses_is_refused(tmp_path):
    zarr.save(str(tmp_path / "a.zarr"), GREY)
    (tmp_path / "a.zarr" / "0.0").unlink()
    os.mkfifo(tmp_path / "a.zarr" / "0.0")
    with pytest.raises(DataError, match=r"0\.0 is a pipe"):
        read_image([tmp_path / "a.zarr"])
    os.mkfifo(tmp_path / "images.zip")
    with pytest.raises(DataError, match="is a pipe"):
        read_image([f"zip://a.png::{tmp_path}/images.zip"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "it is an HTML page"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is a PostScript file"),
        (b"%PDF-1.7\n", "it is a PDF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"\0" * 128 + b"DICM", "is a DICOM file, which is not read; convert it to TIFF"),
        (b"", "it is empty; copy it anew"),
    ],
)
def test_a_file_that_is_something_else_is_called_by_what_it_is(tmp_path, content, reason):
    with pytest.raises(DataError, match=rf"a\.png.*{reason}"):
        read_image([written(tmp_path / "a.png", content)])


def test_a_regular_file_is_opened_by_its_content_and_not_by_its_ending(tmp_path):
    for name, content in FORMATS.items():
        if name.endswith(".npz"):
            continue
        expected = read_image([written(tmp_path / name, content)])
        for ending in (".png", ".tif", ".jpg", ".gif", ".npy", ""):
            renamed = written(tmp_path / f"renamed{ending}", content)
            np.testing.assert_array_equal(read_image([renamed]), expected)


# ---- what promises more than it holds


def directory(tags: dict[int, tuple[int, list[int]]], following: int = 0, at: int = 8) -> bytes:
    """One directory of a little-endian TIFF; lists of several values follow behind it."""
    entries, behind, start = b"", b"", at + 2 + 12 * len(tags) + 4
    for code, (kind, values) in sorted(tags.items()):
        packed = b"".join(struct.pack("<H" if kind == 3 else "<I", value) for value in values)
        if len(packed) > 4:
            packed, behind = struct.pack("<I", start + len(behind)), behind + packed
        entries += struct.pack("<HHI", code, kind, len(values)) + packed.ljust(4, b"\0")
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + behind


def page(height: int, width: int, **more: tuple[int, list[int]]) -> dict[int, tuple[int, list[int]]]:
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1])}
    return {**tags, **{int(code.lstrip("t")): value for code, value in more.items()}}


HEADER = b"II*\0" + struct.pack("<I", 8)


def tiny_tiles() -> bytes:
    return HEADER + directory(page(5000, 5000, t322=(3, [1]), t323=(3, [1]), t324=(4, [8]), t325=(4, [1])))


def giant_tile() -> bytes:
    return HEADER + directory(page(10, 10, t322=(4, [1 << 20]), t323=(4, [1 << 20]), t324=(4, [8]), t325=(4, [1])))


def sparse(zero: int) -> bytes:
    strips = {"t273": (4, [8, 0] if zero == 273 else [8, 8]), "t279": (4, [4, 0] if zero == 279 else [4, 4])}
    return HEADER + directory(page(2, 4, t278=(3, [1]), **strips))


def beyond_the_end() -> bytes:
    return HEADER + directory(page(2, 4, t278=(3, [1]), t273=(4, [8, 100_000]), t279=(4, [4, 4])))


def circle() -> bytes:
    return HEADER + directory(page(2, 4, t278=(3, [2]), t273=(4, [8]), t279=(4, [8])), following=8)


def many_pages(count: int = 20_000) -> bytes:
    tags, size = page(1, 1, t278=(3, [1]), t273=(4, [8]), t279=(4, [1])), 2 + 12 * 9 + 4
    return HEADER + b"".join(
        directory(tags, 8 + size * (number + 1) if number + 1 < count else 0) for number in range(count)
    )


def jpeg_that_grows() -> bytes:
    small = bytearray(tiff(COLOR[:16, :16], compression="jpeg", tile=(16, 16)))
    frame = small.index(b"\xff\xc0")
    small[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    return bytes(small)


def zipped(shape: tuple[int, ...]) -> bytes:
    head, stream = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", head.getvalue() + bytes(1 << 20))
    return stream.getvalue()


PROMISES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "tiles of one pixel": ("a.tif", tiny_tiles, "is sparse: 1 of its 25,000,000 tiles are in the file"),
    "one giant tile": ("a.tif", giant_tile, "a tile of .* more than 200,000,000"),
    "an offset of 0": ("a.tif", lambda: sparse(273), "is sparse: 1 strip of 2 without pixels"),
    "a length of 0": ("a.tif", lambda: sparse(279), "is sparse: 1 strip of 2 without pixels"),
    "pixels beyond the end": ("a.tif", beyond_the_end, "is cut off: strips of it lie beyond the end of the file"),
    "pages in a circle": ("a.tif", circle, "its pages form a loop"),
    "20,000 pages": ("a.tif", many_pages, "holds more than 4,096 pages"),
    "1,000 channels": ("a.tif", lambda: many_pages(1000), "holds 1,000 channels, more than 32; name them in data.chan"),
    "a tile that grows": ("a.tif", jpeg_that_grows, "says that it has 65500x65500|65500 x 65500"),
    "a packed giant": ("a.npz", lambda: zipped((40_000, 40_000)), "has 40000x40000 pixels, more than 200,000,000"),
    "bytes and not pixels": ("a.npz", lambda: zipped((9, 10_000, 10_000)), "are 900 MB decoded and more than 400 MB"),
}


@pytest.mark.parametrize("kind", PROMISES)
def test_what_promises_more_than_it_holds_is_refused_in_no_time(tmp_path, kind):
    name, make, reason = PROMISES[kind]
    path = written(tmp_path / name, make())
    start = time.process_time()
    with pytest.raises(DataError, match=reason):
        read_image([path])
    assert time.process_time() - start < 1


def test_as_many_channels_are_read_as_the_recipe_names(tmp_path):
    path = written(tmp_path / "a.tif", many_pages(40))
    with pytest.raises(DataError, match="holds 40 channels, more than 32"):
        read_image([path])
    assert read_image([path], channels=[f"band{number}" for number in range(40)]).shape == (40, 1, 1)


def test_a_server_s_limit_of_pixels_bounds_the_bytes_as_well(tmp_path):
    path = written(tmp_path / "a.tif", tiff(np.zeros((9, 20, 24), np.uint8), photometric="minisblack"))
    assert read_image([path], max_pixels=9 * 20 * 24 // 4).shape == (9, 20, 24)
    with pytest.raises(DataError, match="in 9 channels or planes, which are 0 MB decoded"):
        read_image([path], max_pixels=9 * 20 * 24 // 4 - 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"chunks": [100_000, 100_000]}, "stored in chunks of 10,000 MB"),
        ({"shape": [5000, 5000], "chunks": [1, 1]}, "stored in 25,000,000 chunks"),
        ({"shape": [50_000, 50_000], "chunks": [5_000, 5_000]}, "has 50000x50000 pixels, more than"),
        ({"filters": [{"id": "pickle", "protocol": 4}]}, "compressed by 'pickle', which is not read"),
    ],
)
def test_a_zarr_of_endless_chunks_or_of_a_codec_that_runs_code_is_refused(tmp_path, change, reason):
    zarr.save(str(tmp_path / "a.zarr"), GREY)
    notes = tmp_path / "a.zarr" / ".zarray"
    notes.write_text(json.dumps({**json.loads(notes.read_text()), **change}))
    with pytest.raises(DataError, match=reason):
        read_image([tmp_path / "a.zarr"])
