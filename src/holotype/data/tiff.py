"""TIFF reader: pages, planes, ImageJ and OME axes."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from holotype.core.errors import DataError
from holotype.data.axes import UNNAMED, AxisOrder, arrange, plan_axes
from holotype.data.interpretation import drop_opaque, invert_white, orient
from holotype.data.limits import ReadOptions
from holotype.data.ome import planes_of_pages
from holotype.data.tiff_directory import TiffPage, scan_pages

WHITE_AT_ZERO, BLACK_AT_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
UNDERSTOOD = {WHITE_AT_ZERO, BLACK_AT_ZERO, RGB, PALETTE, YCBCR}
DECODED_AS_RGB = {6, 7, 34892, 33003, 33005, 34712, 50001, 34927, 50002, 52546}  # compressions that turn YCbCr to RGB
OTHER_FILES = ("is_ome", "is_mmstack", "is_ndtiff")  # tifffile readers that open other files
NODATA = 42113
SIDEWAYS = {5, 6, 7, 8}
TAG = re.compile(r"TiffTag (\d+)")
TAGS_OF_PIXELS = {*range(254, 260), 262, 266, 270, 273, 274, *range(277, 280), 284, 317, 320, *range(322, 326)}
TAGS_OF_PIXELS |= {330, 338, 339, 347, 530, 32997, 32998}
DAMAGED = "it may have been cut off or never finished; copy or write it anew"


def read_tiff(stream: BinaryIO, file: str, base_name: str, options: ReadOptions) -> NDArray[Any]:
    """Read the image of a TIFF. Pages of unknown meaning count as channels.

    Only the stream is read: OME-XML and Micro-Manager metadata describe the pages of this file, and never open another
    one. White-is-zero is inverted, palettes become colors, and the orientation of tag 274 is applied. Returns shape
    (channels, height, width), at the stored depth.
    """
    with _open_tiff(stream, file, base_name, options) as (stored, order):
        if options.on_channels_elsewhere is not None:
            options.on_channels_elsewhere(stored.channels_elsewhere)
        return _arrange_pages(stored.decode(file), stored, order, options)


def tiff_size(stream: BinaryIO, file: str, base_name: str, options: ReadOptions) -> tuple[int, int, int, np.dtype[Any]]:
    """Channels, height, width and stored type of the image of a TIFF, from its directories alone."""
    with _open_tiff(stream, file, base_name, options) as (stored, order):
        _, shape = stored.rgb_axes_and_shape()
        channels = 1 if order.channels is None else shape[order.channels]
        height, width = shape[order.height], shape[order.width]
        turned = stored.page.orientation in SIDEWAYS
        return channels, *((width, height) if turned else (height, width)), stored.keyframe.dtype


def unnamed_page_count(stream: BinaryIO, file: str, base_name: str, options: ReadOptions) -> int:
    """Number of pages of unknown meaning in a TIFF, 1 if pages are named."""
    with _open_tiff(stream, file, base_name, options) as (stored, _):
        sizes = dict(zip(stored.axes, stored.shape, strict=True))
        return max(int(sizes.get(axis, 1)) for axis in UNNAMED)


@dataclass(frozen=True)
class _TiffImage:
    parts: Sequence[Any]
    outer_axes: str
    outer_shape: tuple[int, ...]
    page: TiffPage
    channels_elsewhere: int = 0

    @property
    def keyframe(self) -> Any:
        return self.parts[0].keyframe

    @property
    def axes(self) -> str:
        return self.outer_axes + str(self.parts[0].axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.outer_shape, *self.parts[0].shape)

    def decode(self, file: str) -> NDArray[Any]:
        first = self.parts[0]
        if len(self.parts) > 1:  # decoding into one array takes half the memory
            pixels = np.empty((len(self.parts), *first.shape), first.dtype)
            for part, plane in zip(self.parts, pixels, strict=True):
                part.asarray(maxworkers=1, out=plane)
            return pixels.reshape(self.shape)
        pixels = first.asarray(maxworkers=1)
        if pixels.shape != tuple(first.shape):
            raise DataError(
                f"{file} is damaged: {pixels.shape} values of {tuple(first.shape)} were decoded", remedy=DAMAGED
            )
        return np.asarray(pixels.reshape(self.shape))

    @property
    def is_gray_with_opacity(self) -> bool:
        """Whether the second value of each pixel is alpha, according to tag 338."""
        gray = int(self.keyframe.photometric) in {WHITE_AT_ZERO, BLACK_AT_ZERO}
        return gray and tuple(map(int, self.keyframe.extrasamples)) in {(1,), (2,)}

    def rgb_axes_and_shape(self) -> tuple[str, tuple[int, ...]]:
        if int(self.keyframe.photometric) == PALETTE and "S" not in self.axes:
            return self.axes + "S", (*self.shape, 3)
        return self.axes, self.shape


@contextmanager
def _open_tiff(
    stream: BinaryIO, file: str, base_name: str, options: ReadOptions
) -> Iterator[tuple[_TiffImage, AxisOrder]]:
    pages = scan_pages(stream, file, options)
    closed: dict[str, Any] = {name: False for name in OTHER_FILES if hasattr(tifffile.TiffFile, name)}
    stream.seek(0)
    with _raise_on_warning(file), tifffile.TiffFile(stream, name=base_name, _multifile=False, **closed) as tiff:
        yield _planned(*(_read_ome(tiff, pages, file, base_name) or _read_series(tiff, pages, file)), file, options)


def _planned(
    stored: _TiffImage, pages: Sequence[TiffPage], file: str, options: ReadOptions
) -> tuple[_TiffImage, AxisOrder]:
    _require_same_color_mode(file, pages, stored.keyframe)
    axes, shape = stored.rgb_axes_and_shape()
    return stored, plan_axes(axes, shape, file, stored.keyframe.dtype, options)


def _read_ome(
    tiff: tifffile.TiffFile, pages: list[TiffPage], file: str, base_name: str
) -> tuple[_TiffImage, list[TiffPage]] | None:
    """Image as its OME-XML arranges the pages, and these pages; None without OME-XML that describes pixels."""
    xml = getattr(tiff.pages.first, "description", "") or ""
    planes = planes_of_pages(xml, pages, file, base_name, is_imagej=tiff.is_imagej)
    if planes is None:
        return None
    tiff_pages = [tiff.pages[number] for number in planes.pages]
    if len({(page.shape, page.dtype, page.axes) for page in tiff_pages}) > 1:
        raise DataError(f"{file} has planes of different sizes or depths", remedy="save one image a file")
    described = [pages[number] for number in planes.pages]
    return _TiffImage(tiff_pages, "TZC", planes.shape, described[0], planes.channels_elsewhere), described


def _read_series(tiff: tifffile.TiffFile, pages: list[TiffPage], file: str) -> tuple[_TiffImage, list[TiffPage]]:
    _require_axes_in_file(tiff, pages, file)
    every = [series for series in tiff.series if not series.keyframe.is_reduced]  # skip thumbnails
    if not every:
        raise DataError(f"{file} holds no picture", remedy=DAMAGED)
    several = len(every) > 1
    if several and (len({(series.shape, series.dtype) for series in every}) > 1 or len(every[0].shape) != 2):
        shapes = ", ".join(" x ".join(map(str, series.shape)) for series in every[:5])
        raise DataError(f"{file} holds {len(every)} pictures of shapes {shapes}", remedy="save one picture a file")
    full = [page for page in pages if not page.is_reduced]
    return _TiffImage(every, "I" if several else "", (len(every),) if several else (), full[0]), full


def _arrange_pages(pixels: NDArray[Any], stored: _TiffImage, order: AxisOrder, options: ReadOptions) -> NDArray[Any]:
    pixels = _to_rgb(pixels, stored.axes, stored.keyframe)
    if stored.page.photometric == WHITE_AT_ZERO:
        pixels = invert_white(pixels, stored.page.bits)
    if NODATA in stored.keyframe.tags and pixels.dtype.kind == "f":
        pixels = np.where(pixels == pixels.dtype.type(stored.keyframe.nodata), np.nan, pixels)
    image = arrange(pixels, order, options.projection)
    if len(image) == 2 and stored.is_gray_with_opacity and image.dtype.kind == "u":
        image = drop_opaque(image)
    return orient(image, stored.page.orientation)


def _require_axes_in_file(tiff: tifffile.TiffFile, pages: list[TiffPage], file: str) -> None:
    several = sum(not page.is_reduced for page in pages) > 1
    if several and not tiff.is_imagej and 51123 in tiff.pages.first.tags:
        raise DataError(
            f"{file} has {len(pages)} pages of Micro-Manager that an index beside it describes",
            remedy="save it as one OME-TIFF with its own description",
        )


def _require_same_color_mode(file: str, pages: Sequence[TiffPage], keyframe: Any) -> None:
    first, *others = pages
    differ = any(page.photometric != first.photometric or page.bits != first.bits for page in others)
    turned = any((page.orientation or first.orientation or 1) != (first.orientation or 1) for page in others)
    if differ or turned:  # a page without an orientation has that of the first
        raise DataError(
            f"{file} has pages of different photometric interpretations, orientations or depths",
            remedy="save one picture a file",
        )
    mode = int(keyframe.photometric)
    name = getattr(keyframe.photometric, "name", str(keyframe.photometric))
    if mode not in UNDERSTOOD or (mode == YCBCR and not _is_rgb_when_decoded(keyframe) and keyframe.dtype != np.uint8):
        remedy = "convert it to RGB with its color profile" if name == "SEPARATED" else "save it in gray or RGB"
        mode_name = "CMYK (SEPARATED)" if name == "SEPARATED" else name
        raise DataError(f"{file} has the color mode {mode_name}", remedy=remedy)


def _is_rgb_when_decoded(keyframe: Any) -> bool:
    return int(keyframe.compression) in DECODED_AS_RGB


def _to_rgb(pixels: NDArray[Any], axes: str, keyframe: Any) -> NDArray[Any]:
    mode = int(keyframe.photometric)
    if mode == PALETTE:
        table = np.asarray(keyframe.colormap)  # shape (3, entries), 16 bits
        if (table >> 8).any():  # old writers use the lower byte only
            table = table >> 8
        return np.moveaxis(table.astype(np.uint8)[:, pixels], 0, -1)
    if mode == YCBCR and not _is_rgb_when_decoded(keyframe):
        last = np.moveaxis(pixels, axes.index("S"), -1)
        flat = np.ascontiguousarray(last).reshape(-1, last.shape[-2], 3)
        picture = Image.fromarray(flat, "YCbCr").convert("RGB")
        return np.moveaxis(np.asarray(picture).reshape(last.shape), -1, axes.index("S"))
    return pixels


class _WarningCollector(logging.Filter):
    """Collect what tifffile would log while this thread reads: it logs where it fills in or drops pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        messages = getattr(self.thread, "messages", None)
        if messages is None:
            return True
        messages.append(record)
        return False


WARNING_COLLECTOR = _WarningCollector()
logging.getLogger("tifffile").addFilter(WARNING_COLLECTOR)


@contextmanager
def _raise_on_warning(file: str) -> Iterator[None]:
    messages: list[logging.LogRecord] = []
    WARNING_COLLECTOR.thread.messages = messages
    try:
        yield
    finally:
        WARNING_COLLECTOR.thread.messages = None
    serious = [text for text in map(_serious_message, messages) if text]
    if serious:
        raise DataError(f"{file} is damaged or contradicts itself: {serious[0]}", remedy=DAMAGED)


def _serious_message(record: logging.LogRecord) -> str:
    text = record.getMessage().splitlines()[0]
    tag = TAG.search(text)
    if record.levelno < logging.WARNING or (tag is not None and int(tag[1]) not in TAGS_OF_PIXELS):
        return ""
    return (text.rpartition(">")[2].strip() or text)[:200]
