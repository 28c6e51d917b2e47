"""Folds of the run that lies in the folder: after an edit of the table, nearly all samples keep theirs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from holotype.errors import InputError
from holotype.progress import Progress
from holotype.recipe import Recipe, load_recipe
from holotype.runs import RunFolder
from holotype.table_files import read_parquet
from holotype.types import Folds, ImageTable

__all__ = ["describe_kept_folds", "is_stratified", "read_earlier_folds", "scored_folds"]


def read_earlier_folds(folder: RunFolder, recipe: Recipe, progress: Progress) -> dict[str, int] | None:
    """The fold of each training sample of the run that lies in a folder, by the samples' names.

    They are taken where the recipe of that run has the same seed and section `split`, and where folds are stratified:
    a holdout like the test set, a group a fold and folds that scores name follow from the data alone.

    Args:
        folder: The run's folder; it need not exist.
        recipe: What is to be run into it.
        progress: Told where the folds that are there cannot be read.

    Returns:
        None where no such run is there.
    """
    if not is_stratified(recipe):
        return None
    recipe_file, folds_file = folder.newest("recipe.yaml"), folder.newest("folds.parquet")
    if recipe_file is None or folds_file is None:
        return None
    try:
        earlier = load_recipe(recipe_file)
        if (earlier.seed, earlier.split) != (recipe.seed, recipe.split) or not is_stratified(earlier):
            return None
        if not folder.is_unfinished:
            folder.require_intact("folds.parquet")
        frame = read_parquet(folds_file).filter(pl.col("role") == "train", pl.col("fold") >= 0)
        return dict(frame.select(pl.col("sample").cast(pl.String), pl.col("fold").cast(pl.Int64)).iter_rows())
    except (InputError, pl.exceptions.PolarsError) as error:
        reason = error.what if isinstance(error, InputError) else str(error)
        progress.say(f"note: the folds are drawn anew, since those of the run that lies there cannot be used: {reason}")
        return None


def is_stratified(recipe: Recipe) -> bool:
    """Whether folds are stratified, and earlier ones can thus be kept.

    Args:
        recipe: From `load_recipe`.
    """
    named = all(member.predictions is not None and member.predictions.oof is not None for member in recipe.members)
    return not recipe.split.like_test and recipe.split.folds != "leave-group-out" and not named


def scored_folds(images: ImageTable, folds: Folds) -> dict[str, int]:
    """The fold of each training sample that has one, by the samples' names.

    Args:
        images: The table.
        folds: Its folds.
    """
    scored = np.intersect1d(images.samples.of_role("train"), np.flatnonzero(folds.fold_of_sample >= 0))
    names = images.samples.frame["sample"].gather(scored).cast(pl.String).to_list()
    return dict(zip(names, folds.fold_of_sample[scored].tolist(), strict=True))


def describe_kept_folds(images: ImageTable, folds: Folds, before: Mapping[str, int]) -> str:
    """How many samples keep the fold of the run that lies in the folder, in a sentence.

    Args:
        images: The table.
        folds: Its folds.
        before: From `read_earlier_folds`.
    """
    after = scored_folds(images, folds)
    known = [name for name in after if name in before]
    kept = sum(after[name] == before[name] for name in known)
    new = f"; {len(after) - len(known):,} are new" if len(after) > len(known) else ""
    return (
        f"folds: {kept:,} of {len(known):,} samples keep their fold of the run in this folder{new} "
        "(another folder or another seed draws all anew)"
    )
