"""The audit step: image and label problems, duplicates, and the action taken on each."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.audit.duplicate_messages import duplicate_warnings
from holotype.audit.duplicates import Duplicates, duplicate_actions, duplicate_conflicts, find_duplicates
from holotype.audit.image_checks import (
    constant_images,
    pixel_warnings,
    require_readable,
    require_same_channels,
    require_same_depth,
)
from holotype.audit.image_problems import image_problems, skip_warnings, unreadable_rows
from holotype.audit.label_checks import label_warnings
from holotype.audit.label_cooccurrence import cooccurrence_warnings, label_cooccurrence
from holotype.core.errors import HolotypeError
from holotype.data import read_row, usable_pixels
from holotype.recipe.sections import AuditSpec
from holotype.types import AuditReport, ImageStatistics, ImageTable, Integers

MAX_LISTED = 5


def audit_images(
    images: ImageTable,
    statistics: ImageStatistics,
    spec: AuditSpec,
    duplicates: Duplicates | None = None,
    dropped: Integers | None = None,
) -> AuditReport:
    """Check the images and find duplicates over train, external and test.

    Args:
        duplicates: Known duplicates; they are searched for if None.
        dropped: Image rows that a reviewer took out of training and scoring.

    Returns:
        Clusters of duplicates with the action on each, conflicting labels, and warnings. Constant images are in no
        cluster, because they are alike only for want of content.

    Raises:
        DataError: Images cannot be read, or have different numbers of channels.
    """
    if statistics.frame.height != len(images):
        raise HolotypeError(f"statistics of {statistics.frame.height:,} images do not fit {len(images):,} rows")
    if spec.on_unreadable == "stop":
        require_readable(images, statistics)
        require_same_channels(images, statistics)
        require_same_depth(images, statistics)
    skipped = unreadable_rows(images, statistics)
    unreadable = np.array(sorted(skipped), np.int64)
    same = _find_duplicates(images, statistics, unreadable, spec) if duplicates is None else duplicates
    roles = images.frame["role"].to_numpy().astype(np.str_)
    taken = np.isin(np.arange(len(images)), [] if dropped is None else dropped) & (roles != "test")
    action = duplicate_actions(same.cluster, np.where(taken, "", roles), spec.duplicates)
    action[taken & (same.cluster >= 0)] = "dropped"
    if spec.duplicates.external_test == "validate":
        action = _without_shared_groups(images, action)
    conflicts = duplicate_conflicts(images, np.where(taken, -1, same.cluster))
    links = label_cooccurrence(images.samples)
    warnings = (
        *skip_warnings(images, skipped),
        *pixel_warnings(images, statistics),
        *duplicate_warnings(images, same, action),
        *_conflict_warnings(conflicts),
        *label_warnings(images),
        *cooccurrence_warnings(links),
    )
    never = np.isin(action, ["dropped", "validated"])
    never[unreadable] = True
    never |= taken
    return AuditReport(
        clusters=_cluster_frame(images, same.cluster, action),
        conflicts=conflicts,
        left_out=np.flatnonzero(never & (roles != "test")).astype(np.int64),
        warnings=warnings,
        duplicate_pairs=same.pairs,
        image_problems=image_problems(images, statistics, skipped, spec),
        label_cooccurrence=links,
        unreadable=unreadable,
        validation=np.flatnonzero(action == "validated").astype(np.int64),
    )


def audit_labels(images: ImageTable, dropped: Integers | None = None) -> AuditReport:
    """Check the labels of a table without images. `dropped`: rows that a reviewer took out of training and scoring."""
    links = label_cooccurrence(images.samples)
    dropped_rows = np.setdiff1d(np.empty(0, np.int64) if dropped is None else dropped, images.rows_of_role("test"))
    nothing = np.full(len(images), -1, np.int64)
    clusters = _cluster_frame(images, nothing, np.full(len(images), "", dtype="U8")).clear()
    conflicts = duplicate_conflicts(images, nothing)
    warnings = (*label_warnings(images), *cooccurrence_warnings(links))
    return AuditReport(clusters, conflicts, dropped_rows, warnings, label_cooccurrence=links)


def _find_duplicates(
    images: ImageTable, statistics: ImageStatistics, unreadable: Integers, spec: AuditSpec
) -> Duplicates:
    frame = statistics.frame
    digests = frame["digest"].fill_null("").to_numpy().astype(np.str_)
    silent = constant_images(statistics)
    silent[unreadable] = True
    packed = frame["fingerprint"].to_list() if spec.near_duplicate_bits is not None else None
    return find_duplicates(
        np.where(silent, "", digests),
        packed,
        spec.near_duplicate_bits,
        lambda row: usable_pixels(read_row(images, row)),
    )


def _without_shared_groups(images: ImageTable, action: NDArray[np.str_]) -> NDArray[np.str_]:
    """Drop validation images whose group also trains: they would raise the validation score."""
    shared = np.zeros(len(images), bool)
    trains = pl.Series((images.frame["role"] != "test").to_numpy() & ~np.isin(action, ["dropped", "validated"]))
    for name in images.group_names:
        values = images.frame[f"group.{name}"]
        shared |= values.is_in(values.filter(trains).drop_nulls().unique().to_list()).fill_null(False).to_numpy()
    return np.where((action == "validated") & shared, "dropped", action)


def _cluster_frame(images: ImageTable, cluster: Integers, action: NDArray[np.str_]) -> pl.DataFrame:
    rows = np.flatnonzero(cluster >= 0)
    rows = rows[np.argsort(cluster[rows], kind="stable")].astype(np.int64)
    facts = images.frame.select("id", "role")[rows]
    return pl.DataFrame(
        {"cluster": cluster[rows], "row": rows, **facts.to_dict(), "action": action[rows].tolist()},
        schema={"cluster": pl.Int64, "row": pl.Int64, "id": pl.String, "role": pl.String, "action": pl.String},
    )


def _conflict_warnings(conflicts: pl.DataFrame) -> list[str]:
    if not conflicts.height:
        return []
    descriptions = [
        " against ".join(
            f"{name} ({label or 'no label'})" for name, label in zip(row["ids"], row["labels"], strict=True)
        )
        for row in conflicts.head(MAX_LISTED).iter_rows(named=True)
    ]
    rest = f" and {conflicts.height - MAX_LISTED:,} more" if conflicts.height > MAX_LISTED else ""
    clusters = "cluster of duplicates carries" if conflicts.height == 1 else "clusters of duplicates carry"
    return [f"{conflicts.height:,} {clusters} different labels: {'; '.join(descriptions)}{rest}."]
