"""OME-XML of a TIFF: which of its own pages are which channel, plane and time.

The XML may speak of other files (one a position, one a channel). None of them is ever opened: an image file decides
nothing about which other files are read, and what a table does not name is not part of its images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from holotype.data.tiff_directory import TiffPage
from holotype.errors import DataError

__all__ = ["OmePlanes", "own_planes", "planes_of_pages"]

ELSEWHERE = "save each image as one OME-TIFF with all of its planes"
NUMBER = re.compile(r"\d{1,18}")


@dataclass(frozen=True)
class OmePlanes:
    """The planes of one image that lie in this very file.

    Args:
        pages: Page numbers, ordered by time, then plane, then channel.
        shape: Times, planes and channels; their product is the number of pages.
    """

    pages: tuple[int, ...]
    shape: tuple[int, int, int]


@dataclass
class _Image:
    """What the XML says of one image."""

    own: dict[tuple[int, int, int], int]
    announced: set[tuple[int, int, int]]
    elsewhere: set[tuple[int, int, int]]


def planes_of_pages(
    xml: str, pages: Sequence[TiffPage], file: str, base_name: str, *, is_imagej: bool = False
) -> OmePlanes | None:
    """The planes of a file whose every page must be one of them.

    Args:
        xml: The text of the first page, which may be anything.
        pages: The pages, thumbnails included.
        file: Its name, for messages.
        base_name: Its name without folders, by which the XML may call it.
        is_imagej: Whether ImageJ describes the pages as well.

    Returns:
        None where the text is no OME-XML, or says nothing of pixels.

    Raises:
        DataError: As `own_planes`; or pages are left over.
    """
    if not xml.rstrip("\0 \r\n\t").endswith("OME>") or "<" not in xml[:10]:
        return None
    planes = own_planes(xml, len(pages), file, base_name)
    full = [number for number, page in enumerate(pages) if not page.is_reduced]
    if planes is None:
        if len(full) > 1 and not is_imagej:
            raise DataError(f"{file} has {len(pages)} pages that only another file describes (OME-XML, BinaryOnly)",
                            remedy="save it as one OME-TIFF with its own description")  # fmt: skip
        return None
    if not set(full) <= set(planes.pages):
        raise DataError(f"{file} has {len(pages)} pages, of which its OME-XML describes {len(planes.pages)}",
                        remedy="save it anew as OME-TIFF, or without OME-XML")  # fmt: skip
    return planes


def own_planes(xml: str, pages: int, file: str, base_name: str) -> OmePlanes | None:
    """The planes of a file that its OME-XML describes.

    Args:
        xml: The text of the first page.
        pages: How many pages the file has, thumbnails included.
        file: Its name, for messages.
        base_name: Its name without folders, by which the XML may call it.

    Returns:
        None where the XML says nothing of pixels, because another file does (`BinaryOnly`).

    Raises:
        DataError: The XML is broken, describes several images of this file, or planes that are not there.
    """
    root = _parsed(xml, file)
    uuid = root.attrib.get("UUID")
    images = [_image(pixels, uuid, base_name, pages, file) for pixels in _children(_all(root, "Image"), "Pixels")]
    if not images:
        return None
    here = [image for image in images if image.own]
    if not here:
        return _renamed(images, pages, file)
    if len(here) > 1:
        raise DataError(f"{file} holds {len(here)} images (OME-XML)", remedy="save one image a file")
    return _grid(here[0], file)


def _parsed(xml: str, file: str) -> ElementTree.Element:
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise DataError(f"{file} has OME-XML with a document type, which is not read", remedy=ELSEWHERE)
    try:
        return ElementTree.fromstring(xml.strip("\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{file} has broken OME-XML: {error}", remedy=ELSEWHERE) from error


def _image(pixels: ElementTree.Element, uuid: str | None, base_name: str, pages: int, file: str) -> _Image:
    order = pixels.attrib.get("DimensionOrder", "XYCZT")
    if sorted(order) != sorted("XYCZT") or not order.startswith("XY"):
        raise DataError(f"{file} has OME-XML with the dimension order {order!r}", remedy=ELSEWHERE)
    samples = max([1, *(_number(channel, "SamplesPerPixel", 1) for channel in _children([pixels], "Channel"))])
    sizes = {axis: max(1, _number(pixels, f"Size{axis}", 1)) for axis in "TZC"}
    sizes["C"] = max(1, sizes["C"] // samples)
    total = sizes["T"] * sizes["Z"] * sizes["C"]
    image = _Image({}, set(), set())
    blocks = _children([pixels], "TiffData")
    for block in blocks:
        first = {axis: _number(block, f"First{axis}", 0) for axis in "TZC"}
        count = _number(block, "PlaneCount", _number(block, "NumPlanes", 1 if "IFD" in block.attrib else total))
        start, own = _number(block, "IFD", 0), _is_own(block, uuid, base_name)
        position = _position(first, sizes, order)
        for number in range(min(count, total, 10 * pages + 1000)):
            plane = _plane(position + number, sizes, order)
            if plane is None:
                break
            image.announced.add(plane)
            if not own:
                image.elsewhere.add(plane)
            elif start + number >= pages:
                raise DataError(f"{file} has {pages:,} pages, and its OME-XML describes more",
                                remedy="it may have been cut off or never finished; copy or write it anew")  # fmt: skip
            else:
                image.own[plane] = start + number
    if not blocks or (image.own and not image.elsewhere and len(image.own) < total):
        lacking = total - len(image.own)
        raise DataError(f"{file} lacks {lacking:,} of the {total:,} planes that its OME-XML describes",
                        remedy="it may have been cut off or never finished; copy or write it anew")  # fmt: skip
    return image


def _position(first: dict[str, int], sizes: dict[str, int], order: str) -> int:
    """The number of a plane in the order in which they are stored."""
    position, step = 0, 1
    for axis in order[2:]:
        position += first[axis] * step
        step *= sizes[axis]
    return position


def _plane(position: int, sizes: dict[str, int], order: str) -> tuple[int, int, int] | None:
    """Time, plane and channel of a number of `_position`; None beyond the last."""
    found = {}
    for axis in order[2:]:
        position, found[axis] = divmod(position, sizes[axis])
    return None if position else (found["T"], found["Z"], found["C"])


def _is_own(block: ElementTree.Element, uuid: str | None, base_name: str) -> bool:
    """Whether planes lie in this file: nothing says otherwise, or its UUID or name does."""
    named = _children([block], "UUID")
    if not named:
        return True
    text, name = (named[0].text or "").strip(), re.split(r"[/\\]", named[0].attrib.get("FileName", ""))[-1]
    return (bool(text) and text == (uuid or "").strip()) or (bool(name) and name.lower() == base_name.lower())


def _grid(image: _Image, file: str) -> OmePlanes:
    """The file's planes as a full grid of times, planes and channels."""
    axes = [sorted({plane[axis] for plane in image.own}) for axis in range(3)]
    order = [(time, depth, channel) for time in axes[0] for depth in axes[1] for channel in axes[2]]
    lacking = [plane for plane in order if plane not in image.own]
    if lacking:
        raise DataError(f"{file} lacks {len(lacking):,} of the {len(order):,} planes of its image (OME-XML); others "
                        "may lie in files beside it, which are not opened", remedy=ELSEWHERE)  # fmt: skip
    return OmePlanes(tuple(image.own[plane] for plane in order), (len(axes[0]), len(axes[1]), len(axes[2])))


def _renamed(images: list[_Image], pages: int, file: str) -> OmePlanes:
    """A file whose XML calls it by an old name: clear only where there is one page."""
    if pages == 1:
        return OmePlanes((0,), (1, 1, 1))
    names = "its OME-XML describes other files and not this one"
    raise DataError(f"{file} has {pages:,} pages, and {names}",
                    remedy=f"give it back the name that it was saved under, or {ELSEWHERE}")  # fmt: skip


def _all(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [element for element in root if element.tag.rpartition("}")[2] == tag]


def _children(parents: list[ElementTree.Element], tag: str) -> list[ElementTree.Element]:
    return [element for parent in parents for element in _all(parent, tag)]


def _number(element: ElementTree.Element, name: str, default: int) -> int:
    text = element.attrib.get(name, "").strip()
    return int(text) if NUMBER.fullmatch(text) else default
