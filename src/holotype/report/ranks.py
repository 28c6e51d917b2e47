"""Scores by rank: how often species, genus and family are right, of all samples and of the surest."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from holotype.report.charts import axis_strip, interval_strip
from holotype.report.contents import ReportContents
from holotype.report.svg import Scale, element, nice_scale, tick_label, title
from holotype.report.words import finite, percent, score

__all__ = ["by_rank"]

WIDTH, HEIGHT = 440, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 16, 12, 40
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
STYLES = 7


def by_rank(contents: ReportContents) -> dict[str, Any] | None:
    """A row a rank with its interval, and the curves of accuracy against the share that is answered.

    Args:
        contents: What the report is made of; nothing to show without a taxonomy.
    """
    levels, backs = contents.scorecard.levels, contents.scorecard.back_off
    if not levels:
        return None
    scale = nice_scale([one[end] for one in levels for end in ("accuracy", "low", "high")], count=3)
    rows = [
        {
            "name": one["rank"], "style": f"line-{number % STYLES}", "classes": one["classes"],
            "accuracy": score(one["accuracy"]), "between": f"{score(one['low'])} to {score(one['high'])}",
            "macro_f1": score(one["macro_f1"]), "hierarchical_f1": score(one["hierarchical_f1"]),
            "strip": Markup(interval_strip(one["accuracy"], one["low"], one["high"], scale, name=one["rank"])),
        }
        for number, one in enumerate(levels)
    ]  # fmt: skip
    answered = [
        {
            "name": one["rank"], "share": percent(one["share"]), "right": _share(one["right"]),
            "coverage": percent(one["coverage"]), "accuracy": _share(one["accuracy"]),
            "between": "" if one["low"] is None else f"{percent(one['low'])} to {percent(one['high'])}",
        }
        for one in backs
    ]  # fmt: skip
    return {
        "rows": rows, "axis": Markup(axis_strip(scale)), "plot": Markup(_plot(levels, backs)), "answered": answered,
        "target": percent(backs[0]["target"]) if backs else "",
    }  # fmt: skip


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _plot(levels: list[dict[str, Any]], backs: list[dict[str, Any]]) -> str:
    """A line a rank over the share of samples, the surest first, and a ring for each rank that is backed off to."""
    rings = [one for one in backs if one["share"] and one["accuracy"] is not None]
    values = [point["accuracy"] for one in levels for point in one["curve"]]
    target = [one["target"] for one in rings[:1]]
    scale = nice_scale([*values, *(one["accuracy"] for one in rings), *target, 1.0], count=4)
    marks = []
    for tick in scale.ticks:
        height = _down(tick, scale)
        marks += [element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="grid")]
        marks += [element("text", tick_label(tick), x=LEFT - 6, y=height + 3.5, text_anchor="end", class_="tick")]
    for share in SHARES:
        across = _across(share)
        marks += [element("text", percent(share), x=across, y=HEIGHT - 22, text_anchor="middle", class_="tick")]
    middle = _across(0.5)
    marks += [element("text", "right", x=LEFT - 6, y=TOP - 3, text_anchor="end", class_="tick")]
    marks += [element("text", "samples answered", x=middle, y=HEIGHT - 5, text_anchor="middle", class_="tick")]
    for height in (_down(one, scale) for one in target):
        marks += [element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="reference")]
    for number, one in reversed(list(enumerate(levels))):  # far ones below and wider, since lines often coincide
        points = [(point["coverage"], point["accuracy"]) for point in one["curve"] if finite([point["accuracy"]])]
        path = "L".join(f"{_across(share):.1f} {_down(right, scale):.1f}" for share, right in points)
        words = f"{one['rank']}\nall: {score(one['accuracy'])}"
        end = "".join(element("circle", cx=_across(x), cy=_down(y, scale), r=2.5) for x, y in points[-1:])
        line = element("path", d=f"M{path}") if path else ""
        marks += [element("g", title(words), line, end, class_=f"line line-{number % STYLES} under-{min(number, 2)}")]
    names = [one["rank"] for one in levels]
    for one in rings:
        words = f"{one['rank']} or nearer\n{percent(one['coverage'])} answered, {percent(one['accuracy'])} right"
        ring = element("circle", title(words), cx=_across(one["coverage"]), cy=_down(one["accuracy"], scale), r=6)
        style = names.index(one["rank"]) % STYLES if one["rank"] in names else 0
        marks += [element("g", ring, class_=f"ring line-{style}")]
    label = "Accuracy against the share of samples answered"
    return element("svg", *marks, class_="curve", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def _across(share: float) -> float:
    return LEFT + 6 + float(share) * (WIDTH - RIGHT - LEFT - 12)


def _down(value: float, scale: Scale) -> float:
    return TOP + (1 - scale.share(value)) * (HEIGHT - BOTTOM - TOP)
