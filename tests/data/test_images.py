"""The one image reader: every depth and number of channels kept, everything else refused by name."""

from __future__ import annotations

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

import holotype.data
from holotype.core.errors import DataError
from holotype.data import read_image

RANDOM = np.random.default_rng(7)
GREY = RANDOM.integers(0, 256, (8, 9), dtype=np.uint8)
COLOUR = Image.fromarray(RANDOM.integers(0, 256, (8, 9, 3), dtype=np.uint8))


def noise(depth: str, *shape: int) -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(depth).max, shape, dtype=depth, endpoint=True)


# ---- what is kept


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_keeps_its_depth_and_channels(tmp_path, depth, channels):
    pixels = noise(depth, channels, 8, 9)
    last = np.moveaxis(pixels, 0, -1) if channels > 1 else pixels[0]
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(last)))
    read = read_image([tmp_path / "a.png"])
    assert read.dtype == depth
    np.testing.assert_array_equal(read, pixels)


def test_every_level_of_a_16_bit_png_is_kept(tmp_path):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    np.testing.assert_array_equal(read_image([tmp_path / "ramp.png"]), ramp[None])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path, channels):
    (Image.fromarray(GREY) if channels == 1 else COLOUR).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as picture:
        expected = np.asarray(picture)
    read = read_image([tmp_path / "a.jpg"])
    assert (read.shape, read.dtype) == ((channels, 8, 9), np.uint8)
    np.testing.assert_array_equal(read, expected[None] if channels == 1 else np.moveaxis(expected, -1, 0))


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pages_of_a_tiff_are_channels(tmp_path, depth, channels, compression):
    pixels = (noise("uint8", channels, 6, 7)).astype(depth)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", compression=compression)
    read = read_image([tmp_path / "a.tif"])
    assert read.dtype == depth
    np.testing.assert_array_equal(read, pixels)


def test_pages_that_were_written_one_by_one_are_channels_too(tmp_path):
    pixels = noise("uint16", 3, 6, 7)
    for name, metadata in (("described", {}), ("plain", None)):
        with tifffile.TiffWriter(tmp_path / f"{name}.tif") as tiff:
            for page in pixels:
                tiff.write(page, metadata=metadata)
        np.testing.assert_array_equal(read_image([tmp_path / f"{name}.tif"]), pixels)
    first, *others = [Image.fromarray(page) for page in pixels]
    first.save(tmp_path / "pillow.tif", save_all=True, append_images=others)
    np.testing.assert_array_equal(read_image([tmp_path / "pillow.tif"]), pixels)


@pytest.mark.parametrize("channels", [3, 4, 5])
def test_samples_of_a_tiff_pixel_are_channels_whether_side_by_side_or_apart(tmp_path, channels):
    pixels = noise("uint16", channels, 6, 7)
    photometric = "rgb" if channels == 3 else "minisblack"
    last = np.moveaxis(pixels, 0, -1)
    tifffile.imwrite(tmp_path / "contig.tif", last, photometric=photometric, planarconfig="contig")
    tifffile.imwrite(tmp_path / "separate.tif", pixels, photometric=photometric, planarconfig="separate")
    for name in ("contig", "separate"):
        np.testing.assert_array_equal(read_image([tmp_path / f"{name}.tif"]), pixels)


def test_an_imagej_stack_and_a_big_endian_tiff_are_read_in_native_order(tmp_path):
    pixels = noise("uint16", 3, 6, 7)
    tifffile.imwrite(tmp_path / "imagej.tif", pixels, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "big.tif", pixels, byteorder=">", photometric="minisblack")
    for name in ("imagej", "big"):
        read = read_image([tmp_path / f"{name}.tif"])
        assert read.dtype.isnative
        np.testing.assert_array_equal(read, pixels)


