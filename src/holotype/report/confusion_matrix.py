"""Confusion matrix as an SVG heat map: rows are true classes, columns predicted ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from holotype.report.formatting import escape_control, percent, truncate
from holotype.report.svg import element, text_width

MAX_LABELED = 40
MAX_NUMBERED = 20
MAX_TITLED_CELLS = 6_000  # the largest counts carry words for the pointer; a thousand classes would be a wall of them
LEVELS = 12
CELLS = ((10, 46.0), (MAX_NUMBERED, 34.0), (MAX_LABELED, 20.0))  # up to so many classes, pixels of a cell
FONT_SIZE = 11.5  # of `.heat .name` in style.css
ANGLE = 50.0  # degrees by which the column names are turned


def row_normalize(counts: NDArray[np.int64], supports: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Confusion matrix with rows as shares of the class; a class without samples is a row of zeros.

    `counts`: shape (classes, classes); `supports`: samples of each class, shape (classes,); default: the row sums (one
    label per sample). Returns shares from 0 to 1, shape (classes, classes).
    """
    totals = counts.sum(axis=1) if supports is None else np.maximum(supports, counts.max(axis=1, initial=0))
    return counts / np.maximum(totals, 1)[:, None]


def confusion_matrix_svg(
    counts: NDArray[np.int64], shares: NDArray[np.float64], names: Sequence[str], errors: bool
) -> str:
    """Confusion matrix as SVG; names are written for up to 40 classes.

    `counts`: samples by (true, predicted) class, shape (classes, classes); `shares`: row-normalized counts, shape
    (classes, classes); `errors`: color the cells off the diagonal as errors (one label per sample).
    """
    size = len(names)
    cell = next((pixels for up_to, pixels in CELLS if size <= up_to), max(3.0, 640 / max(size, 1)))
    is_labeled = size <= MAX_LABELED
    widths = [text_width(truncate(name, 22), FONT_SIZE) for name in names] if is_labeled else []
    left = max(widths, default=0.0) + 10 if is_labeled else 1.0
    top = max(widths, default=0.0) * math.sin(math.radians(ANGLE)) + 16 if is_labeled else 1.0
    side = size * cell
    # A turned name begins 3 px right of the middle of its column.
    ends = [(index + 0.5) * cell + 5 + width * math.cos(math.radians(ANGLE)) for index, width in enumerate(widths)]
    right = max([2.0, *(end - side for end in ends)])
    marks = [element("rect", x=left, y=top, width=side, height=side, class_="board")]
    marks += _grid_lines(size, cell, left, top) if is_labeled else []
    marks += _render_cells(counts, shares, names, (cell, left, top), errors)
    marks += _axis_labels(names, cell, left, top) if is_labeled else []
    width, height = left + side + right, top + side + 2
    return element(
        "svg",
        *marks,
        class_="heat",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        style=f"width:{width:.0f}px;min-width:{min(width, 30 * size + left):.0f}px" if is_labeled else "width:100%",
        role="img",
        aria_label="True classes in rows, predicted classes in columns",
    )


def _render_cells(
    counts: NDArray[np.int64],
    shares: NDArray[np.float64],
    names: Sequence[str],
    geometry: tuple[float, float, float],
    errors: bool,
) -> list[str]:
    cell, left, top = geometry
    rows, columns = np.nonzero(counts)
    order = np.argsort(-counts[rows, columns], kind="stable")
    safe = [escape(escape_control(name)) for name in names]
    gap = 1.0 if cell >= 10 else 0.0
    named, unnamed = order[:MAX_TITLED_CELLS], order[MAX_TITLED_CELLS:]
    marks = []
    for index in named:
        row, column = int(rows[index]), int(columns[index])
        share = float(shares[row, column])
        x, y = left + column * cell + gap / 2, top + row * cell + gap / 2
        count = f"{int(counts[row, column]):,} samples, {escape(percent(share))} of {safe[row]}"
        words = f"{safe[row]} → {safe[column]}\n{count}"
        marks += [
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell - gap:.1f}" height="{cell - gap:.1f}" '
            f'class="{_cell_kind(row, column, errors)}" '
            f'fill-opacity="{_opacity(share):.2f}"><title>{words}</title></rect>'
        ]
        if len(names) <= MAX_NUMBERED and share >= 0.01:
            strong = " strong" if _opacity(share) > 0.58 else ""
            text_position = f'x="{x + (cell - gap) / 2:.1f}" y="{y + cell / 2 + 3:.1f}"'
            marks += [f'<text {text_position} class="share{strong}">{100 * share:.0f}</text>']
    return marks + _merge_cells(shares, rows[unnamed], columns[unnamed], geometry, errors)


def _merge_cells(
    shares: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    geometry: tuple[float, float, float],
    errors: bool,
) -> list[str]:
    """Small cells merged into one path per level and kind: a dozen bytes per cell instead of two hundred."""
    cell, left, top = geometry
    paths: dict[tuple[str, int], list[str]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        level = max(1, round(_opacity(float(shares[row, column])) * LEVELS))
        square = f"M{left + column * cell:.1f} {top + row * cell:.1f}h{cell:.1f}v{cell:.1f}h-{cell:.1f}z"
        paths.setdefault((_cell_kind(row, column, errors), level), []).append(square)
    return [
        element("path", d="".join(squares), class_=kind, fill_opacity=level / LEVELS)
        for (kind, level), squares in sorted(paths.items())
    ]


def _cell_kind(row: int, column: int, errors: bool) -> str:
    return "hit" if row == column else "miss" if errors else "both"


def _opacity(share: float) -> float:
    """Opacity of a share: its square root, so that an error of 1 % is visible."""
    return min(1.0, 0.06 + 0.94 * max(share, 0.0) ** 0.5)


def _grid_lines(size: int, cell: float, left: float, top: float) -> list[str]:
    side = size * cell
    steps = [index * cell for index in range(size + 1)]
    across = [element("line", x1=left, x2=left + side, y1=top + step, y2=top + step, class_="grid") for step in steps]
    down = [element("line", x1=left + step, x2=left + step, y1=top, y2=top + side, class_="grid") for step in steps]
    return across + down


def _axis_labels(names: Sequence[str], cell: float, left: float, top: float) -> list[str]:
    marks = []
    for index, name in enumerate(names):
        text = escape(truncate(name, 22))
        middle = (index + 0.5) * cell
        marks += [element("text", text, x=left - 7, y=top + middle + 4, text_anchor="end", class_="name")]
        x, y = left + middle + 3, top - 6
        marks += [element("text", text, x=x, y=y, transform=f"rotate(-{ANGLE:g} {x:.1f} {y:.1f})", class_="name")]
    return marks
