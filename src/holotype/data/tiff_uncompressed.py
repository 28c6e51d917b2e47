"""Uncompressed TIFF: contiguous pixels, read without another decoder.

Most camera and microscope files are of this kind. Their directories have been read and checked already, so nothing is
parsed twice. Files with unusual tags, descriptions or layouts are left to tifffile.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from holotype.data.ome import planes_of_pages
from holotype.data.tiff_directory import DESCRIPTION, SOFTWARE, TiffPage, UncompressedPixels

MOST_TEXT = 1 << 20
LEAST_OFFSET = 8  # the length of a TIFF's header
PROGRAMS = ("tifffile", "ImageMagick", "OME Bio-Formats")  # whose name does not change the meaning of pixels
IMAGEJ = re.compile(r"^\s*(images|frames|slices|channels|order)\s*=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class UncompressedImage:
    """All pages of an uncompressed TIFF, with the attributes of tifffile's pages and series that are used.

    Args:
        offset: Position of the first byte of the first page; the others follow it.
        stored: Type of one value, in the file's byte order.
        photometric: Tag 262: 0 is white-is-zero, 1 black-is-zero, 2 RGB.
        channels_elsewhere: As in `OmePlanes`.
    """

    stream: BinaryIO
    offset: int
    stored: str
    count: int
    page_shape: tuple[int, ...]
    axes: str
    shape: tuple[int, ...]
    photometric: int
    order: tuple[int, ...] | None = None
    channels_elsewhere: int = 0
    compression: ClassVar[int] = 1
    extrasamples: ClassVar[tuple[int, ...]] = ()
    tags: ClassVar[tuple[int, ...]] = ()

    @property
    def keyframe(self) -> UncompressedImage:
        """The image itself, which stands for the common properties of its pages."""
        return self

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one value, in native byte order."""
        return np.dtype(self.stored).newbyteorder("=")

    def asarray(self, maxworkers: int = 1) -> NDArray[Any]:
        """Read the pixels. Raises EOFError if the file ends before the pixels do."""
        pixels = np.empty((self.count, *self.page_shape), self.stored)
        self.stream.seek(self.offset)
        if self.stream.readinto(pixels.reshape(-1).view(np.uint8).data) < pixels.nbytes:  # type: ignore[attr-defined]
            raise EOFError("the file ends before its pixels do")
        if self.order is not None and self.order != tuple(range(self.count)):
            pixels = pixels[list(self.order)]
        return pixels.astype(self.dtype, copy=False).reshape(self.shape)


def uncompressed_image(
    stream: BinaryIO, pages: Sequence[TiffPage], file: str, base_name: str
) -> UncompressedImage | None:
    """Image of a TIFF whose pages are alike, contiguous and uncompressed, with a known description; None otherwise."""
    pixels = _contiguous(pages)
    if pixels is None:
        return None
    program, description = _text(stream, pixels.texts, SOFTWARE), _text(stream, pixels.texts, DESCRIPTION)
    if program is None or description is None or (program and not program.startswith(PROGRAMS)):
        return None
    axes, samples = ("YXS", (pixels.samples,)) if pixels.samples > 1 else ("YX", ())
    page_shape = (pages[0].height, pages[0].width, *samples)
    planes = planes_of_pages(description, pages, file, base_name)
    if planes is not None:
        outer: dict[str, int] | None = dict(zip("TZC", planes.shape, strict=True))
    else:
        outer = _outer_axes(description, len(pages), page_shape)
    if outer is None:
        return None
    return UncompressedImage(
        stream,
        pixels.offset,
        pixels.dtype,
        len(pages),
        page_shape,
        "".join(outer) + axes,
        (*outer.values(), *page_shape),
        pages[0].photometric,
        None if planes is None else planes.pages,
        0 if planes is None else planes.channels_elsewhere,
    )


def _contiguous(pages: Sequence[TiffPage]) -> UncompressedPixels | None:
    first = pages[0].uncompressed
    if first is None:
        return None
    alike = (pages[0].height, pages[0].width, pages[0].photometric, pages[0].orientation, first.dtype, first.samples)
    for number, page in enumerate(pages):
        pixels = page.uncompressed
        if pixels is None or pixels.offset != first.offset + number * first.length:
            return None
        if alike != (page.height, page.width, page.photometric, page.orientation, pixels.dtype, pixels.samples):
            return None
    return first


def _text(stream: BinaryIO, texts: dict[int, tuple[int, int]], code: int) -> str | None:
    """A text of the first page, empty if there is none; None if it is very long, cut off or not UTF-8."""
    if code not in texts:
        return ""
    count, offset = texts[code]
    if count > MOST_TEXT or offset < LEAST_OFFSET:
        return None
    stream.seek(offset)
    content = stream.read(count)
    text = content.rstrip(b"\0")
    try:
        return None if len(content) < count or b"\0" in text else text.decode()
    except UnicodeDecodeError:
        return None


def _outer_axes(description: str, count: int, shape: tuple[int, ...]) -> dict[str, int] | None:
    """Names and lengths of the axes along which pages are stacked; None for unknown descriptions."""
    if not description:
        return {"I": count} if count > 1 else {}
    if description.startswith("ImageJ="):
        return _imagej_axes(description, count)
    outer = {"Q": count} if count > 1 else {}
    return outer if description == f'{{"shape": {[*outer.values(), *shape]}}}' else None


def _imagej_axes(description: str, count: int) -> dict[str, int] | None:
    """Axes of ImageJ: times, planes and channels in this order, if these are all pages of the file; None otherwise."""
    written = {key: value.strip() for key, value in map(re.Match.groups, IMAGEJ.finditer(description))}
    if not all(value.isdecimal() and int(value) > 0 for value in written.values()):
        return None  # for example another order of the axes
    axes = {axis: int(written.get(key, 1)) for axis, key in (("T", "frames"), ("Z", "slices"), ("C", "channels"))}
    if prod(axes.values()) != count or int(written.get("images", count)) != count:
        return None
    return {axis: length for axis, length in axes.items() if length > 1}
