"""Photographs and other flat images, decoded by Pillow and imagecodecs."""

from __future__ import annotations

import contextlib
import warnings
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from holotype.core.errors import DataError
from holotype.data.axes import NO_PROJECTION, arrange_named
from holotype.data.codestreams import declared_size
from holotype.data.formats import PILLOW_FORMATS
from holotype.data.interpretation import drop_opaque, orient
from holotype.data.limits import MAX_FRAMES, ReadOptions, require_channel_count, require_size

ORIENTATION = 274
GRAY_WITH_OPACITY = {"LA", "La"}
PALETTES = {"P", "PA"}
SUPPORTED_MODES = {"L", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F"}
AS_RGB = {"YCbCr", "RGBX"}
DTYPES = {"I;16": "u2", "I;16B": "u2", "I;16L": "u2", "I": "i4", "F": "f4"}
HEAD = 1 << 16
MAX_TILES = 65_535
CODECS: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "jp2": imagecodecs.jpeg2k_decode,
    "jxl": imagecodecs.jpegxl_decode,
    "jxr": imagecodecs.jpegxr_decode,
    "png": imagecodecs.png_decode,
    "avif": imagecodecs.avif_decode,
}
FORMAT_NAMES = {"jp2": "JPEG 2000", "jxl": "JPEG XL", "jxr": "JPEG XR", "png": "PNG", "avif": "AVIF"}
Image.MAX_IMAGE_PIXELS = None  # our own limit raises an error instead of a warning
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # relevant problems raise errors here


def read_picture(stream: BinaryIO, kind: str, file: str, options: ReadOptions) -> NDArray[Any]:
    """Read a picture, upright, at its own depth, shape (channels, height, width).

    EXIF orientation is applied. Palettes become red, green and blue; an alpha channel of a gray image is dropped if it
    is opaque everywhere. Of an MPO the first picture is read; an animation is a series of times. Raises DataError if it
    is too large, an animation without a projection, or of an ambiguous color mode.
    """
    head = stream.read(HEAD)
    stream.seek(0)
    if kind == "pnm" and head[:2] in (b"P2", b"P3", b"P5", b"P6"):
        deep = _read_portable(stream, file, options)
        if deep is not None:
            return deep
    if kind == "heic":
        _register_heic(file)
    with_codec = _needs_codec(kind, head)
    if kind not in PILLOW_FORMATS or (with_codec and kind == "jp2"):
        return _decode(stream, kind, head, file, options)
    Image.init()
    if PILLOW_FORMATS[kind] not in Image.OPEN:
        raise DataError(
            f"{file} is of a format, {PILLOW_FORMATS[kind]}, that this Pillow does not read",
            remedy="install a newer Pillow, or save it as PNG or TIFF",
        )
    with Image.open(stream, formats=[PILLOW_FORMATS[kind]]) as picture:
        require_size(
            file, (picture.height, picture.width), len(picture.getbands()), DTYPES.get(picture.mode, "u1"), options
        )
        if with_codec:
            orientation = 1 if kind == "png" else _read_orientation(picture)  # Pillow would decode a PNG to read it
            stream.seek(0)
            return orient(_decode(stream, kind, head, file, options), orientation)
        if picture.format != "MPO" and getattr(picture, "is_animated", False):
            return _read_animation(picture, file, options)
        pixels = _to_array(picture, kind, file, options)
        return orient(pixels, _read_orientation(picture))


def _needs_codec(kind: str, head: bytes) -> bool:
    if kind == "avif":
        offset = head.find(b"av1C")
        return offset >= 0 and bool(head[offset + 6] & 0x40)  # more than 8 bits
    size = declared_size(kind, head) if kind in {"png", "jp2"} else None
    if size is None:
        return False
    return size.bits == 16 if kind == "png" else size.bits > 8 or size.components not in {1, 3, 4}


def _decode(stream: BinaryIO, kind: str, head: bytes, file: str, options: ReadOptions) -> NDArray[Any]:
    size = declared_size(kind, head) if kind != "avif" else None
    if size is None and kind != "avif":
        raise DataError(
            f"{file} cannot be decoded: its {FORMAT_NAMES[kind]} header is not understood",
            remedy="save it as PNG or TIFF",
        )
    if size is not None:
        require_channel_count(file, size.components, options)
        require_size(file, size[:2], max(1, size.components), "u2" if size.bits > 8 else "u1", options)
        if size.tiles > MAX_TILES:
            raise DataError(
                f"{file} is stored in {size.tiles:,} tiles, more than {MAX_TILES:,}", remedy="save it in larger tiles"
            )
    content = stream.read()
    orientation = _read_png_orientation(content, file) if kind == "png" else 1
    pixels = CODECS[kind](content)
    if pixels.ndim == 2:
        return orient(pixels[None], orientation)
    if pixels.ndim == 4:
        return arrange_named(pixels, "TYXS", file, options)
    pixels = np.moveaxis(pixels, -1, 0)
    require_channel_count(file, len(pixels), options)
    return orient(drop_opaque(pixels) if len(pixels) == 2 and kind == "png" else pixels, orientation)


