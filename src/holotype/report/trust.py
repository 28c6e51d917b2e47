"""How far the scores can be believed, and where they come from: reliability, members, what a stack looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from holotype.report.charts import bar_strip
from holotype.report.contents import ReportContents
from holotype.report.svg import element, title
from holotype.report.words import percent, score

__all__ = ["reliability", "together"]

SIDE, MARGIN, TOP = 264, 52, 10
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
LARGEST, SMALLEST = 8.0, 2.0
COLUMNS_SHOWN = 12


def reliability(contents: ReportContents) -> dict[str, Any] | None:
    """How sure the scores were against how often they were right.

    Args:
        contents: What the report is made of.
    """
    table = contents.reliability
    if table is None or not np.nansum(table[:, 2]):
        return None
    known = table[np.isfinite(table[:, 0]) & (table[:, 2] > 0)]
    sure, right, count = known.T
    gap = float(((sure - right) * count).sum() / count.sum())
    off = float((np.abs(sure - right) * count).sum() / count.sum())
    if abs(gap) < 0.02:
        words = "On the whole they can be taken at their word"
    else:
        words = f"They are on the whole {percent(abs(gap))} too {'high' if gap > 0 else 'low'}"
    return {"plot": Markup(_plot(known)), "words": words, "error": score(off), "count": int(count.sum())}


def _plot(known: NDArray[np.float64]) -> str:
    height = SIDE + TOP + 40
    marks = []
    for tick in TICKS:
        across, down = _across(tick), _down(tick)
        marks += [element("line", x1=MARGIN, x2=MARGIN + SIDE, y1=down, y2=down, class_="grid")]
        marks += [element("text", percent(tick), x=MARGIN - 6, y=down + 3.5, text_anchor="end", class_="tick")]
        marks += [element("text", percent(tick), x=across, y=TOP + SIDE + 16, text_anchor="middle", class_="tick")]
    marks += [element("text", "how sure", x=_across(0.5), y=TOP + SIDE + 33, text_anchor="middle", class_="tick")]
    turned = {"transform": f"rotate(-90 9 {_down(0.5):.1f})", "text_anchor": "middle", "class_": "tick"}
    marks += [element("text", "how often right", x=9, y=_down(0.5), **turned)]
    marks += [element("line", x1=_across(0), y1=_down(0), x2=_across(1), y2=_down(1), class_="reference")]
    path = "L".join(f"{_across(sure):.1f} {_down(right):.1f}" for sure, right, _ in known)
    marks += [element("g", element("path", d=f"M{path}"), class_="line line-0")]
    most = known[:, 2].max()
    for sure, right, count in known:
        words = f"{percent(sure)} sure, {percent(right)} right\n{int(count):,} scores"
        radius = max(SMALLEST, LARGEST * float(np.sqrt(count / most)))
        marks += [element("circle", title(words), cx=_across(sure), cy=_down(right), r=radius, class_="dot")]
    box = f"0 0 {MARGIN + SIDE + 20} {height}"
    return element("svg", *marks, class_="curve reliability", viewBox=box, role="img", aria_label="Reliability")


def together(contents: ReportContents) -> dict[str, Any] | None:
    """How much each member counts, how alike members are, and what a stack looks at.

    Args:
        contents: What the report is made of; nothing to show of one member without a stack.
    """
    made = contents.ensemble
    if made is None or (len(made.weights) < 2 and not made.importance):
        return None
    largest = max([*made.weights.values(), 1e-12])
    weights = [
        {"name": name, "value": percent(weight), "strip": Markup(bar_strip(weight, largest))}
        for name, weight in made.weights.items()
    ]
    first = list(made.importance.items())[:COLUMNS_SHOWN]
    columns = [
        {"name": name, "value": percent(share), "strip": Markup(bar_strip(share, first[0][1]))} for name, share in first
    ]
    return {
        "kind": made.kind, "weights": weights, "parts": made.parts, "pairs": made.pairs, "columns": columns,
        "left_out": len(made.importance) - len(columns),
    }  # fmt: skip


def _across(value: float) -> float:
    return MARGIN + SIDE * float(value)


def _down(value: float) -> float:
    return TOP + SIDE * (1 - float(value))
