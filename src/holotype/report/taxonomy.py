"""Scores by taxonomic rank, and accuracy against coverage."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from holotype.report.charts import axis_strip, interval_strip
from holotype.report.formatting import finite, format_score, percent
from holotype.report.report_data import ReportData
from holotype.report.svg import Scale, element, nice_scale, tick_label, title

WIDTH, HEIGHT = 440, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 16, 24, 40
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
STYLES = 7


def by_rank(contents: ReportData) -> dict[str, Any] | None:
    """One row per rank with its interval, and the accuracy-coverage curves; None without a taxonomy."""
    levels, backs = contents.scorecard.ranks, contents.scorecard.back_off
    if not levels:
        return None
    scale = nice_scale([entry[end] for entry in levels for end in ("accuracy", "low", "high")], count=3)
    rows = [
        {
            "name": entry["rank"],
            "style": f"line-{number % STYLES}",
            "classes": entry["classes"],
            "accuracy": format_score(entry["accuracy"]),
            "between": f"{format_score(entry['low'])} to {format_score(entry['high'])}",
            "macro_f1": format_score(entry["macro_f1"]),
            "hierarchical_f1": format_score(entry["hierarchical_f1"]),
            "strip": Markup(interval_strip(entry["accuracy"], entry["low"], entry["high"], scale, name=entry["rank"])),
        }
        for number, entry in enumerate(levels)
    ]
    answered = [
        {
            "name": entry["rank"],
            "share": percent(entry["share"]),
            "right": _format_share(entry["right"]),
            "coverage": percent(entry["coverage"]),
            "accuracy": _format_share(entry["accuracy"]),
            "between": "" if entry["low"] is None else f"{percent(entry['low'])} to {percent(entry['high'])}",
        }
        for entry in backs
    ]
    return {
        "rows": rows,
        "axis": Markup(axis_strip(scale)),
        "plot": Markup(_render_plot(levels, backs)),
        "answered": answered,
        "target": percent(backs[0]["target"]) if backs else "",
    }


def _format_share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _render_plot(levels: list[dict[str, Any]], backs: list[dict[str, Any]]) -> str:
    rings = [entry for entry in backs if entry["share"] and entry["accuracy"] is not None]
    values = [point["accuracy"] for entry in levels for point in entry["curve"]]
    target = [entry["target"] for entry in rings[:1]]
    scale = nice_scale([*values, *(entry["accuracy"] for entry in rings), *target, 1.0], count=4)
    marks = []
    for tick in scale.ticks:
        height = _y_position(tick, scale)
        marks += [element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="grid")]
        marks += [element("text", tick_label(tick), x=LEFT - 6, y=height + 3.5, text_anchor="end", class_="tick")]
    for share in SHARES:
        across = _x_position(share)
        marks += [element("text", percent(share), x=across, y=HEIGHT - 22, text_anchor="middle", class_="tick")]
    middle = _x_position(0.5)
    marks += [element("text", "accuracy", x=0, y=10, class_="tick")]
    marks += [element("text", "coverage", x=middle, y=HEIGHT - 5, text_anchor="middle", class_="tick")]
    for height in (_y_position(entry, scale) for entry in target):
        marks += [element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="reference")]
    for number, entry in reversed(list(enumerate(levels))):  # far ones below and wider, since lines often coincide
        points = [(point["coverage"], point["accuracy"]) for point in entry["curve"] if finite([point["accuracy"]])]
        path = "L".join(f"{_x_position(share):.1f} {_y_position(right, scale):.1f}" for share, right in points)
        words = f"{entry['rank']}\nall: {format_score(entry['accuracy'])}"
        end = "".join(element("circle", cx=_x_position(x), cy=_y_position(y, scale), r=2.5) for x, y in points[-1:])
        line = element("path", d=f"M{path}") if path else ""
        marks += [element("g", title(words), line, end, class_=f"line line-{number % STYLES} under-{min(number, 2)}")]
    names = [entry["rank"] for entry in levels]
    for entry in rings:
        words = (
            f"{entry['rank']} and below\ncoverage {percent(entry['coverage'])}, accuracy {percent(entry['accuracy'])}"
        )
        ring = element(
            "circle", title(words), cx=_x_position(entry["coverage"]), cy=_y_position(entry["accuracy"], scale), r=6
        )
        style = names.index(entry["rank"]) % STYLES if entry["rank"] in names else 0
        marks += [element("g", ring, class_=f"ring line-{style}")]
    label = "Accuracy against coverage"
    return element("svg", *marks, class_="curve", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def _x_position(share: float) -> float:
    return LEFT + 6 + float(share) * (WIDTH - RIGHT - LEFT - 12)


def _y_position(value: float, scale: Scale) -> float:
    return TOP + (1 - scale.share(value)) * (HEIGHT - BOTTOM - TOP)
