"""What the drawn pictures of the pages share: colours, text and the paper they lie on."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

PAPER, PANEL, INK, SOFT, LINE = "#fbfaf7", "#ffffff", "#1a1c1e", "#5f6368", "#e5e2db"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#00795a"
COLOURS = (BLUE, "#e08e00", "#009e73", "#c2609a", "#4aa3dc", ORANGE, "#7a7a7a")
FONT = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"


def save_small(picture: Image.Image, place: Path) -> None:
    """A PNG of 256 colours.

    Args:
        picture: Any.
        place: Where to.
    """
    few = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    few.save(place, optimize=True)


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    """A drawing on paper of its own, so that it reads on a dark page as well.

    Args:
        width: In pixels.
        height: In pixels.
        title: What it shows.
        parts: Its elements.
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="{FONT}" font-size="13">'
    )
    ground = f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>\n"])


def words(x: float, y: float, text: str, **style: Any) -> str:
    """A line of text in a drawing.

    Args:
        x: Its start.
        y: Its base line.
        text: What it says.
        **style: Attributes, `_` for `-`.
    """
    told = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in ({"fill": INK} | style).items())
    return f'<text x="{x:g}" y="{y:g}"{told}>{escape(text)}</text>'
