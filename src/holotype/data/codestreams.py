"""Sizes that compressed images declare in their first bytes: JPEG, JPEG 2000, JPEG XL, JPEG XR, PNG and WebP.

What a decoder allocates follows from these numbers alone, so they are read before it is called.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = ["DeclaredSize", "declared_size"]

JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
TURNED = 0xBC02  # of JPEG XR
JPEGXR_TAGS = {
    *range(0xBC01, 0xBC05), *range(0xBC80, 0xBC84), *range(0xBCC0, 0xBCC6), 0x8769, 0x8825, 0x02BC,
    0x83BB, 0x8649, 0x8773, 0x010D, 0x010E, 0x010F, 0x0110, 0x011D, 0x0129, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746,
    0x4749, 0x8298,
}  # fmt: skip
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # of JPEG XL


class DeclaredSize(NamedTuple):
    """What a header says of an image.

    Args:
        height: Rows.
        width: Columns.
        components: Channels, 0 where the header does not say.
        bits: Of one value, 0 where the header does not say.
        tiles: Parts that are compressed by themselves.
    """

    height: int
    width: int
    components: int = 0
    bits: int = 0
    tiles: int = 1


def declared_size(kind: str, head: bytes) -> DeclaredSize | None:
    """The size of a compressed image.

    Args:
        kind: `jpeg`, `jp2`, `jxl`, `jxr`, `png` or `webp`.
        head: Its first bytes, a few thousand; of a JPEG with a large profile more.

    Returns:
        None where the bytes do not tell.
    """
    readers = {"jpeg": _jpeg, "jp2": _jpeg2000, "jxl": _jpegxl, "jxr": _jpegxr, "png": _png, "webp": _webp}
    try:
        return readers[kind](head)
    except (struct.error, IndexError):
        return None


def _jpeg(head: bytes) -> DeclaredSize | None:
    place = 2
    while place < len(head) - 9:
        if head[place] != 0xFF:
            return None
        marker = head[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in JPEG_FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", head, place + 4)
            return DeclaredSize(height, width, components, bits)
        elif 0xD0 <= marker <= 0xD8 or marker == 0x01:
            place += 2
        else:
            place += 2 + int(struct.unpack_from(">H", head, place + 2)[0])
    return None


def _jpeg2000(head: bytes) -> DeclaredSize | None:
    place = head.find(b"\xff\x4f\xff\x51")
    if place < 0:
        return None
    right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">6I", head, place + 8)
    components, depth = struct.unpack_from(">HB", head, place + 40)
    height, width = max(0, bottom - top), max(0, right - left)
    tiles = -(-width // max(1, tile_width)) * -(-height // max(1, tile_height))
    return DeclaredSize(height, width, components, (depth & 0x7F) + 1, tiles)


def _png(head: bytes) -> DeclaredSize | None:
    if head[12:16] != b"IHDR":
        return None
    width, height, bits, color = struct.unpack_from(">IIBB", head, 16)
    return DeclaredSize(height, width, {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(color, 4), bits)


def _webp(head: bytes) -> DeclaredSize | None:
    kind = head[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(head[start : start + 3], "little") for start in (24, 27))
    elif kind == b"VP8L":
        both = int(struct.unpack_from("<I", head, 21)[0])
        width, height = 1 + (both & 0x3FFF), 1 + (both >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", head, 26))
    else:
        return None
    return DeclaredSize(height, width, 4, 8)


def _jpegxr(head: bytes) -> DeclaredSize | None:
    """The directory of a JPEG XR, which is shaped as a TIFF's."""
    (offset,) = struct.unpack_from("<I", head, 4)
    (count,) = struct.unpack_from("<H", head, offset)
    sides = {}
    for number in range(min(count, 64)):
        tag, kind, _, value = struct.unpack_from("<HHII", head, offset + 2 + 12 * number)
        sides[tag] = value & 0xFFFF if kind == 3 else value
        if tag not in JPEGXR_TAGS or (tag == TURNED and value):
            return None  # the decoder would say so on the terminal, and would not turn the image
    return DeclaredSize(sides[0xBC81], sides[0xBC80]) if {0xBC80, 0xBC81} <= set(sides) else None


def _jpegxl(head: bytes) -> DeclaredSize | None:
    """The size header of the codestream, by itself or in the first `jxlc` or `jxlp` box."""
    if head[:2] != b"\xff\x0a":
        place = head.find(b"jxlc")
        if place < 0:
            place = head.find(b"jxlp")
            place = place + 4 if place >= 0 else place
        if place < 0:
            return None
        head = head[place + 4 :]
    bits = _Bits(head[2:40])
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio:
        numerator, denominator = RATIOS[ratio]
        return DeclaredSize(height, height * numerator // denominator)
    return DeclaredSize(height, _side(bits, small))


def _side(bits: _Bits, small: int) -> int:
    if small:
        return 8 * (bits.take(5) + 1)
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


class _Bits:
    """Bits of a codestream, the lowest of each byte first."""

    def __init__(self, content: bytes) -> None:
        self.rest = int.from_bytes(content, "little")

    def take(self, count: int) -> int:
        value = self.rest & ((1 << count) - 1)
        self.rest >>= count
        return value
