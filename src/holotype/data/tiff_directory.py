"""Image file directories (IFD) of a TIFF, read and checked before anything is decoded.

Each directory says how large its page is and where its strips or tiles lie. A few bytes can promise thousands of
millions of tiles, pages without end, or pixels that are not in the file; all of that is refused here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from holotype.data.codestreams import declared_size
from holotype.data.limits import MOST_PAGES, MOST_SEGMENTS, ReadOptions, require_size
from holotype.errors import DataError, counted

__all__ = ["TiffPage", "scan_pages"]

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
WHOLE = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
SAMPLES, ROWS_PER_STRIP, PLANAR, TILE_WIDTH, TILE_HEIGHT, SUBFILE, OLD_SUBFILE = 277, 278, 284, 322, 323, 254, 255
DEPTH, TILE_DEPTH, OLD_JPEG, LSM, NDPI = 32997, 32998, 513, 34412, 65420
SEGMENTS = ((324, 325, "tiles"), (273, 279, "strips"))
COUNTED = {324, 325, 273, 279}
CODESTREAMS = {7: "jpeg", 33003: "jp2", 33004: "jp2", 33005: "jp2", 34712: "jp2", 34933: "png", 34927: "webp",
               50001: "webp", 50002: "jxl", 52546: "jxl", 34934: "jxr", 22610: "jxr"}  # fmt: skip
HEAD = 2_048
MOST_TAGS = 4_096
FARTHEST = np.uint64(1 << 61)  # two of them add up to a number that 64 bits hold
READ = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES, ROWS_PER_STRIP, PLANAR, TILE_WIDTH,
        TILE_HEIGHT, SUBFILE, OLD_SUBFILE, DEPTH, TILE_DEPTH, OLD_JPEG, *COUNTED}  # fmt: skip
CUT_OFF = "it may have been cut off or never finished; copy or write it anew"
Tags = dict[int, "NDArray[np.int64]"]


@dataclass(frozen=True)
class TiffPage:
    """One page as its directory describes it.

    Args:
        height: Rows.
        width: Columns.
        bits: Of one value.
        photometric: Tag 262: 0 is white at zero, 1 black at zero, 2 RGB, 3 a palette; -1 where it is missing.
        orientation: Tag 274, 1 to 8; 0 where it is missing.
        is_reduced: A thumbnail or a level of a pyramid.
    """

    height: int
    width: int
    bits: int
    photometric: int
    orientation: int
    is_reduced: bool


@dataclass(frozen=True)
class _Layout:
    """Byte order and sizes of a classic TIFF or a BigTIFF."""

    order: str
    big: bool
    length: int

    @property
    def entry(self) -> int:
        return 20 if self.big else 12

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")


def scan_pages(stream: BinaryIO, name: str, options: ReadOptions) -> list[TiffPage]:
    """Read the chain of directories, and refuse what cannot be decoded whole within the limits.

    Args:
        stream: The file; it is left at its beginning.
        name: The file, for messages.
        options: The limits.

    Raises:
        DataError: There are no pages, too many of them or of their segments; the chain is a loop; pixels are missing.
    """
    layout, first = _header(stream, name)
    pages, segments = [], 0
    for place in _chain(stream, layout, first, name):
        page, count = _page(stream, layout, _tags(stream, layout, place, name), name, options)
        segments += count
        if segments > MOST_SEGMENTS:
            raise DataError(f"{name} is stored in more than {MOST_SEGMENTS:,} strips or tiles",
                            remedy="save it in tiles of 256 x 256 pixels")  # fmt: skip
        pages.append(page)
    stream.seek(0)
    if not pages:
        raise DataError(f"{name} holds no picture", remedy=CUT_OFF)
    return pages


def _chain(stream: BinaryIO, layout: _Layout, place: int, name: str) -> list[int]:
    """Where the directories lie, without a look at what they hold."""
    places: dict[int, None] = {}
    following = struct.calcsize(layout.offset)
    while place:
        if place in places:
            raise DataError(f"{name} is damaged: its pages follow one another in a circle", remedy=CUT_OFF)
        places[place] = None
        if len(places) > MOST_PAGES:
            raise DataError(f"{name} holds more than {MOST_PAGES:,} pages", remedy="save one image a file")
        count = _tag_count(stream, layout, place, name)
        stream.seek(count * layout.entry, 1)
        content = stream.read(following)
        if len(content) < following:
            raise _cut(name)
        place = int(struct.unpack(layout.offset, content)[0])
    return list(places)


def _cut(name: str) -> DataError:
    return DataError(f"{name} holds no whole picture: a page lies beyond the end of the file", remedy=CUT_OFF)


def _tag_count(stream: BinaryIO, layout: _Layout, place: int, name: str) -> int:
    """How many tags a directory has; the stream is left at the first of them."""
    form = layout.order + ("Q" if layout.big else "H")
    stream.seek(min(place, layout.length))
    start = stream.read(struct.calcsize(form))
    if len(start) < struct.calcsize(form):
        raise _cut(name)
    count = int(struct.unpack(form, start)[0])
    if count > MOST_TAGS:
        raise DataError(f"{name} is damaged: a page has {count:,} tags", remedy=CUT_OFF)
    return count


def _header(stream: BinaryIO, name: str) -> tuple[_Layout, int]:
    length = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(16)
    order, big = ("<" if head[:2] == b"II" else ">"), head[2:4] in (b"+\0", b"\0+")
    if len(head) < (16 if big else 8):
        raise DataError(f"{name} holds no picture", remedy=CUT_OFF)
    layout = _Layout(order, big, length)
    return layout, int(struct.unpack_from(layout.offset, head, 8 if big else 4)[0])


def _tags(stream: BinaryIO, layout: _Layout, place: int, name: str) -> Tags:
    """The tags of a directory that matter here."""
    content = stream.read(_tag_count(stream, layout, place, name) * layout.entry)
    entries = struct.Struct(layout.order + ("HHQ8s" if layout.big else "HHI4s"))
    tags: Tags = {}
    for code, kind, count, inside in entries.iter_unpack(content[: len(content) // entries.size * entries.size]):
        if code in {LSM, NDPI}:
            tags[code] = np.ones(1, np.int64)
        elif code in READ and kind in WHOLE and code not in tags:
            values = _values(stream, layout, (code, kind, count, inside), name)
            if values is not None:
                tags[code] = values
    return tags


def _values(
    stream: BinaryIO, layout: _Layout, entry: tuple[int, int, int, bytes], name: str
) -> NDArray[np.int64] | None:
    """A tag's whole numbers: of the segments all, of any other the first few."""
    code, kind, count, inside = entry
    if count > MOST_SEGMENTS and code in COUNTED:
        raise DataError(f"{name} is stored in {count:,} strips or tiles, more than {MOST_SEGMENTS:,}",
                        remedy="save it in tiles of 256 x 256 pixels")  # fmt: skip
    size, kept = SIZES[kind], count if code in COUNTED else min(count, 16)
    if size * count > len(inside):
        if code not in COUNTED and code != BITS:
            return None
        stream.seek(min(int(struct.unpack(layout.offset, inside)[0]), layout.length))
        inside = stream.read(size * kept)
    values = np.frombuffer(inside, layout.order + WHOLE[kind], min(kept, len(inside) // size))
    if len(values) < kept:
        raise DataError(f"{name} holds no whole picture: a list of its pages ends early", remedy=CUT_OFF)
    return np.minimum(values, FARTHEST).astype(np.int64) if size == 8 else values.astype(np.int64)


def _page(stream: BinaryIO, layout: _Layout, tags: Tags, name: str, options: ReadOptions) -> tuple[TiffPage, int]:
    """A page, and the number of its strips or tiles."""
    height, width = _first(tags, HEIGHT, 0), _first(tags, WIDTH, 0)
    reduced = bool(_first(tags, SUBFILE, 0) & 1) or _first(tags, OLD_SUBFILE, 1) == 2
    page = TiffPage(height, width, _first(tags, BITS, 1), _first(tags, PHOTOMETRIC, -1), _first(tags, ORIENTATION, 0),
                    reduced)  # fmt: skip
    if reduced:
        return page, 0
    samples = _first(tags, SAMPLES, 1)
    require_size(name, (height, width), samples * _first(tags, DEPTH, 1), _dtype(page.bits), options)
    for offsets, sizes, what in SEGMENTS:
        if offsets in tags:
            return page, _segments(stream, layout, tags, (offsets, sizes, what), name, options)
    if OLD_JPEG not in tags:
        raise DataError(f"{name} holds no whole picture: a page has no pixels", remedy=CUT_OFF)
    return page, 1


def _segments(
    stream: BinaryIO, layout: _Layout, tags: Tags, kind: tuple[int, int, str], name: str, options: ReadOptions
) -> int:
    """Check that all strips or tiles of a page are there, and say how many there are."""
    offsets, sizes = tags[kind[0]], tags.get(kind[1])
    height, width, samples = _first(tags, HEIGHT, 0), _first(tags, WIDTH, 0), _first(tags, SAMPLES, 1)
    rows, columns, layers = min(max(1, _first(tags, ROWS_PER_STRIP, height)), height), width, 1
    if kind[2] == "tiles":
        rows, columns = max(1, _first(tags, TILE_HEIGHT, 0)), max(1, _first(tags, TILE_WIDTH, 0))
        layers = -(-_first(tags, DEPTH, 1) // max(1, _first(tags, TILE_DEPTH, 1)))
        require_size(f"a tile of {name}", (rows, columns), samples, _dtype(_first(tags, BITS, 1)), options)
    apart = samples if _first(tags, PLANAR, 1) == 2 else 1
    needed = -(-height // rows) * -(-width // columns) * layers * apart
    compression = _first(tags, COMPRESSION, 1)
    if len(offsets) < needed and not (len(offsets) == 1 and compression == 1 and kind[2] == "strips"):
        raise DataError(f"{name} is sparse: {len(offsets):,} of its {needed:,} {kind[2]} are in the file",
                        remedy=CUT_OFF)  # fmt: skip
    present = offsets[:needed]
    lengths = np.ones_like(present) if sizes is None else sizes[: len(present)]
    if len(lengths) < len(present) or (present <= 0).any() or (lengths <= 0).any():
        missing = int(((present <= 0) | (np.resize(lengths, present.shape) <= 0)).sum())
        raise DataError(f"{name} is sparse: {counted(missing, kind[2].removesuffix('s'))} of {len(present):,} "
                        "without pixels", remedy=CUT_OFF)  # fmt: skip
    wrapped = LSM in tags or NDPI in tags  # large ones of these write offsets modulo 2**32
    if not wrapped and (present + lengths > layout.length).any():
        raise DataError(f"{name} is cut off: {kind[2]} of it lie beyond the end of the file", remedy=CUT_OFF)
    if compression in CODESTREAMS and not wrapped:
        _codestreams(stream, CODESTREAMS[compression], list(zip(present, lengths, strict=True)), (rows, columns), name)
    return len(present)


def _codestreams(stream: BinaryIO, kind: str, places: list[tuple[int, int]], sides: tuple[int, int], name: str) -> None:
    """Refuse a strip or tile whose own header promises more pixels than the page has room for."""
    for offset, length in places:
        stream.seek(int(offset))
        declared = declared_size(kind, stream.read(min(int(length), HEAD)))
        if declared is not None and (declared.height > sides[0] + 64 or declared.width > sides[1] + 64):
            raise DataError(f"{name} is damaged: a part of {sides[1]} x {sides[0]} pixels says that it has "
                            f"{declared.width} x {declared.height}", remedy=CUT_OFF)  # fmt: skip


def _first(tags: Tags, code: int, default: int) -> int:
    values = tags.get(code)
    return default if values is None or not len(values) else int(values[0])


def _dtype(bits: int) -> str:
    return next((f"V{size}" for size in (1, 2, 4, 8) if bits <= 8 * size), "V16")
