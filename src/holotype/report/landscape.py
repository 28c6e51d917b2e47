"""The map of embeddings: dots in the colours of classes, and one sheet of small pictures."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape
from io import BytesIO
from math import ceil, sqrt
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from holotype.report.gallery import composite
from holotype.report.pictured import MapContents
from holotype.report.svg import element
from holotype.report.words import visible

__all__ = ["landscape"]

COLOURS = 10
SIDE, MARGIN, FLATTEST = 640, 14, 0.45
CELLS = (96, 80, 64, 56, 48, 40, 32, 24, 16)
SHEET_BYTES = 1_500_000
QUALITY = 82


def landscape(contents: MapContents | None, channels: Sequence[str] | None) -> dict[str, Any] | None:
    """The drawing, its legend and its sheet of pictures.

    Args:
        contents: What is known of the samples; None where there is no map.
        channels: The channels' names.
    """
    if contents is None or not len(contents.ids):
        return None
    counts = Counter(name for labels in contents.labels for name in labels)
    coloured = [name for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:COLOURS]]
    colours = [_colour(labels, coloured, counts) for labels in contents.labels]
    # What says least is drawn first, mistakes last.
    order = sorted(range(len(colours)), key=lambda row: (contents.wrong[row], colours[row] is not None, row))
    dots = [_dot(contents, row, colours[row]) for row in order]
    sheet, columns = _sheet(contents.pixels, channels)
    drawing = element(
        "svg", *dots, class_="map", viewBox=_window(contents.places), role="img",
        aria_label=f"{len(dots)} samples as the network sees them, in the colours of their classes",
    )  # fmt: skip
    return {
        "contents": contents,
        "drawing": Markup(drawing),
        "count": len(dots),
        "tests": int(contents.test.sum()),
        "wrongs": int(contents.wrong.sum()),
        "legend": [{"name": name, "number": number, "count": colours.count(number)}
                   for number, name in enumerate(coloured)],
        "others": colours.count(None),
        "several": any(len(labels) > 1 for labels in contents.labels),
        "sheet": Markup(sheet),
        "columns": columns,
        "rows": ceil(len(dots) / columns),
    }  # fmt: skip


def _colour(labels: Sequence[str], coloured: Sequence[str], counts: Counter[str]) -> int | None:
    """Of several labels the rarest that has a colour, since common ones say least."""
    own = [name for name in labels if name in coloured]
    return coloured.index(min(own, key=lambda name: counts[name])) if own else None


def _window(places: NDArray[np.float32]) -> str:
    """The part of the square that holds the dots, not much flatter than a photograph."""
    ends = [MARGIN + (1 - float(value)) / 2 * (SIDE - 2 * MARGIN) for value in (places[:, 1].max(), places[:, 1].min())]
    height = max(ends[1] - ends[0] + 2 * MARGIN, FLATTEST * SIDE)
    return f"0 {(ends[0] + ends[1] - height) / 2:.0f} {SIDE} {height:.0f}"


def _dot(contents: MapContents, row: int, colour: int | None) -> str:
    across, down = (
        MARGIN + (1 + sign * float(value)) / 2 * (SIDE - 2 * MARGIN)
        for sign, value in zip((1, -1), contents.places[row], strict=True)
    )
    name = "" if colour is None else f" map-{colour}"
    kinds = f"{name}{' test' if contents.test[row] else ''}{' wrong' if contents.wrong[row] else ''}".strip()
    said = ", ".join(contents.labels[row]) or "no label"
    words = f"to predict, decided: {said}" if contents.test[row] else said
    if contents.wrong[row]:
        words += f"\ndecided: {', '.join(contents.decided[row]) or 'no label'}"
    return (
        f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4"{f" class={_quoted(kinds)}" if kinds else ""} '
        f'data-cell="{row}" data-id={_quoted(contents.ids[row])} data-said={_quoted(words, keep=chr(10))}/>'
    )


def _quoted(text: str, keep: str = "") -> str:
    return f'"{escape(visible(text, keep=keep))}"'


def _edge_color(picture: Image.Image) -> tuple[int, ...]:
    """The median color of a picture's edges, in which an oblong one stands."""
    pixels = np.asarray(picture)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return tuple(int(value) for value in np.median(edges, axis=0))


def _sheet(pixels: NDArray[Any], channels: Sequence[str] | None) -> tuple[str, int]:
    """All small pictures in one, row by row, as large as a number of bytes allows; and how many stand in a row."""
    columns = ceil(sqrt(len(pixels)))
    made = [Image.fromarray(composite(image, channels)).convert("RGB") for image in pixels]
    text = ""
    for cell in CELLS:
        if cell > max(pixels.shape[2:]) and cell != CELLS[-1]:
            continue
        sheet = Image.new("RGB", (columns * cell, ceil(len(made) / columns) * cell))
        for number, image in enumerate(made):
            small = image.copy()
            small.thumbnail((cell, cell), Image.Resampling.LANCZOS)
            across, down = number % columns * cell, number // columns * cell
            sheet.paste(_edge_color(small), (across, down, across + cell, down + cell))
            sheet.paste(small, (across + (cell - small.width) // 2, down + (cell - small.height) // 2))
        stream = BytesIO()
        sheet.save(stream, format="WEBP", quality=QUALITY)
        text = "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
        if len(text) <= SHEET_BYTES:
            break
    return text, columns
