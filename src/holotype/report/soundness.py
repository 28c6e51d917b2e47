"""What was found in the data → rows and drawings: odd images, labels that come together, training against test."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from holotype.report.charts import bar_strip, ranked_columns
from holotype.report.contents import DataContents
from holotype.report.heatmap import LABELLED_UP_TO, heat_map
from holotype.report.words import score

__all__ = ["duplicate_kinds", "faults", "likeness", "links"]

FAULTS_SHOWN = 60
LINKS_SHOWN = 12
FEATURES_SHOWN = 10
BINS = 25
BETWEEN = {
    frozenset({"train"}): "training images",
    frozenset({"external"}): "external images",
    frozenset({"test"}): "test images",
    frozenset({"train", "external"}): "training and external images",
    frozenset({"train", "test"}): "training and test images",
    frozenset({"external", "test"}): "external and test images",
}


def faults(contents: DataContents) -> dict[str, Any]:
    """The images with something odd about them, what nobody can read first.

    Args:
        contents: What the audit found.
    """
    problems = contents.audit.problems
    kinds = problems["problem"].value_counts(sort=True).rows() if problems.height else []
    first = problems.sort(pl.col("problem") != "unreadable", maintain_order=True).head(FAULTS_SHOWN)
    return {"rows": first.to_dicts(), "kinds": kinds, "count": problems["row"].n_unique() if problems.height else 0}


def links(contents: DataContents) -> dict[str, Any]:
    """Which labels come together: a matrix of the most linked ones, and the strongest links by themselves.

    Args:
        contents: What the audit found; one label a sample has no links.
    """
    frame = contents.audit.class_links
    if frame.height == 0:
        return {"heat": "", "strongest": [], "left_out": 0, "shown": 0}
    linked = set(frame["class"]) | set(frame["other"])
    strength = dict(frame.group_by("class").agg(pl.col("share").max()).iter_rows())
    ranked = sorted(linked, key=lambda name: -strength.get(name, 0.0))[:LABELLED_UP_TO]
    names = [name for name in contents.classes if name in set(ranked)]
    place = {name: number for number, name in enumerate(names)}
    counts, shares = np.zeros((len(names), len(names)), np.int64), np.zeros((len(names), len(names)))
    for row in frame.iter_rows(named=True):
        if row["class"] in place and row["other"] in place:
            cell = place[row["class"]], place[row["other"]]
            counts[cell], shares[cell] = row["together"], row["share"]
    strongest = [
        {"name": row["class"], "other": row["other"], "together": row["together"], "share": row["share"],
         "strip": Markup(bar_strip(row["share"], 1.0))}
        for row in frame.sort("share", "together", descending=True).head(LINKS_SHOWN).iter_rows(named=True)
    ]  # fmt: skip
    heat = Markup(heat_map(counts, shares, names, errors=False))
    return {"heat": heat, "strongest": strongest, "left_out": len(linked) - len(names), "shown": len(names)}


def likeness(contents: DataContents) -> dict[str, Any] | None:
    """How training differs from test, where folds were drawn by likeness.

    Args:
        contents: Knows the folds.
    """
    frame, separating = contents.folds.likeness, contents.folds.separating
    if frame.height == 0:
        return None
    values = frame["likeness"].to_numpy()
    counts, edges = np.histogram(values, bins=BINS, range=(0.0, 1.0))
    spans = [f"{low:.2f} to {high:.2f}\n{count:,} samples" for low, high, count in
             zip(edges, edges[1:], counts.tolist(), strict=False)]  # fmt: skip
    largest = float(separating["importance"].max() or 1.0) if separating.height else 1.0  # type: ignore[arg-type]
    rows = [
        {"feature": row["feature"], "auc": score(row["auc"]), "strip": Markup(bar_strip(row["importance"], largest))}
        for row in separating.head(FEATURES_SHOWN).iter_rows(named=True)
    ]
    chosen = frame.filter("chosen")
    said = next((one for one in contents.folds.warnings if "AUC" in one), "")
    about = ""
    if chosen.height:
        held, every = (score(float(np.median(part["likeness"].to_numpy()))) for part in (chosen, frame))
        about = f"The holdout's {chosen.height:,} samples have a median of {held}, all {frame.height:,} one of {every}."
    columns = ranked_columns(counts.astype(float).tolist(), spans, "Training samples by likeness", ranked=False)
    return {"columns": Markup(columns), "rows": rows, "words": f"{about} {said}".strip()}


def duplicate_kinds(contents: DataContents) -> list[dict[str, Any]]:
    """Sets of duplicates by the roles they lie across, and what was done about each kind.

    Args:
        contents: What the audit found.
    """
    clusters = contents.audit.clusters
    found: dict[frozenset[str], list[pl.DataFrame]] = {}
    for _, frame in clusters.group_by(["cluster"], maintain_order=True) if clusters.height else ():
        found.setdefault(frozenset(frame["role"]), []).append(frame)
    return [
        {
            "between": BETWEEN.get(roles, "training, external and test images"),
            "sets": len(frames),
            "images": sum(frame.height for frame in frames),
            "actions": ", ".join(sorted({str(action) for frame in frames for action in frame["action"]})),
        }
        for roles, frames in sorted(found.items(), key=lambda entry: ("test" not in entry[0], -len(entry[1])))
    ]