def test_a_thumbnail_beside_the_picture_is_passed_over(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(GREY[:2, :2], subfiletype=1, metadata=None)
        tiff.write(GREY, metadata=None)
    np.testing.assert_array_equal(read_image([tmp_path / "a.tif"]), GREY[None])


def test_black_and_white_becomes_8_bit(tmp_path):
    Image.fromarray(GREY > 99).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", GREY > 99, photometric="minisblack")
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read_image([tmp_path / name])[0], np.where(GREY > 99, 255, 0))


def test_doubles_become_single_precision(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY / 7.0)
    read = read_image([tmp_path / "a.tif"])
    np.testing.assert_array_equal(read[0], (GREY / 7.0).astype(np.float32), strict=True)


# ---- one file a channel


def test_files_of_single_channels_are_stacked_in_their_order(tmp_path):
    pixels = noise("uint16", 4, 6, 7)
    files = [tmp_path / f"{number}.png" for number in (3, 1, 0, 2)]
    for file, plane in zip(files, pixels, strict=True):
        Image.fromarray(plane).save(file)
    np.testing.assert_array_equal(read_image(files), pixels)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (GREY[:-1], r"differ in size or depth: 0\.png 9x8 uint8, 1\.png 9x7 uint8"),
        (GREY.astype(np.uint16), r"differ in size or depth: 0\.png 9x8 uint8, 1\.png 9x8 uint16"),
        (np.stack([GREY] * 3, axis=-1), r"1\.png holds 3 channels, but .* names a file for each channel; save it"),
    ],
)
def test_channels_that_do_not_fit_each_other_are_refused(tmp_path, second, message):
    files = [tmp_path / "0.png", tmp_path / "1.png"]
    for file, pixels in zip(files, (GREY, second), strict=True):
        Image.fromarray(pixels).save(file)
    with pytest.raises(DataError, match=message):
        read_image(files)