def _read_png_orientation(content: bytes, file: str) -> int:
    """Orientation of a PNG with intact chunks; libpng would only warn of a damaged one."""
    offset, exif = 8, Image.Exif()
    while offset + 12 <= len(content):
        end = offset + 8 + int.from_bytes(content[offset : offset + 4], "big")
        if zlib.crc32(content[offset + 4 : end]).to_bytes(4, "big") != content[end : end + 4]:
            raise DataError(f"{file} cannot be decoded: the checksum of a part of it is wrong", remedy="copy it anew")
        if content[offset + 4 : offset + 8] == b"eXIf":
            exif = _load_exif(content[offset + 8 : end])
        offset = end + 4
    return exif.get(ORIENTATION, 1) if isinstance(exif.get(ORIENTATION, 1), int) else 1


def _load_exif(content: bytes) -> Image.Exif:
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # broken EXIF raises many kinds of errors; viewers ignore it
        exif.load(content)
    return exif


def _to_array(picture: Image.Image, kind: str, file: str, options: ReadOptions) -> NDArray[Any]:
    mode = picture.mode
    if mode == "1":
        return np.asarray(picture.convert("L"))[None]  # one bit becomes 0 and 255
    if mode in PALETTES or kind == "gif":  # every GIF has a palette, but Pillow hides gray ones
        return _channels_first(_expand_palette(picture))
    if mode in GRAY_WITH_OPACITY:
        return drop_opaque(_channels_first(np.asarray(picture.convert("LA"))))
    if mode in AS_RGB:
        return _channels_first(np.asarray(picture.convert("RGB")))
    if mode not in SUPPORTED_MODES:
        remedy = "convert it to RGB with its color profile" if mode == "CMYK" else "save it in gray or RGB"
        raise DataError(f"{file} has the color mode {mode}", remedy=remedy)
    pixels = np.asarray(picture)
    if mode == "I" and kind == "png":
        pixels = pixels.astype(np.uint16)  # older Pillow opens 16-bit PNG as 32-bit
    return _channels_first(pixels)


def _expand_palette(picture: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(picture.convert("RGBA"))
    return pixels[..., :3] if (pixels[..., 3] == 255).all() else pixels


def _read_animation(picture: Any, file: str, options: ReadOptions) -> NDArray[Any]:
    if options.projection is None:
        raise DataError(f"{file} is an animation of several frames", remedy=NO_PROJECTION)
    frames: list[NDArray[np.uint8]] = []
    for frame in ImageSequence.Iterator(picture):
        require_size(file, (frame.height, frame.width), 3 * (len(frames) + 1), "u1", options)
        frames.append(np.asarray(frame.convert("RGB")))
        if len(frames) > MAX_FRAMES:
            raise DataError(f"{file} is an animation of more than {MAX_FRAMES:,} frames", remedy="save fewer")
    return orient(arrange_named(np.stack(frames), "TYXS", file, options), _read_orientation(picture))


def _read_orientation(picture: Image.Image) -> int:
    try:
        orientation = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001  (broken EXIF raises many kinds of errors; viewers ignore it)
        return 1
    return orientation if isinstance(orientation, int) else 1


def _register_heic(file: str) -> None:
    try:
        from pillow_heif import register_heif_opener  # type: ignore[import-not-found]
    except ImportError as error:
        raise DataError(
            f"{file} is a HEIC, which needs pillow-heif", remedy="pip install pillow-heif, or save it as JPEG or PNG"
        ) from error
    register_heif_opener()


def _read_portable(stream: BinaryIO, file: str, options: ReadOptions) -> NDArray[Any] | None:
    """A PGM or PPM of more than 8 bits, which Pillow reduces to 8 in color; None for one of 8 bits."""
    numbers: list[int] = []
    kind = stream.read(2)
    while len(numbers) < 3:
        word = _read_word(stream)
        if not word.isdigit() or len(word) > 9:
            return None
        numbers.append(int(word))
    width, height, top = numbers
    channels = 3 if kind in (b"P3", b"P6") else 1
    if top <= 255 or top > 65_535:
        stream.seek(0)
        return None
    require_size(file, (height, width), channels, "u2", options)
    count = height * width * channels
    content = stream.read(2 * count) if kind in (b"P5", b"P6") else stream.read(8 * count)
    if kind in (b"P5", b"P6"):
        values = np.frombuffer(content[: len(content) // 2 * 2], ">u2").astype(np.uint16)
    else:
        values = np.array([int(word) for word in content.split()[:count]], np.uint16)
    if len(values) < count:
        raise DataError(f"{file} cannot be decoded: it ends early", remedy="copy it anew")
    return _channels_first(values.reshape(height, width, channels))


def _read_word(stream: BinaryIO) -> bytes:
    word = b""
    while len(word) < 32:
        letter = stream.read(1)
        if letter == b"#":
            stream.readline(HEAD)
        elif letter.isspace() or not letter:
            if word or not letter:
                return word
        else:
            word += letter
    return word


def _channels_first(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
