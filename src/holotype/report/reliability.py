"""Calibration plot and ensemble table."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from holotype.report.charts import bar_strip
from holotype.report.formatting import format_score, percent
from holotype.report.report_data import ReportData
from holotype.report.svg import element, title

SIDE, MARGIN, TOP = 264, 52, 10
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
MAX_RADIUS, MIN_RADIUS = 8.0, 2.0
MAX_COLUMNS = 12


def reliability(contents: ReportData) -> dict[str, Any] | None:
    """Reliability diagram: predicted probability against the share of right predictions."""
    table = contents.reliability
    if table is None or not np.nansum(table[:, 2]):
        return None
    bins = table[np.isfinite(table[:, 0]) & (table[:, 2] > 0)]
    sure, right, count = bins.T
    gap = float(((sure - right) * count).sum() / count.sum())
    off = float((np.abs(sure - right) * count).sum() / count.sum())
    if abs(gap) < 0.02:
        words = "On average, the probabilities are right"
    else:
        direction = "high" if gap > 0 else "low"
        words = f"On average, the probabilities are {100 * abs(gap):.0f} percentage points too {direction}"
    return {
        "plot": Markup(_reliability_plot(bins)),
        "words": words,
        "error": format_score(off),
        "count": int(count.sum()),
    }


def _reliability_plot(bins: NDArray[np.float64]) -> str:
    height = SIDE + TOP + 40
    marks = []
    for tick in TICKS:
        across, down = _x_position(tick), _y_position(tick)
        marks += [element("line", x1=MARGIN, x2=MARGIN + SIDE, y1=down, y2=down, class_="grid")]
        marks += [element("text", percent(tick), x=MARGIN - 6, y=down + 3.5, text_anchor="end", class_="tick")]
        marks += [element("text", percent(tick), x=across, y=TOP + SIDE + 16, text_anchor="middle", class_="tick")]
    marks += [
        element(
            "text", "predicted probability", x=_x_position(0.5), y=TOP + SIDE + 33, text_anchor="middle", class_="tick"
        )
    ]
    turned = {"transform": f"rotate(-90 9 {_y_position(0.5):.1f})", "text_anchor": "middle", "class_": "tick"}
    marks += [element("text", "share right", x=9, y=_y_position(0.5), **turned)]
    marks += [
        element("line", x1=_x_position(0), y1=_y_position(0), x2=_x_position(1), y2=_y_position(1), class_="reference")
    ]
    path = "L".join(f"{_x_position(sure):.1f} {_y_position(right):.1f}" for sure, right, _ in bins)
    marks += [element("g", element("path", d=f"M{path}"), class_="line line-0")]
    largest_count = bins[:, 2].max()
    for sure, right, count in bins:
        words = f"probability {percent(sure)}, right {percent(right)}\n{int(count):,} probabilities"
        radius = max(MIN_RADIUS, MAX_RADIUS * float(np.sqrt(count / largest_count)))
        marks += [element("circle", title(words), cx=_x_position(sure), cy=_y_position(right), r=radius, class_="dot")]
    box = f"0 0 {MARGIN + SIDE + 20} {height}"
    return element("svg", *marks, class_="curve reliability", viewBox=box, role="img", aria_label="Calibration plot")


def ensemble_table(contents: ReportData) -> dict[str, Any] | None:
    """Ensemble weights, similarity of the models, and feature importance of a stack."""
    ensemble = contents.ensemble
    if ensemble is None or (len(ensemble.weights) < 2 and not ensemble.importance):
        return None
    largest = max([*ensemble.weights.values(), 1e-12])
    weights = [
        {"name": name, "value": percent(weight), "strip": Markup(bar_strip(weight, largest))}
        for name, weight in ensemble.weights.items()
    ]
    first = list(ensemble.importance.items())[:MAX_COLUMNS]
    columns = [
        {"name": name, "value": percent(share), "strip": Markup(bar_strip(share, first[0][1]))} for name, share in first
    ]
    return {
        "kind": ensemble.kind,
        "weights": weights,
        "weights_by_domain": ensemble.parts,
        "pairs": ensemble.pairs,
        "columns": columns,
        "left_out": len(ensemble.importance) - len(columns),
    }


def _x_position(value: float) -> float:
    return MARGIN + SIDE * float(value)


def _y_position(value: float) -> float:
    return TOP + SIDE * (1 - float(value))
