"""Decisions applied to the tables of a run: labels, samples that leave, clusters that are taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from holotype.audit import Duplicates, duplicates_of, take_apart
from holotype.digest import digest_value
from holotype.errors import counted, did_you_mean, listing
from holotype.review.replay import Standing
from holotype.review.rows import ReviewRow
from holotype.types import AuditReport, ImageTable, Integers

__all__ = ["Reviewed", "apply_review", "without_confirmed"]

NAMED = 5


@dataclass(frozen=True)
class Reviewed:
    """A table of images after a review.

    Args:
        given: The table as the data say it.
        images: The same with the reviewed labels.
        duplicates: What is the same as what, after the review.
        dropped: Numbers of the image rows that neither train nor are scored.
        relabelled: Numbers of the samples that have other labels than before, ascending.
        confirmed: Ids of the samples whose labels a person has settled.
        split: How many clusters were taken apart.
        standing: The decisions.
        warnings: What could not be done, and what is odd, in sentences.
    """

    given: ImageTable
    images: ImageTable
    duplicates: Duplicates
    dropped: Integers
    relabelled: Integers
    confirmed: frozenset[str]
    split: int
    standing: Standing
    warnings: tuple[str, ...]

    def noted(self, warnings: tuple[str, ...]) -> Reviewed:
        """The same with more to say, before what there is.

        Args:
            warnings: Sentences.
        """
        return replace(self, warnings=warnings + self.warnings)

    @property
    def digest(self) -> str | None:
        """What changes the folds and all that follows; none where nothing does, so that kept labels retrain nothing."""
        if not (len(self.relabelled) or len(self.dropped) or self.split):
            return None
        frame = self.images.samples.frame
        changed = dict(zip(frame["sample"].gather(self.relabelled), frame["labels"].gather(self.relabelled).to_list(),
                           strict=True))  # fmt: skip
        clusters = self.duplicates.cluster.tolist() if self.split else []
        return digest_value([changed, self.dropped.tolist(), clusters])

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of the scores must know, as clauses."""
        if not (len(self.relabelled) or len(self.dropped)):
            return ()
        return (
            "a person put labels right or dropped samples where earlier networks doubted them, and did not look at all "
            "others, so that the value is kinder than by labels that were all looked at",
        )

    @property
    def words(self) -> tuple[str, ...]:
        """What was done, in sentences."""
        gone = len(np.unique(self.given.sample_numbers[self.dropped]))
        names = listing(self.given.samples.frame["sample"].gather(
            np.unique(self.given.sample_numbers[self.dropped])), NAMED)  # fmt: skip
        said = [f"{counted(len(self.relabelled), 'sample')} got other labels by review"] if len(self.relabelled) else []
        said += [f"{counted(gone, 'sample')} left training and scoring by review: {names}"] if gone else []
        said += [f"{counted(self.split, 'set')} of duplicates was taken apart by review"] if self.split == 1 else []
        said += [f"{self.split:,} sets of duplicates were taken apart by review"] if self.split > 1 else []
        return tuple(f"{sentence}." for sentence in said)


def apply_review(standing: Standing, images: ImageTable, audit: AuditReport, separator: str = " ") -> Reviewed:
    """Apply what stands to the tables; what no longer fits is said and left out.

    Args:
        standing: From `replay`.
        images: The table as the data say it.
        audit: What was found in it.
        separator: What may stand between the labels of a row that a person wrote.
    """
    warnings = list(standing.warnings) + _repeated(standing.decisions)
    samples = images.samples.frame
    number = {str(name): place for place, name in enumerate(samples["sample"])}
    latest = [row for about, row in standing.latest.items() if about[0] == "sample"]
    gone = [row.id for row in latest if row.id not in number]
    if gone:
        warnings.append(f"decisions about {counted(len(gone), 'sample')} that the tables do not have were left out: "
                        f"{listing(gone, NAMED)}{_near(gone[0], number)}")  # fmt: skip
    known = [row for row in latest if row.id in number]
    roles = samples["role"].to_list()
    unlabelled = [row.id for row in known if roles[number[row.id]] == "test"]
    if unlabelled:
        warnings.append(f"decisions about {counted(len(unlabelled), 'sample')} to predict were left out, which have no "
                        f"labels: {listing(unlabelled, NAMED)}")  # fmt: skip
    known = [row for row in known if roles[number[row.id]] != "test"]
    new, said = _labels(known, images, separator)
    warnings += said + _stale(standing.decisions, known, images, number)
    lists = samples["labels"].to_list()
    changed = {number[name]: labels for name, labels in new.items() if labels != sorted(lists[number[name]] or [])}
    dropped = np.array([number[row.id] for row in known if row.action == "drop"], np.int64)
    duplicates, split, said = _split(standing, images, audit)
    confirmed = {row.id for row in known if row.action == "keep"} | set(new)
    return Reviewed(
        given=images, images=_relabelled(images, changed), duplicates=duplicates,
        dropped=np.flatnonzero(np.isin(images.sample_numbers, dropped)).astype(np.int64),
        relabelled=np.array(sorted(changed), np.int64), confirmed=frozenset(confirmed), split=split,
        standing=standing, warnings=tuple(f"Review: {sentence}." for sentence in [*warnings, *said]),
    )  # fmt: skip


