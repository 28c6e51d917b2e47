"""Review decisions in the pipeline: applied after the audit; the scores of the reviewed run are kept for comparison."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import polars as pl

from holotype.audit import audit_images, audit_labels
from holotype.cache import Steps
from holotype.core.digest import digest_file
from holotype.core.errors import DataError, pluralize
from holotype.pipeline.cache_keys import reviewed_run_key
from holotype.recipe.sections import AuditSpec, DataSpec, SplitSpec
from holotype.review import Reviewed, apply_review, read_rows, replay
from holotype.split import Features, make_folds
from holotype.types import AuditReport, Folds, ImageStatistics, ImageTable

__all__ = ["apply_review_decisions", "find_reviewed_scores", "split_reviewed", "unused_review_note"]

REVIEW_FILE = "review.csv"
SCORE_FILES = ("oof.parquet", "classes.csv")


def apply_review_decisions(
    data: DataSpec,
    spec: AuditSpec,
    images: ImageTable,
    statistics: ImageStatistics,
    audit: AuditReport,
    digests: dict[str, str],
) -> tuple[ImageTable, AuditReport, Reviewed | None]:
    """Apply review decisions to the image table and repeat the audit.

    Args:
        digests: Digests of the earlier steps; gains `review` if the decisions change later steps.

    Raises:
        DataError: The file of decisions is missing or cannot be read.
    """
    if data.review is None:
        return images, audit, None
    path = Path(data.review)
    if not path.is_file():
        raise DataError(
            f"the file of decisions {data.review!r} does not exist",
            field="data.review",
            remedy="make it with `holotype review RUN`, or remove the key",
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


def unused_review_note(data: DataSpec, folder: Path) -> str | None:
    """Note on decisions beside the recipe that the recipe does not use.

    Args:
        folder: The recipe's folder, where `holotype review` writes its decisions.

    Returns:
        None if the recipe names a decisions file, or there are no decisions.
    """
    path = folder / REVIEW_FILE
    if data.review is not None or not path.is_file():
        return None
    try:
        count = len(replay(read_rows(path).rows).decisions)
    except (DataError, OSError):  # another table of that name
        return None
    if not count:
        return None
    return (
        f"{REVIEW_FILE} with {pluralize(count, 'decision')} is not used; "
        f"add `review: {REVIEW_FILE}` under `data:` of the recipe to apply {'it' if count == 1 else 'them'}."
    )


def split_reviewed(
    images: ImageTable,
    audit: AuditReport,
    spec: SplitSpec,
    seed: int,
    features: Features | None,
    before: Mapping[str, int] | None = None,
    *,
    original_images: ImageTable,
    original_audit: AuditReport,
) -> Folds:
    """Make folds after a review or an edit of the table, moving as few groups as balance allows.

    Args:
        features: Features that distinguish test rows from training rows, for a holdout like the test set.
        before: Fold of each sample in the run that is in the folder; None starts from the folds without the review.
        original_images: The table before the review; the same object if there was none.
        original_audit: The audit before the review; the same object if there was none.
    """
    if before is None and not (images is original_images and audit is original_audit):
        try:
            unreviewed = make_folds(original_images, original_audit, spec, seed, features)
        except DataError:
            unreviewed = None  # the data cannot be split without the review
        if unreviewed is not None:
            names = original_images.samples.frame["sample"].cast(pl.String).to_list()
            before = dict(zip(names, unreviewed.fold_of_sample.tolist(), strict=True))
    return make_folds(images, audit, spec, seed, features, before=before)


def find_reviewed_scores(reviewed: Reviewed, decisions: str | None, steps: Steps) -> Path | None:
    """Find the scores of the run that was reviewed last, and copy them to the cache.

    The copy is needed because the next run may replace that run's folder.

    Args:
        decisions: The file of decisions; run folders in it are relative to it.

    Returns:
        A folder with `oof.parquet` and `classes.csv`; None if no decision names a run or the run is gone.
    """
    for row in reversed(reviewed.active.decisions):
        run_path, _, digest = row.run.rpartition(" ")
        if not run_path or decisions is None:
            continue
        folder, key = Path(decisions).parent / run_path, reviewed_run_key(digest)
        there = (folder / SCORE_FILES[0]).is_file() and digest_file(folder / SCORE_FILES[0]) == digest
        if there or steps.store.contains(key):
            scores_folder = steps.cached_folder(key, partial(_copy_scores, folder))
            return scores_folder if scores_folder.is_dir() else None
    return None


def _copy_scores(source: Path, target: Path) -> None:
    for name in SCORE_FILES:
        shutil.copy2(source / name, target)
