"""Tables of folds and duplicates."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from holotype.report.charts import bar_strip
from holotype.report.report_data import DatasetData

MAX_CLUSTERS = 60
MAX_IDS = 12


def fold_rows(contents: DatasetData) -> list[dict[str, Any]]:
    """One row per fold: sizes by role, and the class whose share deviates most."""
    folds = contents.folds
    inside = folds.frame.filter(pl.col("fold").is_not_null())
    largest = max((inside.filter(pl.col("fold") == fold).height for fold in range(folds.count)), default=1)
    rows = []
    for fold in range(folds.count):
        frame = inside.filter(pl.col("fold") == fold)
        by_role = {role: frame.filter(pl.col("role") == role)["sample"].n_unique() for role in ("train", "external")}
        rows += [
            {
                "fold": fold,
                "images": frame.height,
                **by_role,
                "used": fold in folds.used,
                "deviation": _largest_deviation(contents, fold),
                "strip": Markup(bar_strip(frame.height, max(largest, 1), name=f"Fold {fold}: {frame.height:,} images")),
            }
        ]
    return rows


def duplicates(contents: DatasetData) -> dict[str, Any]:
    """Duplicate clusters and contradicting labels, the first 60 of each."""
    clusters, conflicts = contents.audit.clusters, contents.audit.conflicts
    rows: list[dict[str, Any]] = []
    for (_,), frame in clusters.group_by(["cluster"], maintain_order=True) if clusters.height else ():
        if len(rows) == MAX_CLUSTERS:
            break
        rows += [
            {
                "ids": _limit_values(frame["id"].to_list()),
                "more": max(frame.height - MAX_IDS, 0),
                "size": frame.height,
                "roles": ", ".join(str(role) for role in frame["role"].unique(maintain_order=True).to_list()),
                "actions": ", ".join(str(action) for action in frame["action"].unique(maintain_order=True).to_list()),
            }
        ]
    conflict_rows = [
        {"ids": _limit_values(row["ids"]), "labels": _limit_values(row["labels"])}
        for row in conflicts.head(MAX_CLUSTERS).iter_rows(named=True)
    ]
    count = clusters["cluster"].n_unique() if clusters.height else 0
    return {
        "rows": rows,
        "count": count,
        "images": clusters.height,
        "conflicts": conflict_rows,
        "conflict_count": conflicts.height,
    }


def _largest_deviation(contents: DatasetData, fold: int) -> dict[str, Any] | None:
    counts = contents.fold_counts
    if counts is None or fold >= len(counts) or not counts[fold].sum():
        return None
    shares = counts[fold] / counts[fold].sum() - counts.sum(axis=0) / counts.sum()
    worst = int(np.argmax(np.abs(shares)))
    return {"name": contents.classes[worst], "points": f"{100 * shares[worst]:+.1f}".replace("-", "−")}


def _limit_values(values: Any) -> list[str]:
    sequence = values if isinstance(values, list | tuple | pl.Series) else [values]
    flat = [
        ", ".join(map(str, value)) if isinstance(value, list | tuple | pl.Series) else str(value) for value in sequence
    ]
    return flat[:MAX_IDS]
