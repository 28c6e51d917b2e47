"""The audit: what is wrong with the images and labels, and what is done about it."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.audit.duplicates import duplicate_actions, duplicate_conflicts, find_duplicates
from holotype.audit.labels import label_warnings
from holotype.audit.pixels import constant_images, pixel_warnings, refuse_mixed_channels, refuse_unreadable
from holotype.errors import HolotypeError, listing
from holotype.spec import AuditSpec
from holotype.types import AuditReport, ImageStatistics, ImageTable, Integers

__all__ = ["audit_images"]

NAMED_AT_MOST = 5


def audit_images(images: ImageTable, statistics: ImageStatistics, spec: AuditSpec) -> AuditReport:
    """Check the images and find duplicates over train, external and test.

    Args:
        images: The table.
        statistics: What one pass over the pixels found, row by row.
        spec: The recipe's `audit` section.

    Returns:
        Clusters of duplicates with what was done about them, conflicting labels, and warnings. Empty images are in
        no cluster: they are alike because nothing is on them.

    Raises:
        DataError: Images cannot be read, or have different numbers of channels.
    """
    if statistics.frame.height != len(images):
        raise HolotypeError(f"statistics of {statistics.frame.height:,} images do not fit {len(images):,} rows")
    refuse_unreadable(images, statistics)
    refuse_mixed_channels(images, statistics)
    digests = statistics.frame["digest"].fill_null("").to_numpy().astype(np.str_)
    cluster = find_duplicates(np.where(constant_images(statistics), "", digests))
    roles = images.frame["role"].to_numpy().astype(np.str_)
    action = duplicate_actions(cluster, roles, spec.on_leak)
    clusters = _cluster_frame(images, cluster, action)
    conflicts = duplicate_conflicts(images, cluster)
    warnings = (
        *pixel_warnings(images, statistics),
        *_duplicate_warnings(images, cluster, roles, action),
        *_conflict_warnings(conflicts),
        *label_warnings(images),
    )
    return AuditReport(clusters, conflicts, np.flatnonzero(action == "dropped").astype(np.int64), warnings)


def _cluster_frame(images: ImageTable, cluster: Integers, action: NDArray[np.str_]) -> pl.DataFrame:
    rows = np.flatnonzero(cluster >= 0)
    rows = rows[np.argsort(cluster[rows], kind="stable")].astype(np.int64)
    facts = images.frame.select("id", "role")[rows]
    return pl.DataFrame(
        {"cluster": cluster[rows], "row": rows, **facts.to_dict(), "action": action[rows].tolist()},
        schema={"cluster": pl.Int64, "row": pl.Int64, "id": pl.String, "role": pl.String, "action": pl.String},
    )


def _duplicate_warnings(
    images: ImageTable, cluster: Integers, roles: NDArray[np.str_], action: NDArray[np.str_]
) -> list[str]:
    """One sentence for each pair of roles that duplicates join, and for what was done about it."""
    ids = images.frame["id"]
    train, external, test = (roles == role for role in ("train", "external", "test"))
    with_train, with_test = _beside(cluster, train), _beside(cluster, test)
    repeated = train & _beside(cluster, train, least=2)
    done = {"grouped": "grouped into one fold", "dropped": "dropped from training", "kept": "kept as they are"}
    cases = [
        (repeated, "training", "another one"),
        (external & with_train, "external", "a training image"),
        (external & with_test, "external", "a test image"),
    ]
    warnings = []
    for chosen, role, like in cases:
        words = [(word, int((chosen & (action == word)).sum())) for word in done]
        told = ", ".join(f"{count:,} {done[word]}" for word, count in words if count)
        if told:
            warnings.append(f"{_have_pixels(chosen, role)} of {like}: {told} ({_some(ids, chosen)}).")
    flattered = test & with_train
    if flattered.any():
        warnings.append(
            f"{_have_pixels(flattered, 'test')} of a training image, which flatters the score "
            f"({_some(ids, flattered)})."
        )
    return warnings


def _have_pixels(chosen: NDArray[np.bool_], role: str) -> str:
    return f"{chosen.sum():,} {role} " + ("image has the pixels" if chosen.sum() == 1 else "images have the pixels")


def _beside(cluster: Integers, chosen: NDArray[np.bool_], least: int = 1) -> NDArray[np.bool_]:
    """Which images lie in a cluster with at least so many chosen ones."""
    numbers, counts = np.unique(cluster[chosen & (cluster >= 0)], return_counts=True)
    return np.isin(cluster, numbers[counts >= least])


def _conflict_warnings(conflicts: pl.DataFrame) -> list[str]:
    if not conflicts.height:
        return []
    told = [
        " against ".join(
            f"{name} ({label or 'no label'})" for name, label in zip(row["ids"], row["labels"], strict=True)
        )
        for row in conflicts.head(NAMED_AT_MOST).iter_rows(named=True)
    ]
    rest = f" and {conflicts.height - NAMED_AT_MOST:,} more" if conflicts.height > NAMED_AT_MOST else ""
    clusters = "cluster of equal images carries" if conflicts.height == 1 else "clusters of equal images carry"
    return [f"{conflicts.height:,} {clusters} different labels: {'; '.join(told)}{rest}."]


def _some(ids: pl.Series, chosen: NDArray[np.bool_]) -> str:
    return listing(ids.filter(pl.Series(chosen)).to_list(), NAMED_AT_MOST)
