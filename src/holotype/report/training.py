"""Training curves of the report."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from holotype.report.formatting import finite
from holotype.report.learning_rate import finder_charts, rate_chart
from holotype.report.provenance import duration
from holotype.report.report_data import ReportData
from holotype.report.svg import nice_scale
from holotype.report.training_curves import Series, line_chart, phase_starts, series_of


def training(contents: ReportData) -> list[dict[str, Any]]:
    """One entry per model: scores and learning rates of its folds together, and losses of each fold."""
    models: dict[str, dict[str, pl.DataFrame]] = {}
    for address, history in contents.histories.items():
        model, _, fold = address.rpartition("/")
        models.setdefault(model or address, {})[fold] = history
    return [
        _training_section(model, folds) | {"finders": finder_charts(contents.finders, model)}
        for model, folds in models.items()
    ]


def _training_section(model: str, folds: dict[str, pl.DataFrame]) -> dict[str, Any]:
    longest = max(folds.values(), key=lambda history: history.height)
    starts = phase_starts(longest)
    pairs = [(fold, history, _loss_series(history, fold)) for fold, history in folds.items()]
    shared = nice_scale([value for _, _, lines in pairs for line in lines for value in line.values], count=4)
    loss_lines = [line for _, _, lines in pairs for line in lines if finite(line.values)]
    charts = []
    if loss_lines:
        charts += [
            {
                "label": "Loss",
                "by_fold": False,
                "svg": Markup(line_chart(loss_lines, f"Losses of {model} by epoch", starts, shared)),
            }
        ]
    lines = [
        series_of(history, "validation_score", fold, f"line-{index % 7}")
        for index, (fold, history) in enumerate(folds.items())
    ]
    if any(finite(line.values) for line in lines):
        label = "Score of the held-out fold"
        drawn = line_chart(lines, f"{label} of {model} by epoch", starts, upwards="score")
        charts += [{"label": label, "by_fold": True, "svg": Markup(drawn)}]
    rates = rate_chart(folds, f"Learning rate of {model} by step")
    charts += [{"label": "Learning rate", "by_fold": True, "svg": Markup(rates)}] if rates else []
    losses = [
        {"label": fold, "svg": Markup(line_chart(lines, f"Losses of {model}, {fold}", phase_starts(history), shared))}
        for fold, history, lines in pairs
        if any(finite(line.values) for line in lines)
    ]
    seconds = sum(sum(finite(history["seconds"])) for history in folds.values() if "seconds" in history.columns)
    throughputs = [
        rate
        for fold_history in folds.values()
        if "images_per_second" in fold_history.columns
        for rate in finite(fold_history["images_per_second"])
    ]
    return {
        "name": model,
        "folds": list(folds),
        "epochs": longest.height,
        "phases": len(starts) + 1,
        "duration": duration(seconds),
        "rate": f"{float(np.median(throughputs)):,.0f}" if throughputs else "",
        "charts": charts,
        "losses": losses,
    }


def _loss_series(history: pl.DataFrame, fold: str) -> list[Series]:
    return [
        series_of(history, "train_loss", f"{fold}, training", "train"),
        series_of(history, "validation_loss", f"{fold}, held out", "validation"),
    ]
