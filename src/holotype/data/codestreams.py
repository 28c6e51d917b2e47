"""Image sizes declared in compressed headers: JPEG, JPEG 2000, JPEG XL, JPEG XR, PNG and WebP.

A decoder allocates memory from these numbers, so they are checked before it is called.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
ORIENTATION_TAG = 0xBC02  # of JPEG XR
JPEGXR_TAGS = {*range(0xBC01, 0xBC05), *range(0xBC80, 0xBC84), *range(0xBCC0, 0xBCC6)}
JPEGXR_TAGS |= {*range(0x010D, 0x0111), 0x011D, 0x0129, 0x0131, 0x0132, 0x013B, 0x013C, 0x02BC, 0x4746, 0x4749}
JPEGXR_TAGS |= {0x8298, 0x83BB, 0x8649, 0x8769, 0x8773, 0x8825}
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # of JPEG XL


class DeclaredSize(NamedTuple):
    """Size declared in an image header.

    Args:
        components: Number of channels, 0 if unknown.
        bits: Bits of one value, 0 if unknown.
    """

    height: int
    width: int
    components: int = 0
    bits: int = 0
    tiles: int = 1


def declared_size(kind: str, head: bytes) -> DeclaredSize | None:
    """Parse the size of a compressed image; None if the bytes do not tell.

    `kind`: `jpeg`, `jp2`, `jxl`, `jxr`, `png` or `webp`; `head`: the first few thousand bytes; more for a JPEG with a
    large profile.
    """
    readers = {
        "jpeg": _parse_jpeg,
        "jp2": _parse_jpeg2000,
        "jxl": _parse_jpegxl,
        "jxr": _parse_jpegxr,
        "png": _parse_png,
        "webp": _parse_webp,
    }
    try:
        return readers[kind](head)
    except (struct.error, IndexError):
        return None


def _parse_jpeg(head: bytes) -> DeclaredSize | None:
    offset = 2
    while offset < len(head) - 9:
        if head[offset] != 0xFF:
            return None
        marker = head[offset + 1]
        if marker == 0xFF:
            offset += 1
        elif marker in JPEG_FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", head, offset + 4)
            return DeclaredSize(height, width, components, bits)
        elif 0xD0 <= marker <= 0xD8 or marker == 0x01:
            offset += 2
        else:
            offset += 2 + int(struct.unpack_from(">H", head, offset + 2)[0])
    return None


def _parse_jpeg2000(head: bytes) -> DeclaredSize | None:
    offset = head.find(b"\xff\x4f\xff\x51")
    if offset < 0:
        return None
    right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">6I", head, offset + 8)
    components, depth = struct.unpack_from(">HB", head, offset + 40)
    height, width = max(0, bottom - top), max(0, right - left)
    tiles = -(-width // max(1, tile_width)) * -(-height // max(1, tile_height))
    return DeclaredSize(height, width, components, (depth & 0x7F) + 1, tiles)


def _parse_png(head: bytes) -> DeclaredSize | None:
    if head[12:16] != b"IHDR":
        return None
    width, height, bits, color = struct.unpack_from(">IIBB", head, 16)
    return DeclaredSize(height, width, {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(color, 4), bits)


def _parse_webp(head: bytes) -> DeclaredSize | None:
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


def _parse_jpegxr(head: bytes) -> DeclaredSize | None:
    (offset,) = struct.unpack_from("<I", head, 4)
    (count,) = struct.unpack_from("<H", head, offset)
    sides = {}
    for number in range(min(count, 64)):
        tag, kind, _, value = struct.unpack_from("<HHII", head, offset + 2 + 12 * number)
        sides[tag] = value & 0xFFFF if kind == 3 else value
        if tag not in JPEGXR_TAGS or (tag == ORIENTATION_TAG and value):
            return None  # the decoder would print a warning, and ignore the orientation
    return DeclaredSize(sides[0xBC81], sides[0xBC80]) if {0xBC80, 0xBC81} <= set(sides) else None


def _parse_jpegxl(head: bytes) -> DeclaredSize | None:
    """Size header of the codestream, which is bare or in the first `jxlc` or `jxlp` box."""
    if head[:2] != b"\xff\x0a":
        offset = head.find(b"jxlc")
        if offset < 0:
            offset = head.find(b"jxlp")
            offset = offset + 4 if offset >= 0 else offset
        if offset < 0:
            return None
        head = head[offset + 4 :]
    bits = _BitReader(head[2:40])
    small = bits.read(1)
    height = _read_side(bits, small)
    ratio = bits.read(3)
    if ratio:
        numerator, denominator = RATIOS[ratio]
        return DeclaredSize(height, height * numerator // denominator)
    return DeclaredSize(height, _read_side(bits, small))


def _read_side(bits: _BitReader, small: int) -> int:
    if small:
        return 8 * (bits.read(5) + 1)
    return bits.read((9, 13, 18, 30)[bits.read(2)]) + 1


class _BitReader:
    def __init__(self, content: bytes) -> None:
        self.remaining = int.from_bytes(content, "little")

    def read(self, count: int) -> int:
        value = self.remaining & ((1 << count) - 1)
        self.remaining >>= count
        return value
