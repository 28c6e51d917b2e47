"""Line charts of training histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from holotype.report.formatting import finite
from holotype.report.svg import Scale, element, nice_scale, tick_label, title

WIDTH, HEIGHT = 320, 200
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 22, 38


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Args:
        values: One number per epoch; None for a gap.
        style: Class in the style sheet (`line-0` to `line-6`, `train`, `validation`).
    """

    name: str
    values: tuple[float | None, ...]
    style: str


def line_chart(
    lines: Sequence[Series], label: str, starts: Sequence[int] = (), within: Scale | None = None, upwards: str = "loss"
) -> str:
    """Line chart over epochs. `starts`: epochs, from 0, at which a phase starts; drawn as dotted lines."""
    epochs = max((len(line.values) for line in lines), default=0)
    scale = within or nice_scale([value for line in lines for value in line.values], count=4)
    marks = _render_axes(scale, epochs, upwards)
    for start in starts:
        across = _x_position(start - 0.5, epochs)
        marks += [element("line", x1=across, x2=across, y1=TOP, y2=HEIGHT - BOTTOM, class_="phase")]
    for line in lines:
        marks += [_render_line(line, scale, epochs)]
    return element("svg", *marks, class_="curve", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def series_of(history: pl.DataFrame, column: str, name: str, style: str) -> Series:
    """Column of a history as a line; empty if the column is missing."""
    values = history[column].cast(pl.Float64, strict=False).to_list() if column in history.columns else []
    return Series(name, tuple(value if finite([value]) else None for value in values), style)


def phase_starts(history: pl.DataFrame) -> tuple[int, ...]:
    """Rows at which a new phase starts, except the first."""
    phases = history["phase"].to_list() if "phase" in history.columns else []
    return tuple(row for row in range(1, len(phases)) if phases[row] != phases[row - 1])


def _render_axes(scale: Scale, epochs: int, upwards: str) -> list[str]:
    marks = [element("text", upwards, x=LEFT - 6, y=9, text_anchor="end", class_="tick")]
    for tick in scale.ticks:
        height = _y_position(tick, scale)
        marks += [element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="grid")]
        marks += [element("text", tick_label(tick), x=LEFT - 6, y=height + 3.5, text_anchor="end", class_="tick")]
    for epoch in sorted({1, (epochs + 1) // 2, epochs} - {0}) if epochs else []:
        across = _x_position(epoch - 1, epochs)
        marks += [element("text", str(epoch), x=across, y=HEIGHT - 22, text_anchor="middle", class_="tick")]
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*marks, element("text", "epoch", x=middle, y=HEIGHT - 6, text_anchor="middle", class_="tick")]


def _render_line(line: Series, scale: Scale, epochs: int) -> str:
    points = [
        None if value is None else (_x_position(epoch, epochs), _y_position(value, scale))
        for epoch, value in enumerate(line.values)
    ]
    defined_points = [point for point in points if point is not None]
    if not defined_points:
        return ""
    path, pen_is_up = [], True
    for point in points:
        if point is not None:
            path += [f"{'M' if pen_is_up else 'L'}{point[0]:.1f} {point[1]:.1f}"]
        pen_is_up = point is None
    end = element("circle", cx=defined_points[-1][0], cy=defined_points[-1][1], r=2.5)
    return element("g", title(line.name), element("path", d="".join(path)), end, class_=f"line {line.style}")


def _x_position(epoch: float, epochs: int) -> float:
    share = 0.5 if epochs == 1 else epoch / (epochs - 1)
    return LEFT + 6 + share * (WIDTH - RIGHT - LEFT - 12)


def _y_position(value: float, scale: Scale) -> float:
    return TOP + (1 - scale.share(value)) * (HEIGHT - TOP - BOTTOM)
