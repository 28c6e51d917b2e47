"""File format detection by the first bytes, independent of the file's suffix."""

from __future__ import annotations

import re

HEAD = 4_096  # bytes needed to detect a format
MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"\xff\x0a", "jxl"),
    (b"II\xbc", "jxr"),
    (b"%PDF", "pdf"),
    (b"%!PS", "eps"),
    (b"8BPS", "psd"),
    (b"\x89HDF", "hdf5"),
    (b"\x1f\x8b", "gzip"),
    (b"IIU\0", "raw"),
    (b"IIRO", "raw"),
    (b"FUJIFILM", "raw"),
    (b"SIMPLE  =", "fits"),
    (b"v/1\x01", "exr"),
)
BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "heic"),
    b"crx ": "raw",
}
HTML = re.compile(rb"\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)[\s>]", re.IGNORECASE | re.DOTALL)
XML = re.compile(rb"\s*<(\?xml|svg|ome|error)", re.IGNORECASE)
PILLOW_FORMATS = {
    "png": "PNG",
    "jpeg": "JPEG",
    "gif": "GIF",
    "bmp": "BMP",
    "webp": "WEBP",
    "pnm": "PPM",
    "jp2": "JPEG2000",
    "avif": "AVIF",
    "heic": "HEIF",
}
"""Formats that Pillow may open. Others are blocked: EPS, for example, would start Ghostscript."""
OTHER_FORMATS = {
    "html": "an HTML page",
    "xml": "an XML or SVG text",
    "pdf": "a PDF",
    "eps": "a PostScript file",
    "psd": "a Photoshop file",
    "hdf5": "an HDF5 file",
    "gzip": "a gzip archive",
    "zip": "a ZIP archive",
    "raw": "a camera's raw file",
    "dicom": "a DICOM file",
    "fits": "a FITS file",
    "exr": "an OpenEXR file",
    "text": "a text",
    "empty": "empty",
    "pointer": "a pointer of Git LFS and not the file itself",
}


def file_format(head: bytes) -> str:
    """Detect the format of a file.

    Returns a key of `PILLOW_FORMATS` or of `OTHER_FORMATS`; `tiff`, `npy`, `zip`, `jxl`, `jxr`; or `unknown`.
    """
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        brands = [head[8:12], *(head[start : start + 4] for start in range(16, min(64, len(head)), 4))]
        return next((BRANDS[brand] for brand in brands if brand in BRANDS), "unknown")
    if re.match(rb"P[1-7fFy]\s", head):
        return "pnm"
    if head[128:132] == b"DICM":
        return "dicom"
    if not head.strip(b"\0"):
        return "empty"
    if HTML.match(head):
        return "html"
    if XML.match(head):
        return "xml"
    if head.startswith(b"version https://git-lfs"):
        return "pointer"
    return "text" if _is_text(head) else "unknown"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter in "\r\n\t\f" for letter in text)
