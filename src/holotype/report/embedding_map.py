"""Embedding map: dots in the colors of classes, and one sprite sheet of thumbnails."""

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

from holotype.report.examples import EmbeddingMapData
from holotype.report.formatting import escape_control
from holotype.report.render import composite
from holotype.report.svg import element

MAX_COLORS = 10
SIDE, MARGIN, FLATTEST = 640, 14, 0.45
CELLS = (96, 80, 64, 56, 48, 40, 32, 24, 16)
SHEET_BYTES = 1_500_000
QUALITY = 82


def embedding_map_svg(contents: EmbeddingMapData | None, channels: Sequence[str] | None) -> dict[str, Any] | None:
    """Drawing of the embedding map, its legend and its sprite sheet; None without a map."""
    if contents is None or not len(contents.ids):
        return None
    counts = Counter(name for labels in contents.labels for name in labels)
    colored_classes = [name for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_COLORS]]
    colors = [_color_number(labels, colored_classes, counts) for labels in contents.labels]
    # What says least is drawn first, mistakes last.
    order = sorted(range(len(colors)), key=lambda row: (contents.wrong[row], colors[row] is not None, row))
    dots = [_render_dot(contents, row, colors[row]) for row in order]
    sheet, columns = _sprite_sheet(contents.pixels, channels)
    drawing = element(
        "svg",
        *dots,
        class_="map",
        viewBox=_view_box(contents.positions),
        role="img",
        aria_label=f"{len(dots)} embeddings of samples, in the colors of their classes",
    )
    return {
        "contents": contents,
        "drawing": Markup(drawing),
        "count": len(dots),
        "tests": int(contents.test.sum()),
        "wrongs": int(contents.wrong.sum()),
        "legend": [
            {"name": name, "number": number, "count": colors.count(number)}
            for number, name in enumerate(colored_classes)
        ],
        "others": colors.count(None),
        "several": any(len(labels) > 1 for labels in contents.labels),
        "sheet": Markup(sheet),
        "columns": columns,
        "rows": ceil(len(dots) / columns),
    }


def _color_number(labels: Sequence[str], colored_classes: Sequence[str], counts: Counter[str]) -> int | None:
    """Color of a sample: of several labels the rarest with a color, because common labels say least."""
    candidates = [name for name in labels if name in colored_classes]
    return colored_classes.index(min(candidates, key=lambda name: counts[name])) if candidates else None


def _view_box(positions: NDArray[np.float32]) -> str:
    ends = [
        MARGIN + (1 - float(value)) / 2 * (SIDE - 2 * MARGIN)
        for value in (positions[:, 1].max(), positions[:, 1].min())
    ]
    height = max(ends[1] - ends[0] + 2 * MARGIN, FLATTEST * SIDE)
    return f"0 {(ends[0] + ends[1] - height) / 2:.0f} {SIDE} {height:.0f}"


def _render_dot(contents: EmbeddingMapData, row: int, color: int | None) -> str:
    across, down = (
        MARGIN + (1 + sign * float(value)) / 2 * (SIDE - 2 * MARGIN)
        for sign, value in zip((1, -1), contents.positions[row], strict=True)
    )
    name = "" if color is None else f" map-{color}"
    kinds = f"{name}{' test' if contents.test[row] else ''}{' wrong' if contents.wrong[row] else ''}".strip()
    label_text = ", ".join(contents.labels[row]) or "no label"
    words = f"to predict, predicted: {label_text}" if contents.test[row] else label_text
    if contents.wrong[row]:
        words += f"\npredicted: {', '.join(contents.decided[row]) or 'no label'}"
    return (
        f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4"{f" class={_quote_attribute(kinds)}" if kinds else ""} '
        f'data-cell="{row}" data-id={_quote_attribute(contents.ids[row])} '
        f"data-text={_quote_attribute(words, keep=chr(10))}/>"
    )


def _quote_attribute(text: str, keep: str = "") -> str:
    return f'"{escape(escape_control(text, keep=keep))}"'


def _edge_color(picture: Image.Image) -> tuple[int, ...]:
    pixels = np.asarray(picture)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return tuple(int(value) for value in np.median(edges, axis=0))


def _sprite_sheet(pixels: NDArray[Any], channels: Sequence[str] | None) -> tuple[str, int]:
    columns = ceil(sqrt(len(pixels)))
    thumbnails = [Image.fromarray(composite(image, channels)).convert("RGB") for image in pixels]
    text = ""
    for cell in CELLS:
        if cell > max(pixels.shape[2:]) and cell != CELLS[-1]:
            continue
        sheet = Image.new("RGB", (columns * cell, ceil(len(thumbnails) / columns) * cell))
        for number, image in enumerate(thumbnails):
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
