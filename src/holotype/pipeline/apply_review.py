"""Review decisions in the pipeline: applied after the audit; the scores of the reviewed run are kept for comparison."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from holotype.audit import audit_images, audit_labels
from holotype.cache import Reads, StepOutput, Steps, step
from holotype.core.digest import digest_file
from holotype.core.errors import DataError, pluralize
from holotype.pipeline.prepared import PreparedData
from holotype.recipe.sections import AuditSpec, DataSpec, SplitSpec
from holotype.review import Reviewed, apply_review, read_rows, replay
from holotype.split import Features, make_folds
from holotype.types import Folds

REVIEW_FILE = "review.csv"
SCORE_FILES = ("oof.parquet", "classes.csv")


def apply_review_decisions(spec: DataSpec, audit: AuditSpec, data: PreparedData) -> PreparedData:
    """Apply review decisions to the image table and repeat the audit.

    Raises:
        DataError: The file of decisions is missing or cannot be read.
    """
    if spec.review is None:
        return data
    path = Path(spec.review)
    if not path.is_file():
        raise DataError(
            f"the file of decisions {spec.review!r} does not exist",
            field="data.review",
            remedy="make it with `holotype review RUN`, or remove the key",
        )
    read = read_rows(path)
    reviewed = apply_review(replay(read.rows), data.images, data.audit, spec.labels.separator)
    reviewed = reviewed.with_warnings(tuple(f"Review: {sentence}." for sentence in read.warnings))
    if reviewed.digest is None:
        return replace(data, review=reviewed)
    if data.images.has_files:
        report = audit_images(reviewed.images, data.statistics, audit, reviewed.duplicates, reviewed.dropped)
    else:
        report = audit_labels(reviewed.images, reviewed.dropped)
    digests = {**data.digests, "review": reviewed.digest}
    return replace(data, images=reviewed.images, audit=report, review=reviewed, digests=digests)


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
    data: PreparedData, spec: SplitSpec, seed: int, features: Features | None, before: Mapping[str, int] | None = None
) -> Folds:
    """Make folds after a review or an edit of the table, moving as few groups as balance allows.

    Args:
        features: Features that distinguish test rows from training rows, for a holdout like the test set.
        before: Fold of each sample in the run that is in the folder; None starts from the folds without the review.
    """
    review = data.review
    if before is None and review is not None and review.digest is not None:
        try:
            unreviewed = make_folds(review.original, review.original_audit, spec, seed, features)
        except DataError:
            unreviewed = None  # the data cannot be split without the review
        if unreviewed is not None:
            names = review.original.samples.frame["sample"].cast(pl.String).to_list()
            before = dict(zip(names, unreviewed.fold_of_sample.tolist(), strict=True))
    return make_folds(data.images, data.audit, spec, seed, features, before=before)


@step("reviewed run", 1, lambda _folder, digest: Reads(None, {"scores": digest}))
def keep_reviewed_scores(output: StepOutput, folder: Path, _digest: str) -> None:
    """Scores of a reviewed run, whose folder the next run may replace."""
    for name in SCORE_FILES:
        shutil.copy2(folder / name, output.folder)


def find_reviewed_scores(reviewed: Reviewed, decisions: str | None, steps: Steps) -> Path | None:
    """Find the scores of the run that was reviewed last, and copy them to the cache.

    Args:
        decisions: The file of decisions; run folders in it are relative to it.

    Returns:
        A folder with `oof.parquet` and `classes.csv`; None if no decision names a run or the run is gone.
    """
    for row in reversed(reviewed.active.decisions):
        run_path, _, digest = row.run.rpartition(" ")
        if not run_path or decisions is None:
            continue
        folder = Path(decisions).parent / run_path
        there = (folder / SCORE_FILES[0]).is_file() and digest_file(folder / SCORE_FILES[0]) == digest
        if there or steps.store.contains(keep_reviewed_scores.key(folder, digest)):
            return keep_reviewed_scores(steps, folder, digest).folder
    return None
