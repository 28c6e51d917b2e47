"""Scores that were made elsewhere, brought into the order of our samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.data import ImportedScores, read_scores
from holotype.errors import DataError, counted, listing
from holotype.score import pool_images
from holotype.spec import MemberSpec, PredictionsSpec
from holotype.types import AnyScores, ImageTable, Integers

__all__ = ["PlacedScores", "named_folds", "read_placed"]


@dataclass(frozen=True)
class PlacedScores:
    """Scores of our samples.

    Args:
        samples: Sample numbers, shape (n,), ascending.
        logits: Shape (n, classes).
        folds: The fold of each as the file names it; none where it names none.
        remarks: What is odd, in sentences.
    """

    samples: Integers
    logits: AnyScores
    folds: NDArray[np.str_] | None
    remarks: tuple[str, ...]


def read_placed(
    spec: PredictionsSpec, path: str, images: ImageTable, role: str, needed: Integers, field: str
) -> PlacedScores:
    """A file of scores, its rows brought to our samples.

    Args:
        spec: The recipe's section.
        path: The file.
        images: The table.
        role: `train` or `test`.
        needed: Samples that must have a score; those of others are left out.
        field: Where the recipe names the file.

    Raises:
        DataError: The file does not fit the table, or a needed sample has no score.
    """
    held = read_scores(path, spec.kind, images.classes, images.kind, field)
    samples, logits, folds = _placed(held, images, role, spec, field)
    absent = np.setdiff1d(needed, samples)
    if len(absent):
        ids = images.samples.frame["sample"].gather(absent[:5]).to_list()
        word = "training sample" if role == "train" else "test sample"
        raise DataError(f"{counted(len(absent), word)} have no score: {listing(ids)}", field=field)
    kept = np.isin(samples, needed)
    return PlacedScores(samples[kept], logits[kept], None if folds is None else folds[kept], held.remarks)


def named_folds(members: Sequence[MemberSpec], images: ImageTable, scored: Integers) -> NDArray[np.str_] | None:
    """The folds that the scores of all members name, where no network of ours is trained and all name the same.

    Args:
        members: The recipe's sections.
        images: The table.
        scored: The samples that take part, ascending.

    Returns:
        One name a scored sample; none where a member is trained here, or names no folds or others.
    """
    found: NDArray[np.str_] | None = None
    for number, member in enumerate(members):
        spec = member.predictions
        if spec is None or spec.oof is None:
            return None
        folds = read_placed(spec, spec.oof, images, "train", scored, f"members.{number}.predictions.oof").folds
        if folds is None or (found is not None and not np.array_equal(folds, found)):
            return None
        found = folds
    return found


def _placed(
    held: ImportedScores, images: ImageTable, role: str, spec: PredictionsSpec, field: str
) -> tuple[Integers, AnyScores, NDArray[np.str_] | None]:
    """Sample numbers, ascending, their logits, and the folds that the file names."""
    rows, samples = images.rows_of_role(role), images.samples.of_role(role)
    if spec.rows == "id":
        owners = _owners_by_id(held, images, rows, samples, role, field)
    elif len(held.logits) == len(samples):
        owners = samples
    elif len(held.logits) == len(rows):
        owners = images.sample_numbers[rows]
    else:
        raise DataError(f"{counted(len(held.logits), 'row')} of scores for {len(rows):,} rows of the {role} table",
                        field=field, remedy="write `rows: id` and give the scores their ids")  # fmt: skip
    known = np.flatnonzero(owners >= 0)
    found, pooled = pool_images(owners[known], held.logits[known], images.kind, "mean-logit")
    if held.folds is None:
        return found, pooled, None
    first = {int(owner): held.folds[place] for place, owner in zip(known[::-1], owners[known][::-1], strict=True)}
    return found, pooled, np.array([first[int(number)] for number in found])


def _owners_by_id(
    held: ImportedScores, images: ImageTable, rows: Integers, samples: Integers, role: str, field: str
) -> Integers:
    if held.ids is None:
        raise DataError("`rows: id` needs ids, and the file has none", field=field,
                        remedy="give a table with `id`, an NPZ with `ids`, or write `rows: order`")  # fmt: skip
    twice = sorted({name for name, count in zip(*np.unique(held.ids, return_counts=True), strict=True) if count > 1})
    if twice:
        raise DataError(f"{counted(len(twice), 'id')} stand more than once: {listing(twice, 5)}", field=field)
    number = dict(
        zip(images.samples.frame["sample"].gather(samples).cast(str).to_list(), samples.tolist(), strict=True)
    )
    by_image = zip(
        images.frame["id"].gather(rows).cast(str).to_list(), images.sample_numbers[rows].tolist(), strict=True
    )
    number |= dict(by_image)
    strange = [name for name in held.ids if name not in number]
    if len(strange) == len(held.ids):
        raise DataError(f"none of the ids is one of the {role} table: {listing(strange, 5)}", field=field)
    return np.array([number.get(name, -1) for name in held.ids], np.int64)
