"""Image tables of a few lines, and measurements drawn for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from holotype.recipe.sections import DataSpec, LabelSpec
from holotype.types import ImageTable

DATA = DataSpec(train="train.csv", labels=LabelSpec(column="label"), groups=["plate"])


def image_table(
    labels: Sequence[int | None],
    plates: Sequence[str | None] | None = None,
    samples: Sequence[str] | None = None,
    files: Sequence[list[str]] | None = None,
    classes: int | None = None,
) -> ImageTable:
    """Images `a0`, `a1` and so on; those without a label are to be predicted."""
    ids = [f"a{number}" for number in range(len(labels))]
    known = [label for label in labels if label is not None]
    frame = pl.DataFrame(
        {
            "id": ids,
            "sample": ids if samples is None else list(samples),
            "role": ["test" if label is None else "train" for label in labels],
            "files": [[] for _ in ids] if files is None else list(files),
            "labels": [None if label is None else [label] for label in labels],
            "domain": [None for _ in ids],
            "group.plate": [None for _ in ids] if plates is None else list(plates),
        },
        schema_overrides={
            "labels": pl.List(pl.Int64),
            "files": pl.List(pl.String),
            "domain": pl.String,
            "group.plate": pl.String,
        },
    )
    names = tuple(f"class {number}" for number in range(classes or max(known) + 1))
    return ImageTable(frame, names, "multiclass")


def draw(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))
