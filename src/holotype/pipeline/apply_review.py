"""A person's decisions on the road: applied after the audit, and the run they are about kept to be compared with."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import polars as pl

from holotype.audit import audit_images, audit_labels
from holotype.cache import Stages
from holotype.core.digest import digest_file
from holotype.core.errors import DataError
from holotype.pipeline.cache_keys import reviewed_run_key
from holotype.recipe.sections import AuditSpec, DataSpec, SplitSpec
from holotype.review import Reviewed, apply_review, read_rows, replay
from holotype.split import Features, make_folds
from holotype.types import AuditReport, Folds, ImageStatistics, ImageTable

__all__ = ["apply_review_decisions", "find_reviewed_scores", "split_reviewed"]

SCORE_FILES = ("oof.parquet", "classes.csv")


def apply_review_decisions(
    data: DataSpec,
    spec: AuditSpec,
    images: ImageTable,
    statistics: ImageStatistics,
    audit: AuditReport,
    digests: dict[str, str],
) -> tuple[ImageTable, AuditReport, Reviewed | None]:
    """The table and the audit as a person's decisions leave them.

    Args:
        data: The recipe's section; it names the decisions.
        spec: The recipe's section.
        images: The table as the data say it.
        statistics: Of every image.
        audit: Of that table.
        digests: Of the stages before; that of the decisions is added where they change what comes after.

    Raises:
        DataError: There is no such file, or it cannot be read.
    """
    if data.review is None:
        return images, audit, None
    path = Path(data.review)
    if not path.is_file():
        raise DataError(
            f"there are no decisions {data.review!r}",
            field="data.review",
            remedy="make some with `holotype review RUN`, or leave the key out",
        )
    read = read_rows(path)
    reviewed = apply_review(replay(read.rows), images, audit, data.labels.separator)
    notes = tuple(f"Review: {sentence}." for sentence in read.warnings)
    reviewed = reviewed.with_warnings(notes)
    if reviewed.digest is None:
        return images, audit, reviewed
    digests["review"] = reviewed.digest
    if images.has_files:
        new_audit = audit_images(reviewed.images, statistics, spec, reviewed.duplicates, reviewed.dropped)
    else:
        new_audit = audit_labels(reviewed.images, reviewed.dropped)
    return reviewed.images, new_audit, reviewed


def split_reviewed(
    original: tuple[ImageTable, AuditReport],
    reviewed: tuple[ImageTable, AuditReport],
    spec: SplitSpec,
    seed: int,
    features: Features | None,
    before: Mapping[str, int] | None = None,
) -> Folds:
    """The folds after a review or an edit: groups stay where they were before it while the folds are nearly as even.

    Args:
        original: The table and its audit as the data say it.
        reviewed: The same after the review; the very same where there was none.
        spec: The recipe's `split` section.
        seed: The recipe's seed.
        features: By which test rows are told from training rows.
        before: The folds of the run that lies in the folder; those without the review where none are given.
    """
    if before is not None:
        return make_folds(*reviewed, spec, seed, features, before=before)
    if original[0] is reviewed[0] and original[1] is reviewed[1]:
        return make_folds(*original, spec, seed, features)
    try:
        earlier = make_folds(*original, spec, seed, features)
    except DataError:
        return make_folds(*reviewed, spec, seed, features)  # the data could not be divided without the review
    names = original[0].samples.frame["sample"].cast(pl.String).to_list()
    unreviewed = dict(zip(names, earlier.fold_of_sample.tolist(), strict=True))
    return make_folds(*reviewed, spec, seed, features, before=unreviewed)


def find_reviewed_scores(reviewed: Reviewed, decisions: str | None, stages: Stages) -> Path | None:
    """The scores of the run that was looked at last, kept in the store, since the next run may take its folder.

    Args:
        reviewed: Whose rows name the run.
        decisions: The file; a run's folder is named as seen from there.
        stages: Hold what was kept.

    Returns:
        A folder with `oof.parquet` and `classes.csv`; none where no row names a run, or the run is gone.
    """
    for row in reversed(reviewed.active.decisions):
        run_path, _, digest = row.run.rpartition(" ")
        if not run_path or decisions is None:
            continue
        folder, key = Path(decisions).parent / run_path, reviewed_run_key(digest)
        there = (folder / SCORE_FILES[0]).is_file() and digest_file(folder / SCORE_FILES[0]) == digest
        if there or stages.store.contains(key):
            scores_folder = stages.cached_folder(key, partial(_copy_scores, folder))
            return scores_folder if scores_folder.is_dir() else None
    return None


def _copy_scores(source: Path, target: Path) -> None:
    for name in SCORE_FILES:
        shutil.copy2(source / name, target)
