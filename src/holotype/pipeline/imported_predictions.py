"""Imported predictions: scores made elsewhere, aligned to our samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError, join_names, pluralize
from holotype.data import ImportedScores, read_scores
from holotype.evaluation import pool_images
from holotype.recipe.sections import ModelSpec, PredictionsSpec
from holotype.types import AnyScores, ImageTable, Integers


@dataclass(frozen=True)
class AlignedScores:
    """Aligned scores of our samples.

    Args:
        samples: Sample numbers, shape (n,), ascending.
        logits: Shape (n, classes).
        folds: Fold name of each sample; None if the file names none.
    """

    samples: Integers
    logits: AnyScores
    folds: NDArray[np.str_] | None
    remarks: tuple[str, ...]


def read_aligned_scores(
    spec: PredictionsSpec, path: str, images: ImageTable, role: str, needed: Integers, field: str
) -> AlignedScores:
    """Read a file of scores and align its rows to our samples.

    Args:
        role: `train` or `test`.
        needed: Sample numbers that must have a score; other samples are dropped.
        field: Recipe field that names the file, for messages.

    Raises:
        DataError: The file does not fit the table, or a needed sample has no score.
    """
    imported = read_scores(path, spec.kind, images.classes, images.kind, field)
    samples, logits, folds = _align_rows(imported, images, role, spec, field)
    absent = np.setdiff1d(needed, samples)
    if len(absent):
        ids = images.samples.frame["sample"].gather(absent[:5]).to_list()
        word = "training sample" if role == "train" else "test sample"
        raise DataError(f"{pluralize(len(absent), word)} have no score: {join_names(ids)}", field=field)
    is_needed = np.isin(samples, needed)
    return AlignedScores(
        samples[is_needed], logits[is_needed], None if folds is None else folds[is_needed], imported.remarks
    )


def named_folds(models: Sequence[ModelSpec], images: ImageTable, scored: Integers) -> NDArray[np.str_] | None:
    """Fold names that the imported scores of all models agree on.

    Args:
        scored: Sample numbers that take part, ascending.

    Returns:
        One name per scored sample; None if a model is trained here, or the files name no folds or different ones.
    """
    fold_names: NDArray[np.str_] | None = None
    for number, model in enumerate(models):
        spec = model.predictions
        if spec is None or spec.oof is None:
            return None
        folds = read_aligned_scores(spec, spec.oof, images, "train", scored, f"models.{number}.predictions.oof").folds
        if folds is None or (fold_names is not None and not np.array_equal(folds, fold_names)):
            return None
        fold_names = folds
    return fold_names


def _align_rows(
    imported: ImportedScores, images: ImageTable, role: str, spec: PredictionsSpec, field: str
) -> tuple[Integers, AnyScores, NDArray[np.str_] | None]:
    """Sample numbers (ascending), logits, and the folds that the file names."""
    rows, samples = images.rows_of_role(role), images.samples.of_role(role)
    if spec.rows == "id":
        owners = _match_samples_by_id(imported, images, rows, samples, role, field)
    elif len(imported.logits) == len(samples):
        owners = samples
    elif len(imported.logits) == len(rows):
        owners = images.sample_numbers[rows]
    else:
        raise DataError(
            f"{pluralize(len(imported.logits), 'row')} of scores for {len(rows):,} rows of the {role} table",
            field=field,
            remedy="write `rows: id` and give the scores their ids",
        )
    matched = np.flatnonzero(owners >= 0)
    sample_numbers, pooled = pool_images(owners[matched], imported.logits[matched], images.kind, "mean-logit")
    if imported.folds is None:
        return sample_numbers, pooled, None
    first = {int(owner): imported.folds[row] for row, owner in zip(matched[::-1], owners[matched][::-1], strict=True)}
    return sample_numbers, pooled, np.array([first[int(number)] for number in sample_numbers])


def _match_samples_by_id(
    imported: ImportedScores, images: ImageTable, rows: Integers, samples: Integers, role: str, field: str
) -> Integers:
    if imported.ids is None:
        raise DataError(
            "`rows: id` needs ids, and the file has none",
            field=field,
            remedy="give a table with `id`, an NPZ with `ids`, or write `rows: order`",
        )
    twice = sorted(
        {name for name, count in zip(*np.unique(imported.ids, return_counts=True), strict=True) if count > 1}
    )
    if twice:
        raise DataError(f"{pluralize(len(twice), 'id')} occur more than once: {join_names(twice, 5)}", field=field)
    number = dict(
        zip(images.samples.frame["sample"].gather(samples).cast(str).to_list(), samples.tolist(), strict=True)
    )
    by_image = zip(
        images.frame["id"].gather(rows).cast(str).to_list(), images.sample_numbers[rows].tolist(), strict=True
    )
    number |= dict(by_image)
    strange = [name for name in imported.ids if name not in number]
    if len(strange) == len(imported.ids):
        raise DataError(f"none of the ids is one of the {role} table: {join_names(strange, 5)}", field=field)
    return np.array([number.get(name, -1) for name in imported.ids], np.int64)