# ---- what is refused


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file for each way in which an image can be no image of ours."""
    folder = tmp_path_factory.mktemp("spoilt")
    for ending in ("png", "tif"):
        (folder / f"text.{ending}").write_text("not an image at all")
        (folder / f"empty.{ending}").write_bytes(b"")
        COLOUR.save(folder / f"whole.{ending}", compression="tiff_lzw")
        (folder / f"cut.{ending}").write_bytes((folder / f"whole.{ending}").read_bytes()[:150])
    for ending in ("jpg", "tif"):
        COLOUR.convert("CMYK").save(folder / f"cmyk.{ending}")
    for ending in ("gif", "png"):
        COLOUR.save(folder / f"animated.{ending}", save_all=True, append_images=[COLOUR.rotate(90)])
    tifffile.imwrite(folder / "nan.tif", np.full((4, 4), np.nan, np.float32))
    tifffile.imwrite(folder / "huge.tif", np.full((4, 4), 1e300))
    tifffile.imwrite(folder / "wide.tif", np.full((4, 4), 70_000_000, np.uint32))
    tifffile.imwrite(folder / "stacks.tif", np.zeros((2, 3, 6, 7), np.uint8), photometric="minisblack")
    with tifffile.TiffWriter(folder / "sizes.tif") as tiff:
        tiff.write(GREY, metadata=None)
        tiff.write(GREY[:-1], metadata=None)
    return folder


REFUSALS = {
    "cmyk.jpg": "has the color mode CMYK; convert it to RGB with its color profile",
    "cmyk.tif": r"has the color mode CMYK \(SEPARATED\); convert it to RGB with its color profile",
    "animated.gif": r"is an animation of several frames; write data.projection: max \(or mean",
    "animated.png": r"is an animation of several frames; write data.projection: max \(or mean",
    "text.tif": "is not an image of a known format",
    "text.png": "is not an image of a known format",
    "empty.tif": "is not an image of a known format",
    "empty.png": "is not an image of a known format",
    "nan.tif": "holds no finite value; replace NaN and infinity",
    "huge.tif": "holds no finite value; replace NaN and infinity",
    "wide.tif": "holds whole numbers from 70,000,000 to 70,000,000, which a 32-bit float would round; divide them",
    "stacks.tif": r"has the axes .* of shape \(2, 3, 6, 7\); save it as \(channels, height, width\)",
    "sizes.tif": "holds 2 pictures of shapes 8 x 9, 7 x 9; save one picture a file",
    "cut.png": "cannot be decoded",
    "cut.tif": "is incomplete: a page lies beyond the end of the file; it may have been cut off",
    "missing.tif": "does not exist",
    "missing.png": "does not exist",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_image_of_ours_is_refused_by_its_name(spoilt, name):
    with pytest.raises(DataError, match=rf"{name} {REFUSALS[name]}"):
        read_image([spoilt / name])


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch, name):
    Image.fromarray(GREY).save(tmp_path / name)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(DataError, match=rf"{name} has 9x8 pixels, more than 71"):
        read_image([tmp_path / name], max_pixels=GREY.size - 1)


# ---- photographs, some grey and some in colour

RGB = ("red", "green", "blue")


def test_grey_becomes_three_equal_channels_where_colours_are_named(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    COLOUR.save(tmp_path / "colour.png")
    assert read_image([tmp_path / "grey.png"]).shape[0] == 1
    made = read_image([tmp_path / "grey.png"], channels=RGB)
    assert np.array_equal(made, np.stack([GREY] * 3))
    assert np.array_equal(read_image([tmp_path / "colour.png"], channels=RGB), read_image([tmp_path / "colour.png"]))
    deep = noise("uint16", 6, 7)
    tifffile.imwrite(tmp_path / "deep.tif", deep)
    assert np.array_equal(read_image([tmp_path / "deep.tif"], channels=["Red", "Green", "Blue"]), np.stack([deep] * 3))


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_palettes_and_opaque_fourth_channels_become_colours(tmp_path: Path, mode: str) -> None:
    picture = COLOUR.quantize(8) if mode == "P" else COLOUR.convert(mode)
    picture.save(tmp_path / "a.png")
    expected = np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)
    assert np.array_equal(read_image([tmp_path / "a.png"], channels=RGB), expected)


def test_what_is_not_opaque_is_refused_with_the_way_out(tmp_path: Path) -> None:
    glass = COLOUR.convert("RGBA")
    glass.putpixel((0, 0), (1, 2, 3, 254))
    glass.save(tmp_path / "glass.png")
    with pytest.raises(DataError, match="not opaque; lay it on a background, or name four channels"):
        read_image([tmp_path / "glass.png"], channels=RGB)
    assert read_image([tmp_path / "glass.png"], channels=[*RGB, "depth"]).shape[0] == 4


def test_other_names_leave_channels_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    assert read_image([tmp_path / "grey.png"], channels=["dna", "er", "actin"]).shape[0] == 1
    assert read_image([tmp_path / "grey.png"] * 3, channels=RGB).shape[0] == 3  # a file a channel


# ---- one reader


def test_no_other_module_decodes_an_image() -> None:
    allowed = {
        r"Image\.open\(": {"data/pictures.py", "inspect/headers.py"},  # the second reads headers alone
        r"^\s*(import|from) tifffile": {"data/tiff.py"},
        r"^\s*(import|from) imagecodecs": {"data/pictures.py"},
        r"^\s*(import|from) (zarr|bioio|pillow_heif)\b": {
            "data/zarr_images.py",
            "data/array_formats.py",
            "data/pictures.py",
        },
    }
    source = Path(holotype.data.__file__).parents[1]
    # The program beside an exported graph runs without this library.
    for path in set(source.rglob("*.py")) - {source / "runs/export/example.py"}:
        for pattern, modules in allowed.items():
            if re.search(pattern, path.read_text("utf-8"), re.MULTILINE):
                assert path.relative_to(source).as_posix() in modules, pattern


def test_the_reader_works_in_a_process_of_its_own(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        answer = pool.submit(read_image, [tmp_path / "a.png"], 1000, None, "max").result(60)
        np.testing.assert_array_equal(answer, GREY[None])
        with pytest.raises(DataError, match="does not exist"):
            pool.submit(read_image, [tmp_path / "b.png"]).result(60)
