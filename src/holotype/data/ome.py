"""OME-XML of a TIFF: map the file's pages to channels, planes and times.

The XML may refer to other files (one for each position or channel). They are never opened: an image file does not
decide which other files are read, and files that the table does not name are no part of its images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from holotype.core.errors import DataError
from holotype.data.tiff_directory import TiffPage

ELSEWHERE = "save each image as one OME-TIFF with all of its planes"
NUMBER = re.compile(r"\d{1,18}")


@dataclass(frozen=True)
class OmePlanes:
    """Planes of one image that lie in this file.

    Args:
        pages: Page numbers, ordered by time, then plane, then channel.
        shape: Number of times, planes and channels; their product is the number of pages.
        channels_elsewhere: Number of further channels of the image that the XML places in other files.
    """

    pages: tuple[int, ...]
    shape: tuple[int, int, int]
    channels_elsewhere: int = 0


@dataclass
class _Image:
    """Planes of one image in the XML, as (time, plane, channel): page of each local one, and those of other files."""

    local_planes: dict[tuple[int, int, int], int]
    elsewhere: set[tuple[int, int, int]]

    def count_channels_elsewhere(self) -> int:
        return len({plane[2] for plane in self.elsewhere} - {plane[2] for plane in self.local_planes})


def planes_of_pages(
    xml: str, pages: Sequence[TiffPage], file: str, base_name: str, *, is_imagej: bool = False
) -> OmePlanes | None:
    """Planes of a file in which every page must belong to the image.

    Returns None if the text is not OME-XML, or does not describe pixels.
    """
    if not xml.rstrip("\0 \r\n\t").endswith("OME>") or "<" not in xml[:10]:
        return None
    planes = planes_in_file(xml, len(pages), file, base_name)
    full = [number for number, page in enumerate(pages) if not page.is_reduced]
    if planes is None:
        if len(full) > 1 and not is_imagej:
            raise DataError(
                f"{file} has {len(pages)} pages that only another file describes (OME-XML, BinaryOnly)",
                remedy="save it as one OME-TIFF with its own description",
            )
        return None
    if not set(full) <= set(planes.pages):
        raise DataError(
            f"{file} has {len(pages)} pages, of which its OME-XML describes {len(planes.pages)}",
            remedy="save it anew as OME-TIFF, or without OME-XML",
        )
    return planes


def planes_in_file(xml: str, pages: int, file: str, base_name: str) -> OmePlanes | None:
    """Planes of a file that its OME-XML describes.

    Returns None if the XML does not describe pixels because another file does (`BinaryOnly`).
    """
    root = _parse_xml(xml, file)
    uuid = root.attrib.get("UUID")
    images = [
        _parse_image(pixels, uuid, base_name, pages, file)
        for pixels in _find_children(_find_all(root, "Image"), "Pixels")
    ]
    if not images:
        return None
    here = [image for image in images if image.local_planes]
    if not here:
        return _require_single_page(images, pages, file)
    if len(here) > 1:
        raise DataError(f"{file} holds {len(here)} images (OME-XML)", remedy="save one image a file")
    return _require_full_grid(here[0], file)


def _parse_xml(xml: str, file: str) -> ElementTree.Element:
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise DataError(f"{file} has OME-XML with a document type, which is not read", remedy=ELSEWHERE)
    try:
        return ElementTree.fromstring(xml.strip("\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{file} has broken OME-XML: {error}", remedy=ELSEWHERE) from error


def _parse_image(pixels: ElementTree.Element, uuid: str | None, base_name: str, pages: int, file: str) -> _Image:
    order = pixels.attrib.get("DimensionOrder", "XYCZT")
    if sorted(order) != sorted("XYCZT") or not order.startswith("XY"):
        raise DataError(f"{file} has OME-XML with the dimension order {order!r}", remedy=ELSEWHERE)
    samples = max(
        [1, *(_parse_number(channel, "SamplesPerPixel", 1) for channel in _find_children([pixels], "Channel"))]
    )
    sizes = {axis: max(1, _parse_number(pixels, f"Size{axis}", 1)) for axis in "TZC"}
    sizes["C"] = max(1, sizes["C"] // samples)
    total = sizes["T"] * sizes["Z"] * sizes["C"]
    image = _Image({}, set())
    blocks = _find_children([pixels], "TiffData")
    for block in blocks:
        first = {axis: _parse_number(block, f"First{axis}", 0) for axis in "TZC"}
        count = _parse_number(
            block, "PlaneCount", _parse_number(block, "NumPlanes", 1 if "IFD" in block.attrib else total)
        )
        start, is_local = _parse_number(block, "IFD", 0), _is_in_file(block, uuid, base_name)
        position = _ravel_plane(first, sizes, order)
        for number in range(min(count, total, 10 * pages + 1000)):
            plane = _unravel_plane(position + number, sizes, order)
            if plane is None:
                break
            if not is_local:
                image.elsewhere.add(plane)
            elif start + number >= pages:
                raise DataError(
                    f"{file} has {pages:,} pages, and its OME-XML describes more",
                    remedy="it may have been cut off or never finished; copy or write it anew",
                )
            else:
                image.local_planes[plane] = start + number
    if not blocks or (image.local_planes and not image.elsewhere and len(image.local_planes) < total):
        missing = total - len(image.local_planes)
        raise DataError(
            f"{file} lacks {missing:,} of the {total:,} planes that its OME-XML describes",
            remedy="it may have been cut off or never finished; copy or write it anew",
        )
    return image


def _ravel_plane(first: dict[str, int], sizes: dict[str, int], order: str) -> int:
    position, step = 0, 1
    for axis in order[2:]:
        position += first[axis] * step
        step *= sizes[axis]
    return position


def _unravel_plane(position: int, sizes: dict[str, int], order: str) -> tuple[int, int, int] | None:
    """Time, plane and channel of a position in storage order; None beyond the last."""
    indices = {}
    for axis in order[2:]:
        position, indices[axis] = divmod(position, sizes[axis])
    return None if position else (indices["T"], indices["Z"], indices["C"])


def _is_in_file(block: ElementTree.Element, uuid: str | None, base_name: str) -> bool:
    named = _find_children([block], "UUID")
    if not named:
        return True
    text, name = (named[0].text or "").strip(), re.split(r"[/\\]", named[0].attrib.get("FileName", ""))[-1]
    return (bool(text) and text == (uuid or "").strip()) or (bool(name) and name.lower() == base_name.lower())


def _require_full_grid(image: _Image, file: str) -> OmePlanes:
    axes = [sorted({plane[axis] for plane in image.local_planes}) for axis in range(3)]
    order = [(time, depth, channel) for time in axes[0] for depth in axes[1] for channel in axes[2]]
    missing = [plane for plane in order if plane not in image.local_planes]
    if missing:
        raise DataError(
            f"{file} lacks {len(missing):,} of the {len(order):,} planes of its image (OME-XML); others "
            "may lie in files beside it, which are not opened",
            remedy=ELSEWHERE,
        )
    shape = (len(axes[0]), len(axes[1]), len(axes[2]))
    return OmePlanes(tuple(image.local_planes[plane] for plane in order), shape, image.count_channels_elsewhere())


def _require_single_page(images: list[_Image], pages: int, file: str) -> OmePlanes:
    """Planes of a renamed file, which its XML calls by an old name: unambiguous only for a single page."""
    if pages == 1:
        # The page is one channel of an unknown image.
        return OmePlanes((0,), (1, 1, 1), max(min(image.count_channels_elsewhere() for image in images) - 1, 0))
    names = "its OME-XML describes other files and not this one"
    raise DataError(
        f"{file} has {pages:,} pages, and {names}",
        remedy=f"restore the file name under which it was saved, or {ELSEWHERE}",
    )


def _find_all(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [element for element in root if element.tag.rpartition("}")[2] == tag]


def _find_children(parents: list[ElementTree.Element], tag: str) -> list[ElementTree.Element]:
    return [element for parent in parents for element in _find_all(parent, tag)]


def _parse_number(element: ElementTree.Element, name: str, default: int) -> int:
    text = element.attrib.get(name, "").strip()
    return int(text) if NUMBER.fullmatch(text) else default
