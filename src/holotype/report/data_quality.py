"""Data quality: image problems, label co-occurrence, adversarial validation, duplicates."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from holotype.report.charts import bar_strip, ranked_columns
from holotype.report.confusion_matrix import MAX_LABELED, confusion_matrix_svg
from holotype.report.formatting import format_score
from holotype.report.report_data import DatasetData

MAX_PROBLEMS = 60
MAX_PAIRS = 12
MAX_FEATURES = 10
BINS = 25
ROLE_LABELS = {
    frozenset({"train"}): "training images",
    frozenset({"external"}): "external images",
    frozenset({"test"}): "test images",
    frozenset({"train", "external"}): "training and external images",
    frozenset({"train", "test"}): "training and test images",
    frozenset({"external", "test"}): "external and test images",
}


def image_problems(contents: DatasetData) -> dict[str, Any]:
    """Table of images with problems, unreadable images first."""
    problems = contents.audit.image_problems
    kinds = problems["problem"].value_counts(sort=True).rows() if problems.height else []
    first = problems.sort(pl.col("problem") != "unreadable", maintain_order=True).head(MAX_PROBLEMS)
    return {"rows": first.to_dicts(), "kinds": kinds, "count": problems["row"].n_unique() if problems.height else 0}


def label_cooccurrence(contents: DatasetData) -> dict[str, Any]:
    """Matrix of the labels with the strongest co-occurrence, and the strongest pairs."""
    frame = contents.audit.label_cooccurrence
    if frame.height == 0:
        return {"matrix": "", "strongest": [], "left_out": 0, "shown": 0}
    linked = set(frame["class"]) | set(frame["other"])
    strength = dict(frame.group_by("class").agg(pl.col("share").max()).iter_rows())
    ranked = sorted(linked, key=lambda name: -strength.get(name, 0.0))[:MAX_LABELED]
    names = [name for name in contents.classes if name in set(ranked)]
    index_of_class = {name: number for number, name in enumerate(names)}
    counts, shares = np.zeros((len(names), len(names)), np.int64), np.zeros((len(names), len(names)))
    for row in frame.iter_rows(named=True):
        if row["class"] in index_of_class and row["other"] in index_of_class:
            cell = index_of_class[row["class"]], index_of_class[row["other"]]
            counts[cell], shares[cell] = row["samples_with_both"], row["share"]
    strongest = [
        {
            "name": row["class"],
            "other": row["other"],
            "samples": row["samples_with_both"],
            "share": row["share"],
            "strip": Markup(bar_strip(row["share"], 1.0)),
        }
        for row in frame.sort("share", "samples_with_both", descending=True).head(MAX_PAIRS).iter_rows(named=True)
    ]
    heat = Markup(confusion_matrix_svg(counts, shares, names, errors=False))
    return {"matrix": heat, "strongest": strongest, "left_out": len(linked) - len(names), "shown": len(names)}


def train_test_likeness(contents: DatasetData) -> dict[str, Any] | None:
    """Adversarial validation: histogram of test probabilities and the most different features."""
    frame, separating = contents.folds.train_test_similarity, contents.folds.train_test_features
    if frame.height == 0:
        return None
    values = frame["test_probability"].to_numpy()
    counts, edges = np.histogram(values, bins=BINS, range=(0.0, 1.0))
    spans = [
        f"{low:.2f} to {high:.2f}\n{count:,} samples"
        for low, high, count in zip(edges, edges[1:], counts.tolist(), strict=False)
    ]
    largest = float(separating["importance"].max() or 1.0) if separating.height else 1.0  # type: ignore[arg-type]
    rows = [
        {
            "feature": row["feature"],
            "auc": format_score(row["auc"]),
            "strip": Markup(bar_strip(row["importance"], largest)),
        }
        for row in separating.head(MAX_FEATURES).iter_rows(named=True)
    ]
    holdout = frame.filter("in_holdout")
    warning = next((text for text in contents.folds.warnings if "AUC" in text), "")
    about = ""
    if holdout.height:
        holdout_median, overall_median = (
            format_score(float(np.median(part["test_probability"].to_numpy()))) for part in (holdout, frame)
        )
        about = (
            f"Median of the {holdout.height:,} samples of the holdout: {holdout_median}; of all {frame.height:,}: "
            f"{overall_median}."
        )
    columns = ranked_columns(
        counts.astype(float).tolist(), spans, "Training samples by probability of being a test image", ranked=False
    )
    return {"columns": Markup(columns), "rows": rows, "words": f"{about} {warning}".strip()}


def duplicate_kinds(contents: DatasetData) -> list[dict[str, Any]]:
    """Duplicate clusters counted by the roles of their images, with the actions taken."""
    clusters = contents.audit.clusters
    clusters_by_roles: dict[frozenset[str], list[pl.DataFrame]] = {}
    for _, frame in clusters.group_by(["cluster"], maintain_order=True) if clusters.height else ():
        clusters_by_roles.setdefault(frozenset(frame["role"]), []).append(frame)
    return [
        {
            "between": ROLE_LABELS.get(roles, "training, external and test images"),
            "sets": len(frames),
            "images": sum(frame.height for frame in frames),
            "actions": ", ".join(sorted({str(action) for frame in frames for action in frame["action"]})),
        }
        for roles, frames in sorted(
            clusters_by_roles.items(), key=lambda entry: ("test" not in entry[0], -len(entry[1]))
        )
    ]
