"""Image file directories (IFD) of a TIFF, read and checked before anything is decoded.

Each directory holds the size of its page and the positions of its strips or tiles. A few bytes can declare billions of
tiles, endless pages, or pixels beyond the end of the file; all of that is refused here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from operator import add
from typing import BinaryIO

from holotype.core.errors import DataError, pluralize
from holotype.data.codestreams import declared_size
from holotype.data.limits import MAX_PAGES, MAX_SEGMENTS, ReadOptions, require_size

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
INTEGER_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
SAMPLES, ROWS_PER_STRIP, PLANAR, TILE_WIDTH, TILE_HEIGHT, SUBFILE, OLD_SUBFILE = 277, 278, 284, 322, 323, 254, 255
DEPTH, TILE_DEPTH, OLD_JPEG, LSM, NDPI = 32997, 32998, 513, 34412, 65420
SEGMENTS = ((324, 325, "tiles"), (273, 279, "strips"))
SEGMENT_TAGS = {324, 325, 273, 279}
CODESTREAMS = {
    7: "jpeg",
    33003: "jp2",
    33004: "jp2",
    33005: "jp2",
    34712: "jp2",
    34933: "png",
    34927: "webp",
    50001: "webp",
    50002: "jxl",
    52546: "jxl",
    34934: "jxr",
    22610: "jxr",
}
HEAD = 2_048
MAX_TAGS = 4_096
READ_TAGS = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES, ROWS_PER_STRIP, PLANAR, SUBFILE}
READ_TAGS |= {TILE_WIDTH, TILE_HEIGHT, OLD_SUBFILE, DEPTH, TILE_DEPTH, OLD_JPEG, *SEGMENT_TAGS}
CUT_OFF = "it may have been cut off or never finished; copy or write it anew"
Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True)
class TiffPage:
    """One page as its directory describes it.

    Args:
        photometric: Tag 262: 0 is white-is-zero, 1 black-is-zero, 2 RGB, 3 a palette; -1 if missing.
        orientation: Tag 274, 1 to 8; 0 if missing.
    """

    height: int
    width: int
    bits: int
    photometric: int
    orientation: int
    is_reduced: bool


BOTH = [(order, big) for order in "<>" for big in (False, True)]
ENTRIES = {(order, big): struct.Struct(order + ("HHQ8s" if big else "HHI4s")) for order, big in BOTH}
COUNTS = {(order, big): struct.Struct(order + ("Q" if big else "H")) for order, big in BOTH}
OFFSETS = {(order, big): struct.Struct(order + ("Q" if big else "I")) for order, big in BOTH}


@dataclass(frozen=True)
class _Layout:
    order: str
    big: bool
    length: int

    @property
    def entries(self) -> struct.Struct:
        return ENTRIES[self.order, self.big]

    @property
    def count(self) -> struct.Struct:
        return COUNTS[self.order, self.big]

    @property
    def offset(self) -> struct.Struct:
        return OFFSETS[self.order, self.big]


def scan_pages(stream: BinaryIO, name: str, options: ReadOptions) -> list[TiffPage]:
    """Read the chain of directories, and refuse what cannot be decoded completely within the limits."""
    layout, offset = _read_header(stream, name)
    pages: list[TiffPage] = []
    offsets: set[int] = set()
    segments = 0
    while offset:
        if offset in offsets:
            raise DataError(f"{name} is damaged: its pages form a loop", remedy=CUT_OFF)
        offsets.add(offset)
        if len(offsets) > MAX_PAGES:
            raise DataError(f"{name} holds more than {MAX_PAGES:,} pages", remedy="save one image a file")
        tags, offset = _read_directory(stream, layout, offset, name)
        page, count = _read_page(stream, layout, tags, name, options)
        segments += count
        if segments > MAX_SEGMENTS:
            raise DataError(
                f"{name} is stored in more than {MAX_SEGMENTS:,} strips or tiles",
                remedy="save it in tiles of 256 x 256 pixels",
            )
        pages.append(page)
    stream.seek(0)
    if not pages:
        raise DataError(f"{name} holds no picture", remedy=CUT_OFF)
    return pages


def _truncated_error(name: str) -> DataError:
    return DataError(f"{name} is incomplete: a page lies beyond the end of the file", remedy=CUT_OFF)


def _read_header(stream: BinaryIO, name: str) -> tuple[_Layout, int]:
    length = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(16)
    order, big = ("<" if head[:2] == b"II" else ">"), head[2:4] in (b"+\0", b"\0+")
    if len(head) < (16 if big else 8):
        raise DataError(f"{name} holds no picture", remedy=CUT_OFF)
    layout = _Layout(order, big, length)
    return layout, int(layout.offset.unpack_from(head, 8 if big else 4)[0])


def _read_directory(stream: BinaryIO, layout: _Layout, offset: int, name: str) -> tuple[Tags, int]:
    stream.seek(min(offset, layout.length))
    start = stream.read(layout.count.size)
    if len(start) < layout.count.size:
        raise _truncated_error(name)
    count = int(layout.count.unpack(start)[0])
    if count > MAX_TAGS:
        raise DataError(f"{name} is damaged: a page has {count:,} tags", remedy=CUT_OFF)
    size = count * layout.entries.size
    content = stream.read(size + layout.offset.size)
    if len(content) < size + layout.offset.size:
        raise _truncated_error(name)
    tags: Tags = {}
    for code, kind, count, inside in layout.entries.iter_unpack(content[:size]):
        if code in {LSM, NDPI}:
            tags[code] = (1,)
        elif code in READ_TAGS and code not in tags and kind in INTEGER_TYPES:
            values = _read_values(stream, layout, name, code=code, kind=kind, count=count, inside=inside)
            if values is not None:
                tags[code] = values
    return tags, int(layout.offset.unpack_from(content, size)[0])


def _read_values(
    stream: BinaryIO, layout: _Layout, name: str, *, code: int, kind: int, count: int, inside: bytes
) -> tuple[int, ...] | None:
    if count > MAX_SEGMENTS and code in SEGMENT_TAGS:
        raise DataError(
            f"{name} is stored in {count:,} strips or tiles, more than {MAX_SEGMENTS:,}",
            remedy="save it in tiles of 256 x 256 pixels",
        )
    size, read_count = SIZES[kind], count if code in SEGMENT_TAGS else min(count, 16)
    if size * count > len(inside):
        if code not in SEGMENT_TAGS and code != BITS:
            return None
        stream.seek(min(int(layout.offset.unpack(inside)[0]), layout.length))
        inside = stream.read(size * read_count)
        if len(inside) < size * read_count:
            raise DataError(f"{name} is incomplete: a list of its pages ends early", remedy=CUT_OFF)
    return struct.unpack_from(f"{layout.order}{read_count}{INTEGER_TYPES[kind]}", inside)


def _read_page(stream: BinaryIO, layout: _Layout, tags: Tags, name: str, options: ReadOptions) -> tuple[TiffPage, int]:
    height, width = _first_value(tags, HEIGHT, 0), _first_value(tags, WIDTH, 0)
    reduced = bool(_first_value(tags, SUBFILE, 0) & 1) or _first_value(tags, OLD_SUBFILE, 1) == 2
    bits = _first_value(tags, BITS, 1)
    photometric, orientation = _first_value(tags, PHOTOMETRIC, -1), _first_value(tags, ORIENTATION, 0)
    page = TiffPage(height, width, bits, photometric, orientation, reduced)
    if reduced:
        return page, 0
    samples = _first_value(tags, SAMPLES, 1)
    require_size(name, (height, width), samples * _first_value(tags, DEPTH, 1), _dtype_of_bits(bits), options)
    for offsets, sizes, noun in SEGMENTS:
        if offsets in tags:
            present, lengths = tags[offsets], tags.get(sizes)
            count = _check_segments(stream, layout, tags, name, options, offsets=present, sizes=lengths, noun=noun)
            return page, count
    if OLD_JPEG not in tags:
        raise DataError(f"{name} is incomplete: a page has no pixels", remedy=CUT_OFF)
    return page, 1


def _check_segments(
    stream: BinaryIO,
    layout: _Layout,
    tags: Tags,
    name: str,
    options: ReadOptions,
    *,
    offsets: tuple[int, ...],
    sizes: tuple[int, ...] | None,
    noun: str,
) -> int:
    height, width, samples = _first_value(tags, HEIGHT, 0), _first_value(tags, WIDTH, 0), _first_value(tags, SAMPLES, 1)
    rows, columns, layers = min(max(1, _first_value(tags, ROWS_PER_STRIP, height)), height), width, 1
    if noun == "tiles":
        rows, columns = max(1, _first_value(tags, TILE_HEIGHT, 0)), max(1, _first_value(tags, TILE_WIDTH, 0))
        layers = -(-_first_value(tags, DEPTH, 1) // max(1, _first_value(tags, TILE_DEPTH, 1)))
        require_size(
            f"a tile of {name}", (rows, columns), samples, _dtype_of_bits(_first_value(tags, BITS, 1)), options
        )
    planes = samples if _first_value(tags, PLANAR, 1) == 2 else 1
    needed = -(-height // rows) * -(-width // columns) * layers * planes
    compression = _first_value(tags, COMPRESSION, 1)
    if len(offsets) < needed and not (len(offsets) == 1 and compression == 1 and noun == "strips"):
        raise DataError(f"{name} is sparse: {len(offsets):,} of its {needed:,} {noun} are in the file", remedy=CUT_OFF)
    present = offsets[:needed]
    lengths: Sequence[int] = (1,) * len(present) if sizes is None else sizes[: len(present)]
    if len(lengths) < len(present) or min(present) <= 0 or min(lengths) <= 0:
        missing = sum(offset <= 0 or length <= 0 for offset, length in zip_longest(present, lengths, fillvalue=0))
        raise DataError(
            f"{name} is sparse: {pluralize(missing, noun.removesuffix('s'))} of {len(present):,} without pixels",
            remedy=CUT_OFF,
        )
    wrapped = LSM in tags or NDPI in tags  # large files of these formats store offsets modulo 2**32
    if not wrapped and max(map(add, present, lengths)) > layout.length:
        raise DataError(f"{name} is cut off: {noun} of it lie beyond the end of the file", remedy=CUT_OFF)
    if compression in CODESTREAMS and not wrapped:
        _require_declared_sizes(
            stream, CODESTREAMS[compression], list(zip(present, lengths, strict=True)), (rows, columns), name
        )
    return len(present)


def _require_declared_sizes(
    stream: BinaryIO, kind: str, segments: list[tuple[int, int]], sides: tuple[int, int], name: str
) -> None:
    for offset, length in segments:
        stream.seek(int(offset))
        declared = declared_size(kind, stream.read(min(int(length), HEAD)))
        if declared is not None and (declared.height > sides[0] + 64 or declared.width > sides[1] + 64):
            raise DataError(
                f"{name} is damaged: a part of {sides[1]} x {sides[0]} pixels says that it has "
                f"{declared.width} x {declared.height}",
                remedy=CUT_OFF,
            )


def _first_value(tags: Tags, code: int, default: int) -> int:
    values = tags.get(code)
    return values[0] if values else default


def _dtype_of_bits(bits: int) -> str:
    return next((f"V{size}" for size in (1, 2, 4, 8) if bits <= 8 * size), "V16")