def without_confirmed(suspects: pl.DataFrame, confirmed: frozenset[str]) -> pl.DataFrame:
    """The table of suspects in which labels that a person has settled are none.

    Args:
        suspects: From `holotype.audit.find_suspects`.
        confirmed: Ids of samples.
    """
    if not confirmed:
        return suspects
    doubtful = pl.col("suspect") & ~pl.col("sample").is_in(list(confirmed))
    return suspects.with_columns(doubtful.alias("suspect")).sort(
        "suspect", "quality", "position", descending=[True, False, False]
    )


def _labels(rows: Sequence[ReviewRow], images: ImageTable, separator: str) -> tuple[dict[str, list[int]], list[str]]:
    """The new labels by sample, as ascending class numbers, and what is wrong with others."""
    place = {name: number for number, name in enumerate(images.classes)}
    new, warnings = {}, []
    for row in rows:
        if row.action != "relabel":
            continue
        names = row.after
        if len(names) == 1 and names[0] not in place and images.kind == "multilabel":
            names = tuple(part.strip() for part in names[0].split(separator) if part.strip())
        strange = [name for name in names if name not in place]
        if strange:
            warnings.append(f"{row.id!r} was not relabelled, since {strange[0]!r} is no class"
                            f"{_near(strange[0], place)}")  # fmt: skip
        elif images.kind == "multiclass" and len(set(names)) != 1:
            warnings.append(f"{row.id!r} was not relabelled, since it needs one label and was given {len(names)}")
        else:
            new[row.id] = sorted({place[name] for name in names})
    return new, warnings


def _stale(
    every: Sequence[ReviewRow], known: Sequence[ReviewRow], images: ImageTable, number: dict[str, int]
) -> list[str]:
    """Samples whose labels in the tables are none that a reviewer saw or wrote: the tables were changed since."""
    seen: dict[str, set[tuple[str, ...]]] = {}
    for row in every:
        if row.kind == "sample":
            seen.setdefault(row.id, set()).update(tuple(sorted(part)) for part in (row.before, row.after) if part)
    lists = images.samples.frame["labels"].to_list()
    odd = []
    for row in known:
        names = tuple(sorted(images.classes[label] for label in lists[number[row.id]] or []))
        if row.action != "drop" and seen[row.id] and names not in seen[row.id] and row.before:
            odd.append(row.id)
    if not odd:
        return []
    return [f"the tables say other labels of {counted(len(odd), 'sample')} than the reviewer saw: "
            f"{listing(odd, NAMED)}; the review counts"]  # fmt: skip


def _relabelled(images: ImageTable, changed: dict[int, list[int]]) -> ImageTable:
    if not changed:
        return images
    owners, lists = images.sample_numbers.tolist(), images.frame["labels"].to_list()
    labels = [changed.get(owner, own) for owner, own in zip(owners, lists, strict=True)]
    column = pl.Series("labels", labels, dtype=images.frame["labels"].dtype)
    return replace(images, frame=images.frame.with_columns(column))


def _split(standing: Standing, images: ImageTable, audit: AuditReport) -> tuple[Duplicates, int, list[str]]:
    """Clusters without those images that a person says are not the same as the others."""
    same = duplicates_of(audit, len(images))
    row_of = dict(zip(images.frame["id"].cast(pl.String), range(len(images)), strict=True))
    parts: list[Integers] = []
    owners, warnings = [], []
    for decision in standing.decisions:
        if decision.kind != "cluster" or decision.action != "split":
            continue
        gone = [name for name in (decision.id, *decision.after) if name not in row_of]
        if gone:
            warnings.append(f"the duplicates of {decision.id!r} were not taken apart, since there is no image "
                            f"{listing(gone, NAMED)}")  # fmt: skip
            continue
        seen = {row_of[name] for name in decision.before if name in row_of}
        own = set(np.flatnonzero(same.cluster == same.cluster[row_of[decision.id]]).tolist())
        apart = {row_of[name] for name in decision.after} & own
        if same.cluster[row_of[decision.id]] >= 0 and apart and (seen & own or own) - apart:
            parts.append(np.array(sorted(apart), np.int64))  # else they are no duplicates any more
            owners.append(decision.id)
    same, left = take_apart(same, parts)
    equal = [name for name, went in zip(owners, left, strict=True) if not went]
    if equal:
        warnings.append(f"pixels that are equal were left together: {listing(equal, NAMED)}")
    return same, sum(left), warnings


def _repeated(decisions: Sequence[ReviewRow]) -> list[str]:
    """Samples about which different things stand: the last counts."""
    said: dict[str, set[Any]] = {}
    for row in decisions:
        if row.kind == "sample":
            said.setdefault(row.id, set()).add((row.action, tuple(sorted(row.after))))
    torn = [name for name, different in said.items() if len(different) > 1]
    if not torn:
        return []
    return [f"{counted(len(torn), 'sample')} with several decisions, of which the last counts: {listing(torn, NAMED)}"]


def _near(name: str, known: dict[str, int]) -> str:
    hint = did_you_mean(name, known) if len(known) <= 10_000 else ""
    return f" ({hint})" if hint else ""
