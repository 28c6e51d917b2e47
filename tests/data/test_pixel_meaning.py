"""Pixels mean what their file says: orientation, photometric interpretation, palettes, depth, axes, planes."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image, ImageOps

from holotype.core.errors import DataError
from holotype.core.runtime import Runtime
from holotype.data import measure_images, read_image, read_images
from holotype.data.axes import project
from holotype.pipeline.data_steps import read_table
from holotype.recipe.sections import DataSpec

RANDOM = np.random.default_rng(11)
GREY = RANDOM.integers(0, 256, (16, 24)).astype(np.uint8)
COLOR = RANDOM.integers(0, 256, (16, 24, 3)).astype(np.uint8)
WHITE_AT_ZERO, BLACK_AT_ZERO = 0, 1


def written(path: Path, pixels: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, pixels, **options)
    return path


def channels_first(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def upright(orientation: int, *pixels: np.ndarray) -> np.ndarray:
    """Planes turned by Pillow, stacked."""
    turned = []
    for plane in pixels:
        exif = Image.Exif()
        exif[274] = orientation
        stream = io.BytesIO()
        Image.fromarray(plane).save(stream, "PNG", exif=exif)
        turned.append(np.asarray(ImageOps.exif_transpose(Image.open(stream))))
    return np.stack(turned)


# ---- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.avif", "grey.jpg", "palette.png", "deep.png", "a.tif"])
def test_every_orientation_is_undone_as_pillow_undoes_it(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / name
    picture = Image.fromarray(COLOR)
    if name == "deep.png":
        path.write_bytes(with_exif(imagecodecs.png_encode(COLOR.astype(np.uint16) * 257), exif))
        expected = upright(orientation, *np.moveaxis(COLOR, -1, 0)).astype(np.uint16) * 257
        np.testing.assert_array_equal(read_image([path]), expected, strict=True)
        return
    if name.startswith("grey"):
        picture = Image.fromarray(GREY)
    if name.startswith("palette"):
        picture = picture.quantize(16)
    picture.save(path, exif=exif)
    with Image.open(path) as opened:
        expected = channels_first(ImageOps.exif_transpose(opened.convert("RGB") if opened.mode == "P" else opened))
    np.testing.assert_array_equal(read_image([path]), expected, strict=True)


def with_exif(png: bytes, exif: Image.Exif) -> bytes:
    """A PNG with a chunk of EXIF, taken from one that Pillow wrote."""
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "PNG", exif=exif)
    made = stream.getvalue()
    at = made.index(b"eXIf") - 4
    chunk = made[at : at + 12 + int.from_bytes(made[at : at + 4], "big")]
    return png[:33] + chunk + png[33:]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_a_tiff_of_many_channels_is_turned_upright(tmp_path, orientation, depth):
    planes = [GREY, GREY[::-1], GREY.T.copy().T // 2, 255 - GREY, GREY // 3]
    path = written(
        tmp_path / "a.tif",
        np.stack(planes).astype(depth),
        photometric="minisblack",
        extratags=[(274, 3, 1, orientation, True)],
    )
    np.testing.assert_array_equal(read_image([path]), upright(orientation, *planes).astype(depth), strict=True)


def test_broken_exif_leaves_the_picture_as_it_is_stored(tmp_path, capfd, recwarn):
    stream = io.BytesIO()
    Image.fromarray(COLOR).save(stream, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff\0\0")
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    assert read_image([tmp_path / "a.jpg"]).shape == (3, 16, 24)
    assert capfd.readouterr().err == ""


# ---- white at zero


@settings(max_examples=60, deadline=None)
@given(
    depth=some.sampled_from(["bool", "uint8", "uint16", "uint32", "int8", "int16", "float16", "float32", "float64"]),
    white=some.booleans(),
    orientation=some.integers(1, 8),
    channels=some.sampled_from([1, 3]),
    planar=some.sampled_from(["contig", "separate"]),
    compression=some.sampled_from([None, "zlib", "lzw"]),
    predictor=some.booleans(),
    tiled=some.booleans(),
    big=some.booleans(),
)
def test_depth_photometric_layout_and_orientation_go_together_in_any_way(
    tmp_path_factory, depth, white, orientation, channels, planar, compression, predictor, tiled, big
):
    stored = (GREY > 99) if depth == "bool" else GREY.astype(depth) / (256 if depth.startswith("float") else 1)
    stored = stored.astype(depth)
    planes = np.stack([stored, stored[::-1], stored[:, ::-1]])[:channels]
    options = {"photometric": "miniswhite" if white else "minisblack", "compression": compression}
    options |= {"extratags": [(274, 3, 1, orientation, True)], "byteorder": ">" if big else "<"}
    if depth == "bool" or channels == 1:
        pixels = planes[0] if channels == 1 else planes
    else:
        pixels = np.moveaxis(planes, 0, -1) if planar == "contig" else planes
        options["planarconfig"] = planar
    if predictor and compression and depth not in {"bool", "float16"}:
        options["predictor"] = True
    if tiled and depth != "bool":
        options["tile"] = (16, 16)
    path = written(tmp_path_factory.mktemp("tiff") / "a.tif", pixels, **options)
    top = {"bool": 1, "uint8": 255, "uint16": 65_535, "uint32": 2**32 - 1, "int8": -1, "int16": -1}.get(depth, 1.0)
    values = top - planes.astype(np.float64) if white else planes.astype(np.float64)
    if depth == "uint32" and white:
        with pytest.raises(DataError, match="which a 32-bit float would round"):
            read_image([path])
        return
    expected = turned(values * (255 if depth == "bool" else 1), orientation)
    read = read_image([path])
    assert read.dtype.name == {"bool": "uint8", "uint8": "uint8", "uint16": "uint16"}.get(depth, "float32")
    np.testing.assert_allclose(read, expected, rtol=0, atol=1e-3 if depth == "float16" else 1e-7)


def turned(planes: np.ndarray, orientation: int) -> np.ndarray:
    """All planes upright, by Pillow on the places of the pixels."""
    places = np.arange(planes[0].size, dtype=np.int32).reshape(planes[0].shape)
    methods = {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_270",
        7: "TRANSVERSE",
        8: "ROTATE_90",
    }
    picture = Image.fromarray(places)
    if orientation in methods:
        picture = picture.transpose(Image.Transpose[methods[orientation]])
    return np.stack([plane.ravel()[np.asarray(picture)] for plane in planes])


@pytest.mark.parametrize("white", [True, False])
def test_twelve_packed_bits_are_inverted_within_twelve_bits(tmp_path, white):
    values = RANDOM.integers(0, 4096, (6, 8)).astype(np.uint16)
    path = written(tmp_path / "a.tif", values, bitspersample=12, photometric="miniswhite" if white else "minisblack")
    np.testing.assert_array_equal(read_image([path])[0], 4095 - values if white else values, strict=True)


def test_the_same_picture_counted_from_white_is_a_duplicate_of_itself(tmp_path):
    written(tmp_path / "i.tif", GREY, photometric="minisblack")
    written(tmp_path / "j.tif", 255 - GREY, photometric="miniswhite")
    (tmp_path / "train.csv").write_text("id,label\ni,a\nj,b\n")
    images = read_images(DataSpec(train=f"{tmp_path}/train.csv", images=f"{tmp_path}/{{id}}.tif"))
    assert measure_images(images, Runtime()).frame["digest"].n_unique() == 1


def test_pages_that_are_meant_in_different_ways_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(GREY, photometric="minisblack", metadata=None)
        tiff.write(GREY, photometric="miniswhite", metadata=None)
    with pytest.raises(DataError, match="pages of different photometric interpretations"):
        read_image([tmp_path / "a.tif"])


# ---- color


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.tif", "a.bmp"])
def test_a_palette_becomes_three_colors(tmp_path, name):
    picture = Image.fromarray(COLOR).quantize(200)
    picture.save(tmp_path / name)
    np.testing.assert_array_equal(read_image([tmp_path / name]), channels_first(picture.convert("RGB")), strict=True)


def test_a_gif_of_greys_has_three_channels_as_any_other(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.gif")
    np.testing.assert_array_equal(read_image([tmp_path / "a.gif"]), np.stack([GREY] * 3), strict=True)


def test_gray_with_opacity_is_gray_where_it_is_opaque(tmp_path):
    opaque = Image.fromarray(GREY).convert("LA")
    opaque.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image([tmp_path / "a.png"]), GREY[None], strict=True)
    glass = np.stack([GREY, GREY], axis=-1)
    Image.fromarray(glass, "LA").save(tmp_path / "glass.png")
    np.testing.assert_array_equal(read_image([tmp_path / "glass.png"]), np.stack([GREY, GREY]), strict=True)
    deep = np.stack([GREY.astype(np.uint16) * 200, np.full(GREY.shape, 65_535, np.uint16)], axis=-1)
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(deep))
    np.testing.assert_array_equal(read_image([tmp_path / "deep.png"])[0], deep[..., 0], strict=True)
    with pytest.raises(DataError, match="not opaque"):
        read_image([tmp_path / "glass.png"], channels=["red", "green", "blue"])


def test_ycbcr_is_read_as_rgb(tmp_path):
    smooth = np.asarray(Image.fromarray(COLOR).resize((48, 32), Image.Resampling.BICUBIC))
    path = written(tmp_path / "jpeg.tif", smooth, compression="jpeg", photometric="ycbcr", subsampling=(2, 2))
    with Image.open(path) as picture:
        expected = channels_first(picture.convert("RGB")).astype(int)
    assert np.abs(read_image([path]).astype(int) - expected).mean() < 2
    plain = np.asarray(Image.fromarray(COLOR).convert("YCbCr"))
    path = written(tmp_path / "plain.tif", plain, photometric="ycbcr", subsampling=(1, 1))
    expected = channels_first(Image.fromarray(plain, "YCbCr").convert("RGB"))
    np.testing.assert_array_equal(read_image([path]), expected, strict=True)


@pytest.mark.parametrize("name", ["a.tif", "a.jpg"])
def test_cmyk_is_refused_with_the_way_out(tmp_path, name):
    Image.fromarray(COLOR).convert("CMYK").save(tmp_path / name)
    with pytest.raises(DataError, match=r"CMYK.*convert it to RGB with its color profile"):
        read_image([tmp_path / name])


# ---- depth


@pytest.mark.parametrize(
    ("depth", "kept"),
    [
        ("int8", "float32"),
        ("int16", "float32"),
        ("uint32", "float32"),
        ("int32", "float32"),
        ("float16", "float32"),
        ("float64", "float32"),
        ("uint64", "float32"),
    ],
)
def test_the_type_follows_from_the_stored_type_and_every_value_is_kept(tmp_path, depth, kept):
    values = np.arange(-8, 8).reshape(4, 4) * 16 if depth.startswith("int") else np.arange(16).reshape(4, 4) * 9
    stored = values.astype(depth)
    path = written(tmp_path / "a.tif", stored, photometric="minisblack")
    np.save(tmp_path / "a.npy", stored)
    for file in (path, tmp_path / "a.npy"):
        read = read_image([file])
        assert read.dtype == kept
        np.testing.assert_array_equal(read[0], values)


def test_sixteen_bits_of_a_portable_map_are_kept(tmp_path):
    deep = RANDOM.integers(0, 65_536, (5, 7, 3)).astype(np.uint16)
    (tmp_path / "a.ppm").write_bytes(b"P6\n# made by hand\n7 5\n65535\n" + deep.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_image([tmp_path / "a.ppm"]), np.moveaxis(deep, -1, 0), strict=True)
    (tmp_path / "a.pgm").write_bytes(b"P5 7 5 4095\n" + (deep[..., 0] // 16).astype(">u2").tobytes())
    np.testing.assert_array_equal(read_image([tmp_path / "a.pgm"])[0], deep[..., 0] // 16, strict=True)


def test_other_codecs_keep_what_they_were_given(tmp_path):
    deep = COLOR.astype(np.uint16) * 257
    contents = {
        "grey.jp2": (imagecodecs.jpeg2k_encode(GREY, level=0), GREY[None]),
        "deep.jp2": (imagecodecs.jpeg2k_encode(deep, level=0), np.moveaxis(deep, -1, 0)),
        "five.jp2": (imagecodecs.jpeg2k_encode(np.stack([GREY] * 5, -1), level=0), np.stack([GREY] * 5)),
        "a.jxl": (imagecodecs.jpegxl_encode(COLOR, lossless=True), np.moveaxis(COLOR, -1, 0)),
        "deep.jxl": (imagecodecs.jpegxl_encode(deep, lossless=True), np.moveaxis(deep, -1, 0)),
        "a.jxr": (imagecodecs.jpegxr_encode(GREY, level=1.0), GREY[None]),
        "a.avif": (imagecodecs.avif_encode(COLOR, level=100), np.moveaxis(COLOR, -1, 0)),
        "ten.avif": (
            imagecodecs.avif_encode(COLOR.astype(np.uint16) * 4, level=100, bitspersample=10),
            np.moveaxis(COLOR, -1, 0).astype(np.uint16) * 4,
        ),
    }
    for name, (content, expected) in contents.items():
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(read_image([tmp_path / name]), expected, strict=True, err_msg=name)


def test_the_first_picture_of_an_mpo_is_read(tmp_path):
    first, second = Image.fromarray(COLOR), Image.fromarray(COLOR[::-1].copy())
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.mpo") as picture:
        assert picture.n_frames == 2
        np.testing.assert_array_equal(read_image([tmp_path / "a.mpo"]), channels_first(picture), strict=True)


def test_pixels_without_data_stay_so(tmp_path):
    values = np.where(GREY > 9, GREY, np.nan).astype(np.float32)
    np.testing.assert_array_equal(read_image([written(tmp_path / "a.tif", values)])[0], values)
    marked = np.where(GREY > 9, GREY, -9999.0).astype(np.float32)
    path = written(tmp_path / "gdal.tif", marked, extratags=[(42113, "s", 0, "-9999", True)])
    np.testing.assert_array_equal(read_image([path])[0], values)


# ---- planes and times


STACK = RANDOM.integers(0, 256, (5, 2, 16, 24)).astype(np.uint8)
PROJECTED = {
    "max": STACK.max(axis=0),
    "mean": STACK.astype(np.float32).mean(axis=0, dtype=np.float64).astype(np.float32),
    "sum": STACK.sum(axis=0).astype(np.float32),
    "first": STACK[0],
    "middle": STACK[2],
}


@pytest.mark.parametrize("projection", PROJECTED)
@pytest.mark.parametrize("form", ["imagej", "ome", "zarr", "times"])
def test_a_stack_is_projected_as_the_recipe_says_and_refused_without_it(tmp_path, form, projection):
    path = tmp_path / ("a.zarr" if form == "zarr" else "a.ome.tif" if form == "ome" else "a.tif")
    if form == "zarr":
        group = zarr.open_group(str(path), mode="w")
        group.create_dataset("0", data=STACK)
        group.attrs["multiscales"] = [{"datasets": [{"path": "0"}], "axes": ["z", "c", "y", "x"]}]
    elif form == "ome":
        written(path, STACK, metadata={"axes": "ZCYX"}, photometric="minisblack")
    else:
        written(path, STACK, imagej=True, metadata={"axes": "TCYX" if form == "times" else "ZCYX"})
    with pytest.raises(DataError, match=r"holds 5 (planes|times); write data\.projection: max"):
        read_image([path])
    np.testing.assert_array_equal(read_image([path], projection=projection), PROJECTED[projection], strict=True)


def test_planes_at_several_times_are_refused(tmp_path):
    path = written(tmp_path / "a.tif", np.zeros((2, 3, 16, 24), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(DataError, match="holds 3 planes at each of 2 times"):
        read_image([path], projection="max")


def test_pages_without_a_name_are_channels_and_planes_where_a_projection_is_asked_for(tmp_path):
    path = written(tmp_path / "a.tif", STACK[:, 0], photometric="minisblack", metadata=None)
    assert read_image([path]).shape == (5, 16, 24)
    np.testing.assert_array_equal(read_image([path], projection="max")[0], STACK[:, 0].max(axis=0))
    names = ["a", "b", "c", "d", "e"]
    np.testing.assert_array_equal(read_image([path], channels=names, projection="max"), STACK[:, 0])


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_an_animation_is_a_series_of_times(tmp_path, name):
    frames = [Image.fromarray(np.roll(COLOR, 3 * turn, axis=0)) for turn in range(3)]
    frames[0].save(
        tmp_path / name, save_all=True, append_images=frames[1:], **({"lossless": True} if "webp" in name else {})
    )
    with pytest.raises(DataError, match=r"animation of several frames; write data\.projection"):
        read_image([tmp_path / name])
    with Image.open(tmp_path / name) as picture:
        first = channels_first(picture.convert("RGB"))
    np.testing.assert_array_equal(read_image([tmp_path / name], projection="first"), first, strict=True)
    assert read_image([tmp_path / name], projection="mean").dtype == np.float32


def test_a_projection_reaches_every_image_of_a_table_and_its_key(tmp_path):
    for name in "ij":
        written(tmp_path / f"{name}.tif", STACK[:, 0], imagej=True, metadata={"axes": "ZYX"})
    (tmp_path / "train.csv").write_text("id,label\ni,a\nj,b\n")
    spec = DataSpec(train=f"{tmp_path}/train.csv", images=f"{tmp_path}/{{id}}.tif", projection="max")
    statistics = measure_images(read_images(spec), Runtime()).frame
    assert statistics["error"].to_list() == [None, None]
    assert statistics["max"].to_list() == [[float(STACK[:, 0].max())]] * 2
    assert read_table.key(spec) != read_table.key(spec.model_copy(update={"projection": "mean"}))


def test_the_mean_of_many_planes_is_worked_out_in_double_precision():
    planes = np.full((1000, 1, 1), 16_777_217 / 3, np.float32)
    assert project(planes, "mean")[0, 0] == planes[0, 0, 0]


@pytest.mark.parametrize("opacity", [255, 9])
def test_gray_with_opacity_means_the_same_in_tiff_and_png(tmp_path, opacity):
    gray = np.random.default_rng(0).integers(0, 256, (12, 16)).astype(np.uint8)
    pixels = np.stack([gray, np.full_like(gray, 255)], axis=-1)
    pixels[2, 3, 1] = opacity
    for ending in ("tif", "png"):
        Image.fromarray(pixels, "LA").save(tmp_path / f"a.{ending}")
    expected = gray[None] if opacity == 255 else np.moveaxis(pixels, -1, 0)
    for ending in ("tif", "png"):
        np.testing.assert_array_equal(read_image([str(tmp_path / f"a.{ending}")]), expected)
