"""Review decisions applied to the tables of a run: labels, dropped samples, split clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from holotype.audit import Duplicates, duplicates_of, split_clusters
from holotype.core.digest import digest_value
from holotype.core.errors import did_you_mean, join_names, pluralize
from holotype.review.decisions import ReviewRow
from holotype.review.replay import ActiveDecisions
from holotype.types import AuditReport, ImageTable, Integers

MAX_NAMED = 5


@dataclass(frozen=True)
class Reviewed:
    """Image table after a review.

    Args:
        dropped: Image rows that are neither trained on nor scored.
        relabeled: Sample indices with changed labels, ascending.
        confirmed: Ids of samples whose labels a person has checked.
        warnings: Sentences about decisions that could not be applied.
    """

    original: ImageTable
    original_audit: AuditReport
    images: ImageTable
    duplicates: Duplicates
    dropped: Integers
    relabeled: Integers
    confirmed: frozenset[str]
    split: int
    active: ActiveDecisions
    warnings: tuple[str, ...]

    def with_warnings(self, warnings: tuple[str, ...]) -> Reviewed:
        """Copy with warnings prepended."""
        return replace(self, warnings=warnings + self.warnings)

    @property
    def digest(self) -> str | None:
        """Digest of changes to folds and labels; None without any, so that confirmed labels retrain nothing."""
        if not (len(self.relabeled) or len(self.dropped) or self.split):
            return None
        frame = self.images.samples.frame
        changed = dict(
            zip(frame["sample"].gather(self.relabeled), frame["labels"].gather(self.relabeled).to_list(), strict=True)
        )
        clusters = self.duplicates.cluster.tolist() if self.split else []
        return digest_value([changed, self.dropped.tolist(), clusters])

    @property
    def caveats(self) -> tuple[str, ...]:
        """Caveats for a reader of the scores, as clauses."""
        if not (len(self.relabeled) or len(self.dropped)):
            return ()
        return (
            "only labels that earlier models doubted were reviewed and corrected or dropped, so the score is "
            "optimistic compared with one on fully reviewed labels",
        )

    @property
    def words(self) -> tuple[str, ...]:
        """Sentences that describe the changes."""
        gone = len(np.unique(self.original.sample_numbers[self.dropped]))
        names = join_names(
            self.original.samples.frame["sample"].gather(np.unique(self.original.sample_numbers[self.dropped])),
            MAX_NAMED,
        )
        sentences = [f"{pluralize(len(self.relabeled), 'sample')} relabeled by review"] if len(self.relabeled) else []
        sentences += (
            [f"{pluralize(gone, 'sample')} dropped from training and scoring by review: {names}"] if gone else []
        )
        sentences += [f"{pluralize(self.split, 'set')} of duplicates was split by review"] if self.split == 1 else []
        sentences += [f"{self.split:,} sets of duplicates were split by review"] if self.split > 1 else []
        return tuple(f"{sentence}." for sentence in sentences)


def apply_review(active: ActiveDecisions, images: ImageTable, audit: AuditReport, separator: str = " ") -> Reviewed:
    """Apply the decisions in force; decisions that no longer fit become warnings.

    `separator`: separator between labels in a hand-written row.
    """
    warnings = list(active.warnings) + _repeated_decisions(active.decisions)
    samples = images.samples.frame
    number = {str(name): index for index, name in enumerate(samples["sample"])}
    latest = [row for about, row in active.latest.items() if about[0] == "sample"]
    gone = [row.id for row in latest if row.id not in number]
    if gone:
        warnings.append(
            f"decisions about {pluralize(len(gone), 'sample')} missing from the tables were ignored: "
            f"{join_names(gone, MAX_NAMED)}{_suggest_name(gone[0], number)}"
        )
    matched = [row for row in latest if row.id in number]
    roles = samples["role"].to_list()
    unlabeled = [row.id for row in matched if roles[number[row.id]] == "test"]
    if unlabeled:
        warnings.append(
            f"decisions about {pluralize(len(unlabeled), 'test sample')} were ignored, because test samples have no "
            f"labels: {join_names(unlabeled, MAX_NAMED)}"
        )
    matched = [row for row in matched if roles[number[row.id]] != "test"]
    new, messages = _new_labels(matched, images, separator)
    warnings += messages + _changed_since_review(active.decisions, matched, images, number)
    lists = samples["labels"].to_list()
    changed = {number[name]: labels for name, labels in new.items() if labels != sorted(lists[number[name]] or [])}
    dropped = np.array([number[row.id] for row in matched if row.action == "drop"], np.int64)
    duplicates, split, messages = _split_reviewed_clusters(active, images, audit)
    confirmed = {row.id for row in matched if row.action == "keep"} | set(new)
    return Reviewed(
        original=images,
        original_audit=audit,
        images=_with_new_labels(images, changed),
        duplicates=duplicates,
        dropped=np.flatnonzero(np.isin(images.sample_numbers, dropped)).astype(np.int64),
        relabeled=np.array(sorted(changed), np.int64),
        confirmed=frozenset(confirmed),
        split=split,
        active=active,
        warnings=tuple(f"Review: {sentence}." for sentence in [*warnings, *messages]),
    )


def without_confirmed(label_errors: pl.DataFrame, confirmed: frozenset[str]) -> pl.DataFrame:
    """Table of label errors without samples that a person has confirmed.

    `label_errors`: from `holotype.audit.find_label_errors`.
    """
    if not confirmed:
        return label_errors
    doubtful = pl.col("suspect") & ~pl.col("sample").is_in(list(confirmed))
    return label_errors.with_columns(doubtful.alias("suspect")).sort(
        "suspect", "quality", "position", descending=[True, False, False]
    )


def _new_labels(
    rows: Sequence[ReviewRow], images: ImageTable, separator: str
) -> tuple[dict[str, list[int]], list[str]]:
    index_of_class = {name: number for number, name in enumerate(images.classes)}
    new, warnings = {}, []
    for row in rows:
        if row.action != "relabel":
            continue
        names = row.after
        if len(names) == 1 and names[0] not in index_of_class and images.kind == "multilabel":
            names = tuple(part.strip() for part in names[0].split(separator) if part.strip())
        strange = [name for name in names if name not in index_of_class]
        if strange:
            warnings.append(
                f"{row.id!r} was not relabeled: {strange[0]!r} is not a class"
                f"{_suggest_name(strange[0], index_of_class)}"
            )
        elif images.kind == "multiclass" and len(set(names)) != 1:
            warnings.append(f"{row.id!r} was not relabeled: it needs one label, not {len(names)}")
        else:
            new[row.id] = sorted({index_of_class[name] for name in names})
    return new, warnings


def _changed_since_review(
    every: Sequence[ReviewRow], matched: Sequence[ReviewRow], images: ImageTable, number: dict[str, int]
) -> list[str]:
    reviewer_labels: dict[str, set[tuple[str, ...]]] = {}
    for row in every:
        if row.kind == "sample":
            reviewer_labels.setdefault(row.id, set()).update(
                tuple(sorted(part)) for part in (row.before, row.after) if part
            )
    lists = images.samples.frame["labels"].to_list()
    odd = []
    for row in matched:
        names = tuple(sorted(images.classes[label] for label in lists[number[row.id]] or []))
        if row.action != "drop" and reviewer_labels[row.id] and names not in reviewer_labels[row.id] and row.before:
            odd.append(row.id)
    if not odd:
        return []
    return [
        f"the labels of {pluralize(len(odd), 'sample')} in the tables have changed since the review: "
        f"{join_names(odd, MAX_NAMED)}; the review is used"
    ]


def _with_new_labels(images: ImageTable, changed: dict[int, list[int]]) -> ImageTable:
    if not changed:
        return images
    owners, lists = images.sample_numbers.tolist(), images.frame["labels"].to_list()
    labels = [changed.get(owner, original) for owner, original in zip(owners, lists, strict=True)]
    column = pl.Series("labels", labels, dtype=images.frame["labels"].dtype)
    return replace(images, frame=images.frame.with_columns(column))


def _split_reviewed_clusters(
    active: ActiveDecisions, images: ImageTable, audit: AuditReport
) -> tuple[Duplicates, int, list[str]]:
    same = duplicates_of(audit, len(images))
    row_of = dict(zip(images.frame["id"].cast(pl.String), range(len(images)), strict=True))
    parts: list[Integers] = []
    owners, warnings = [], []
    for decision in active.decisions:
        if decision.kind != "cluster" or decision.action != "split":
            continue
        gone = [name for name in (decision.id, *decision.after) if name not in row_of]
        if gone:
            warnings.append(
                f"the duplicates of {decision.id!r} were not split: there is no image {join_names(gone, MAX_NAMED)}"
            )
            continue
        reviewed_rows = {row_of[name] for name in decision.before if name in row_of}
        cluster_rows = set(np.flatnonzero(same.cluster == same.cluster[row_of[decision.id]]).tolist())
        separated = {row_of[name] for name in decision.after} & cluster_rows
        if (
            same.cluster[row_of[decision.id]] >= 0
            and separated
            and (reviewed_rows & cluster_rows or cluster_rows) - separated
        ):
            parts.append(np.array(sorted(separated), np.int64))  # otherwise they are no longer duplicates
            owners.append(decision.id)
    same, left = split_clusters(same, parts)
    equal = [name for name, went in zip(owners, left, strict=True) if not went]
    if equal:
        warnings.append(f"images with equal pixels were not split: {join_names(equal, MAX_NAMED)}")
    return same, sum(left), warnings


def _repeated_decisions(decisions: Sequence[ReviewRow]) -> list[str]:
    decisions_of_sample: dict[str, set[Any]] = {}
    for row in decisions:
        if row.kind == "sample":
            decisions_of_sample.setdefault(row.id, set()).add((row.action, tuple(sorted(row.after))))
    torn = [name for name, different in decisions_of_sample.items() if len(different) > 1]
    if not torn:
        return []
    return [f"{pluralize(len(torn), 'sample')} with several decisions; the last is used: {join_names(torn, MAX_NAMED)}"]


def _suggest_name(name: str, names: dict[str, int]) -> str:
    hint = did_you_mean(name, names) if len(names) <= 10_000 else ""
    return f" ({hint})" if hint else ""
