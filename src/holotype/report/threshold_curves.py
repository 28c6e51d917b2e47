"""Precision-recall and threshold curves of each class, as JSON for the charts of the class table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from holotype.report.formatting import escape_control, finite

MAX_LOG_ODDS = 7.0  # log-odds beyond which scores are drawn at the edge: one in a thousand
SCALE = 1000  # shares are written as whole thousandths: half the bytes of decimals


@dataclass(frozen=True)
class ClassCurve:
    """Precision and recall of one class at every threshold.

    Args:
        threshold: Log-odds, ascending, shape (m,).
        precision: From 0 to 1, shape (m,).
        recall: From 0 to 1, shape (m,).
        average_precision: Area under the curve; NaN for a class without samples.
        positives: Histogram of the scores of samples with the class, shape (bins,).
        others: Histogram of the scores of samples without it, shape (bins,).
    """

    threshold: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    average_precision: float
    positives: NDArray[np.int64]
    others: NDArray[np.int64]
    decision_threshold: float | None = None


@dataclass(frozen=True)
class ClassCurves:
    """Curves of all classes. `edges`: bin edges of the histograms, log-odds, shape (bins + 1,)."""

    of_class: tuple[ClassCurve, ...]
    edges: NDArray[np.float64]


def curve_data(curves: ClassCurves | None, entries: list[dict[str, Any]], class_numbers: list[int]) -> Markup | None:
    """JSON of the charts, safe to embed in the page.

    `entries`: classes of the scorecard in the same order: `name`, `precision`, `recall`.
    """
    if curves is None or len(curves.of_class) != len(entries):
        return None
    classes = {
        str(number): _curve_entry(curves.of_class[number], entries[number])
        for number in class_numbers
        if len(curves.of_class[number].threshold)
    }
    return embedded_json({"edges": [round(float(edge), 3) for edge in curves.edges], "classes": classes})


def _curve_entry(curve: ClassCurve, entry: dict[str, Any]) -> dict[str, Any]:
    decided = finite([entry.get("precision"), entry.get("recall")])
    return {
        "name": escape_control(str(entry["name"])),
        "t": _to_integers(np.clip(curve.threshold, -MAX_LOG_ODDS, MAX_LOG_ODDS) * 100),
        "p": _to_integers(curve.precision * SCALE),
        "r": _to_integers(curve.recall * SCALE),
        "area": round(curve.average_precision, 4),
        "yes": curve.positives.tolist(),
        "no": curve.others.tolist(),
        "threshold": curve.decision_threshold,
        "decided": [round(value, 4) for value in decided] if len(decided) == 2 else None,
    }


def embedded_json(content: Any) -> Markup:
    """JSON without characters that could end or open an element of the page."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _to_integers(values: NDArray[np.float64]) -> list[int]:
    return np.rint(values).astype(np.int64).tolist()
