"""Training histories → what the page's section on training needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from holotype.report.contents import ReportContents
from holotype.report.curves import Series, line_chart, phase_starts, series_of
from holotype.report.provenance import duration
from holotype.report.rates import finder_charts, rate_chart
from holotype.report.svg import nice_scale
from holotype.report.words import finite

__all__ = ["training"]


def training(contents: ReportContents) -> list[dict[str, Any]]:
    """One entry a member: its folds' scores and rates together, and each fold's losses by themselves.

    Args:
        contents: What the report is made of.
    """
    members: dict[str, dict[str, pl.DataFrame]] = {}
    for address, history in contents.histories.items():
        member, _, fold = address.rpartition("/")
        members.setdefault(member or address, {})[fold] = history
    return [
        _training_of(member, folds) | {"finders": finder_charts(contents.finders, member)}
        for member, folds in members.items()
    ]


def _training_of(member: str, folds: dict[str, pl.DataFrame]) -> dict[str, Any]:
    longest = max(folds.values(), key=lambda history: history.height)
    starts = phase_starts(longest)
    pairs = [(fold, history, _losses(history, fold)) for fold, history in folds.items()]
    shared = nice_scale([value for _, _, lines in pairs for line in lines for value in line.values], count=4)
    together = [line for _, _, lines in pairs for line in lines if finite(line.values)]
    charts = []
    if together:
        charts += [
            {
                "label": "Loss",
                "by_fold": False,
                "svg": Markup(line_chart(together, f"Losses of {member} by epoch", starts, shared)),
            }
        ]
    lines = [
        series_of(history, "validation_score", fold, f"line-{index % 7}")
        for index, (fold, history) in enumerate(folds.items())
    ]
    if any(finite(line.values) for line in lines):
        label = "Score of the fold left out"
        drawn = line_chart(lines, f"{label} of {member} by epoch", starts, upwards="score")
        charts += [{"label": label, "by_fold": True, "svg": Markup(drawn)}]
    rates = rate_chart(folds, f"Learning rate of {member} by step")
    charts += [{"label": "Learning rate", "by_fold": True, "svg": Markup(rates)}] if rates else []
    losses = [
        {"label": fold, "svg": Markup(line_chart(lines, f"Losses of {member}, {fold}", phase_starts(history), shared))}
        for fold, history, lines in pairs
        if any(finite(line.values) for line in lines)
    ]
    seconds = sum(sum(finite(history["seconds"])) for history in folds.values() if "seconds" in history.columns)
    paces = [
        rate
        for one in folds.values()
        if "images_per_second" in one.columns
        for rate in finite(one["images_per_second"])
    ]
    return {
        "member": member,
        "folds": list(folds),
        "epochs": longest.height,
        "phases": len(starts) + 1,
        "duration": duration(seconds),
        "rate": f"{float(np.median(paces)):,.0f}" if paces else "",
        "charts": charts,
        "losses": losses,
    }


def _losses(history: pl.DataFrame, fold: str) -> list[Series]:
    return [
        series_of(history, "train_loss", f"{fold}, training", "train"),
        series_of(history, "validation_loss", f"{fold}, left out", "validation"),
    ]
