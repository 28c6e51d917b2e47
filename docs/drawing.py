"""Helpers for the figures of the pages: colors, text and SVG files."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

PAPER, PANEL, INK, SOFT, LINE = "#fbfaf7", "#ffffff", "#1a1c1e", "#5f6368", "#e5e2db"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#00795a"
COLORS = (BLUE, "#e08e00", "#009e73", "#c2609a", "#4aa3dc", ORANGE, "#7a7a7a")
FONT = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"


def save_small(picture: Image.Image, path: Path) -> None:
    """Save a picture as PNG with 256 colors."""
    few = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    few.save(path, optimize=True)


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    """Compose an SVG file with a light background, so that it is legible on dark pages as well.

    Args:
        width: Pixels.
        height: Pixels.
        title: Title for screen readers.
        parts: SVG elements.
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="{FONT}" font-size="13">'
    )
    ground = f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>\n"])


def words(x: float, y: float, text: str, **style: Any) -> str:
    """Text element of an SVG file.

    Args:
        x: Start of the text, or its anchor.
        y: Baseline.
        **style: SVG attributes, with `_` for `-`.
    """
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in ({"fill": INK} | style).items())
    return f'<text x="{x:g}" y="{y:g}"{attributes}>{escape(text)}</text>'
