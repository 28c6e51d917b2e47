"""TIFF in all the ways in which microscopes and programs write channels: pages, planes, ImageJ and OME axes."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from holotype.data.axes import UNNAMED, AxisOrder, arrange, plan_axes
from holotype.data.interpretation import drop_opaque, invert_white, orient
from holotype.data.limits import ReadOptions
from holotype.data.ome import own_planes
from holotype.data.tiff_directory import TiffPage, scan_pages
from holotype.errors import DataError

__all__ = ["read_tiff", "tiff_size", "unnamed_page_count"]

WHITE_AT_ZERO, BLACK_AT_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
UNDERSTOOD = {WHITE_AT_ZERO, BLACK_AT_ZERO, RGB, PALETTE, YCBCR}
DECODED_AS_RGB = {6, 7, 34892, 33003, 33005, 34712, 50001, 34927, 50002, 52546}  # compressions that turn YCbCr to RGB
OTHER_FILES = ("is_ome", "is_mmstack", "is_ndtiff")  # readers of tifffile that open files beside the one they got
NODATA = 42113
SIDEWAYS = {5, 6, 7, 8}
TAG = re.compile(r"TiffTag (\d+)")
TAGS_OF_PIXELS = {254, 255, *range(256, 260), 262, 266, 270, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323,
                  324, 325, 330, 338, 339, 347, 530, 32997, 32998}  # fmt: skip
DAMAGED = "it may have been cut off or never finished; copy or write it anew"


def read_tiff(stream: BinaryIO, file: str, base_name: str, options: ReadOptions) -> NDArray[Any]:
    """The image of a TIFF. Pages that have no name for what they are count as channels.

    Nothing but the stream is read: OME-XML and Micro-Manager's notes name the planes of this file, and never open
    another. White at zero is inverted, palettes become colors, and the orientation of tag 274 is undone.

    Args:
        stream: The file.
        file: Its name, for messages.
        base_name: Its name without folders.
        options: Limits, channels and projection.

    Returns:
        Shape (channels, height, width), at the stored depth.

    Raises:
        DataError: There is no image, or several; planes or times without a projection; a color mode that has no one
            meaning; pixels that are missing.
    """
    with _opened(stream, file, base_name, options) as (stored, order):
        return _arranged(stored.decode(), stored, order, options)


def tiff_size(stream: BinaryIO, file: str, base_name: str, options: ReadOptions) -> tuple[int, int, int, np.dtype[Any]]:
    """Channels, height, width and stored type of the image of a TIFF, from its directories alone.

    Args:
        stream: The file.
        file: Its name, for messages.
        base_name: Its name without folders.
        options: Limits, channels and projection.

    Raises:
        DataError: As `read_tiff`, as far as the directories tell.
    """
    with _opened(stream, file, base_name, options) as (stored, order):
        _, shape = stored.colored()
        channels = 1 if order.channels is None else shape[order.channels]
        height, width = shape[order.height], shape[order.width]
        turned = stored.page.orientation in SIDEWAYS
        return channels, *((width, height) if turned else (height, width)), stored.keyframe.dtype


def unnamed_page_count(stream: BinaryIO, file: str, base_name: str, options: ReadOptions) -> int:
    """How many pages a TIFF holds that nothing says the meaning of, 1 where they are named.

    Args:
        stream: The file.
        file: Its name, for messages.
        base_name: Its name without folders.
        options: The limits.

    Raises:
        DataError: As `read_tiff`, as far as the directories tell.
    """
    with _opened(stream, file, base_name, options) as (stored, _):
        sizes = dict(zip(stored.axes, stored.shape, strict=True))
        return max(int(sizes.get(axis, 1)) for axis in UNNAMED)


@dataclass(frozen=True)
class _Stored:
    """The image of an open TIFF, checked and not yet decoded.

    Args:
        axes: A letter an axis.
        shape: A length an axis.
        page: The first page's directory.
        keyframe: The first page.
        decode: Gives the array.
    """

    axes: str
    shape: tuple[int, ...]
    page: TiffPage
    keyframe: Any
    decode: Callable[[], NDArray[Any]]

    @property
    def is_gray_with_opacity(self) -> bool:
        """Whether a second value of each pixel is its opacity, as tag 338 says."""
        gray = int(self.keyframe.photometric) in {WHITE_AT_ZERO, BLACK_AT_ZERO}
        return gray and tuple(map(int, self.keyframe.extrasamples)) in {(1,), (2,)}

    def colored(self) -> tuple[str, tuple[int, ...]]:
        """Axes and shape once a palette is spelled out."""
        if int(self.keyframe.photometric) == PALETTE and "S" not in self.axes:
            return self.axes + "S", (*self.shape, 3)
        return self.axes, self.shape


@contextmanager
def _opened(stream: BinaryIO, file: str, base_name: str, options: ReadOptions) -> Iterator[tuple[_Stored, AxisOrder]]:
    pages = scan_pages(stream, file, options)
    closed: dict[str, Any] = {name: False for name in OTHER_FILES if hasattr(tifffile.TiffFile, name)}
    with _listening(file), tifffile.TiffFile(stream, name=base_name, _multifile=False, **closed) as tiff:
        stored = _of_ome(tiff, pages, file, base_name) or _of_series(tiff, pages, file)
        axes, shape = stored.colored()
        yield stored, plan_axes(axes, shape, file, stored.keyframe.dtype, options)


def _of_ome(tiff: tifffile.TiffFile, pages: list[TiffPage], file: str, base_name: str) -> _Stored | None:
    """The image as its OME-XML arranges the pages; None where there is none that speaks of pixels."""
    first = tiff.pages.first
    xml = getattr(first, "description", "") or ""
    if not xml.rstrip("\0 \r\n\t").endswith("OME>") or "<" not in xml[:10]:
        return None
    planes = own_planes(xml, len(pages), file, base_name)
    if planes is None:
        if sum(not page.is_reduced for page in pages) > 1 and not tiff.is_imagej:
            raise DataError(f"{file} has {len(pages)} pages that only another file describes (OME-XML, BinaryOnly)",
                            remedy="save it as one OME-TIFF with its own description")  # fmt: skip
        return None
    unused = [number for number, page in enumerate(pages) if not page.is_reduced and number not in planes.pages]
    if unused:
        raise DataError(f"{file} has {len(pages)} pages, of which its OME-XML describes {len(planes.pages)}",
                        remedy="save it anew as OME-TIFF, or without OME-XML")  # fmt: skip
    chosen = [tiff.pages[number] for number in planes.pages]
    if len({(page.shape, page.dtype, page.axes) for page in chosen}) > 1:
        raise DataError(f"{file} has planes of different sizes or depths", remedy="save one image a file")
    kept = [pages[number] for number in planes.pages]
    _require_one_meaning(file, kept, chosen[0])
    shape = (*planes.shape, *chosen[0].shape)

    def decode() -> NDArray[Any]:
        return np.stack([page.asarray(maxworkers=1) for page in chosen]).reshape(shape)

    return _Stored("TZC" + chosen[0].axes, shape, kept[0], chosen[0], decode)


def _of_series(tiff: tifffile.TiffFile, pages: list[TiffPage], file: str) -> _Stored:
    """The image as tifffile arranges the pages: ImageJ, LSM and others with names for axes, else as they come."""
    _require_own_axes(tiff, pages, file)
    every = [series for series in tiff.series if not series.keyframe.is_reduced]  # thumbnails are passed over
    if not every:
        raise DataError(f"{file} holds no picture", remedy=DAMAGED)
    keyframe, (axes, shape) = every[0].keyframe, (every[0].axes, every[0].shape)
    if len(every) > 1:
        alike = len({(series.shape, series.dtype) for series in every}) == 1
        if not alike or len(shape) != 2:
            shapes = ", ".join(" x ".join(map(str, series.shape)) for series in every[:5])
            raise DataError(f"{file} holds {len(every)} pictures of shapes {shapes}", remedy="save one picture a file")
        axes, shape = "I" + axes, (len(every), *shape)
    kept = [page for page in pages if not page.is_reduced]
    _require_one_meaning(file, kept, keyframe)

    def decode() -> NDArray[Any]:
        parts = [series.asarray(maxworkers=1) for series in every]
        pixels = parts[0] if len(parts) == 1 else np.stack(parts)
        if pixels.shape != tuple(shape):
            raise DataError(f"{file} is damaged: {pixels.shape} values of {tuple(shape)} were decoded", remedy=DAMAGED)
        return pixels

    return _Stored(axes, tuple(shape), kept[0], keyframe, decode)


def _arranged(pixels: NDArray[Any], stored: _Stored, order: AxisOrder, options: ReadOptions) -> NDArray[Any]:
    """Decoded pages as (channels, height, width): in color, black at zero, no data as NaN, upright."""
    pixels = _in_color(pixels, stored.axes, stored.keyframe)
    if stored.page.photometric == WHITE_AT_ZERO:
        pixels = invert_white(pixels, stored.page.bits)
    if NODATA in stored.keyframe.tags and pixels.dtype.kind == "f":
        pixels = np.where(pixels == pixels.dtype.type(stored.keyframe.nodata), np.nan, pixels)
    image = arrange(pixels, order, options.projection)
    if len(image) == 2 and stored.is_gray_with_opacity and image.dtype.kind == "u":
        image = drop_opaque(image)
    return orient(image, stored.page.orientation)


def _require_own_axes(tiff: tifffile.TiffFile, pages: list[TiffPage], file: str) -> None:
    """Refuse pages of Micro-Manager whose meaning stands in another file only."""
    several = sum(not page.is_reduced for page in pages) > 1
    if several and not tiff.is_imagej and 51123 in tiff.pages.first.tags:
        raise DataError(f"{file} has {len(pages)} pages of Micro-Manager that an index beside it describes",
                        remedy="save it as one OME-TIFF with its own description")  # fmt: skip


def _require_one_meaning(file: str, pages: list[TiffPage], keyframe: Any) -> None:
    """Refuse color modes that are not understood, and pages that differ in how they are meant."""
    first, *others = pages
    differ = any(page.photometric != first.photometric or page.bits != first.bits for page in others)
    turned = any((page.orientation or first.orientation or 1) != (first.orientation or 1) for page in others)
    if differ or turned:  # a page that says nothing of its orientation has that of the first
        raise DataError(f"{file} has pages of different photometric interpretations, orientations or depths",
                        remedy="save one picture a file")  # fmt: skip
    mode = int(keyframe.photometric)
    name = getattr(keyframe.photometric, "name", str(keyframe.photometric))
    if mode not in UNDERSTOOD or (mode == YCBCR and not _is_rgb_when_decoded(keyframe) and keyframe.dtype != np.uint8):
        remedy = "convert it to RGB with its color profile" if name == "SEPARATED" else "save it in gray or RGB"
        mode_name = "CMYK (SEPARATED)" if name == "SEPARATED" else name
        raise DataError(f"{file} has the color mode {mode_name}", remedy=remedy)


def _is_rgb_when_decoded(keyframe: Any) -> bool:
    return int(keyframe.compression) in DECODED_AS_RGB


def _in_color(pixels: NDArray[Any], axes: str, keyframe: Any) -> NDArray[Any]:
    """Palettes spelled out as a last axis of three colors, and YCbCr as RGB."""
    mode = int(keyframe.photometric)
    if mode == PALETTE:
        table = np.asarray(keyframe.colormap)  # shape (3, entries), 16 bits
        if (table >> 8).any():  # old writers left the upper byte empty
            table = table >> 8
        return np.moveaxis(table.astype(np.uint8)[:, pixels], 0, -1)
    if mode == YCBCR and not _is_rgb_when_decoded(keyframe):
        last = np.moveaxis(pixels, axes.index("S"), -1)
        flat = np.ascontiguousarray(last).reshape(-1, last.shape[-2], 3)
        picture = Image.fromarray(flat, "YCbCr").convert("RGB")
        return np.moveaxis(np.asarray(picture).reshape(last.shape), -1, axes.index("S"))
    return pixels


class _Listener(logging.Filter):
    """Takes what tifffile would log while this thread reads: it says so where it fills in or drops pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        messages = getattr(self.thread, "messages", None)
        if messages is None:
            return True
        messages.append(record)
        return False


LISTENER = _Listener()
logging.getLogger("tifffile").addFilter(LISTENER)


@contextmanager
def _listening(file: str) -> Iterator[None]:
    """Turn tifffile's warnings into one refusal."""
    messages: list[logging.LogRecord] = []
    LISTENER.thread.messages = messages
    try:
        yield
    finally:
        LISTENER.thread.messages = None
    serious = [text for text in map(_serious, messages) if text]
    if serious:
        raise DataError(f"{file} is damaged or contradicts itself: {serious[0]}", remedy=DAMAGED)


def _serious(record: logging.LogRecord) -> str:
    """What a warning of tifffile says; empty where it is of a tag that no pixel hangs on."""
    text = record.getMessage().splitlines()[0]
    tag = TAG.search(text)
    if record.levelno < logging.WARNING or (tag is not None and int(tag[1]) not in TAGS_OF_PIXELS):
        return ""
    return (text.rpartition(">")[2].strip() or text)[:200]
