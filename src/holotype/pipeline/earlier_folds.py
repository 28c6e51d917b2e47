"""Folds of the earlier run in the same folder: after an edit of the table, nearly all samples keep their fold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from holotype.core.errors import InputError
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.core.table_files import read_parquet
from holotype.recipe.load import Recipe, load_recipe
from holotype.types import Folds, ImageTable


def read_earlier_folds(
    folder: RunFolder, recipe: Recipe, progress: Progress, source: Path | None = None
) -> dict[str, int] | None:
    """Read the fold of each training sample from the run that is in a folder.

    They are used if that run's recipe has the same seed and `split` section, and folds are stratified. A test-like
    holdout,
    one group per fold and folds named by imported scores follow from the data alone.

    Args:
        folder: It may be missing.
        progress: Gets a note if the folds there cannot be read.
        source: The recipe's file. A recipe inside a run folder repeats that run with its folds.

    Returns:
        Fold by sample name; None if there is no such run.
    """
    if not is_stratified(recipe):
        return None
    if source is not None and folder.newest("folds.parquet") is None:
        folder = RunFolder(source.resolve().parent)
    recipe_file, folds_file = folder.newest("recipe.yaml"), folder.newest("folds.parquet")
    if recipe_file is None or folds_file is None:
        return None
    try:
        earlier = load_recipe(recipe_file, with_plugins=False)
        if (earlier.seed, earlier.split) != (recipe.seed, recipe.split) or not is_stratified(earlier):
            return None
        if not folder.is_unfinished:
            folder.require_intact("folds.parquet")
        frame = read_parquet(folds_file).filter(pl.col("role") == "train", pl.col("fold") >= 0)
        return dict(frame.select(pl.col("sample").cast(pl.String), pl.col("fold").cast(pl.Int64)).iter_rows())
    except (InputError, pl.exceptions.PolarsError) as error:
        reason = error.what if isinstance(error, InputError) else str(error)
        progress.info(f"note: new folds are drawn, because those of the run in this folder cannot be used: {reason}")
        return None


def is_stratified(recipe: Recipe) -> bool:
    """Tell if folds are stratified, so that earlier ones can be kept."""
    named = all(model.predictions is not None and model.predictions.oof is not None for model in recipe.models)
    return not recipe.split.like_test and recipe.split.folds != "leave-group-out" and not named


def scored_folds(images: ImageTable, folds: Folds) -> dict[str, int]:
    """Folds of the training samples that have one, by sample name."""
    scored = np.intersect1d(images.samples.of_role("train"), np.flatnonzero(folds.fold_of_sample >= 0))
    names = images.samples.frame["sample"].gather(scored).cast(pl.String).to_list()
    return dict(zip(names, folds.fold_of_sample[scored].tolist(), strict=True))


def describe_kept_folds(images: ImageTable, folds: Folds, before: Mapping[str, int]) -> str:
    """Describe in a sentence how many samples keep their fold.

    Args:
        before: From `read_earlier_folds`.
    """
    after = scored_folds(images, folds)
    shared = [name for name in after if name in before]
    unchanged_count = sum(after[name] == before[name] for name in shared)
    new = f"; {len(after) - len(shared):,} are new" if len(after) > len(shared) else ""
    return (
        f"folds: {unchanged_count:,} of {len(shared):,} samples keep their fold of the run in this folder{new} "
        "(use another folder or seed to draw new folds)"
    )
