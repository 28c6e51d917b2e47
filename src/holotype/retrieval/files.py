"""Indexes on disk, for models that are served: embeddings in safetensors, what is known of their rows in Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from holotype.digest import digest_file
from holotype.errors import DataError, StoreError
from holotype.nets import load_tensors, save_tensors
from holotype.table_files import read_parquet, write_parquet
from holotype.types import Floats

__all__ = ["Collection", "load_index", "save_index"]

EMBEDDINGS, SPECIMENS = "embeddings.safetensors", "specimens.parquet"


@dataclass(frozen=True)
class Collection:
    """Specimens with their embeddings: what an index is made of.

    Args:
        embeddings: Shape (specimens, width).
        specimens: One row an embedding, with what is known of it: `row`, `id`, `labels` and whatever else was given.
        facts: What JSON can hold: the temperature, the prior, the kind of index.
    """

    embeddings: Floats
    specimens: pl.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)


def save_index(
    folder: Path, embeddings: Floats, specimens: pl.DataFrame, facts: Mapping[str, Any] | None = None
) -> None:
    """Write embeddings and what is known of their rows, whole or not at all.

    Args:
        folder: Is made if it is not there.
        embeddings: Finite, shape (specimens, width); kept in float32.
        specimens: One row an embedding: `row`, `id`, `labels` or whatever tells what it is.
        facts: What JSON can hold: the temperature, the prior, the kind of index.

    Raises:
        DataError: There is not one row an embedding, or an embedding is not finite.
        StoreError: The disk is full, or does not let itself be written.
    """
    vectors = np.ascontiguousarray(embeddings, np.float32)
    if vectors.ndim != 2 or len(vectors) != specimens.height or not np.isfinite(vectors).all():
        raise DataError(
            f"embeddings of shape {vectors.shape} and {specimens.height:,} rows of specimens cannot be saved together",
            field="neighbours",
            remedy="give finite embeddings, as (rows, width), one row of specimens each",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(specimens, folder / SPECIMENS)
        digest = digest_file(folder / SPECIMENS)
    except OSError as error:
        raise StoreError(
            f"{SPECIMENS} cannot be written into {folder}: {error.strerror or error}",
            remedy="free some room and run the same command again",
        ) from error
    # The embeddings come last and name the rows they belong to: a pair of two writings is refused.
    save_tensors(folder / EMBEDDINGS, {"embeddings": torch.from_numpy(vectors)}, {"rows": digest, **(facts or {})})


def load_index(folder: Path) -> Collection:
    """Read what `save_index` wrote.

    Args:
        folder: Where it lies.

    Raises:
        StoreError: A file is missing, torn, or of another writing than the other.
    """
    tensors, facts = load_tensors(folder / EMBEDDINGS)
    try:
        written = digest_file(folder / SPECIMENS)
        if "embeddings" not in tensors or facts.pop("rows", None) != written:
            raise StoreError(
                f"{EMBEDDINGS} and {SPECIMENS} in {folder} are not of one writing",
                remedy="delete both and write the index again",
            )
        specimens = read_parquet(folder / SPECIMENS)
    except OSError as error:
        raise StoreError(
            f"{folder / SPECIMENS} cannot be read: {error}", remedy="delete the folder and write the index again"
        ) from error
    return Collection(tensors["embeddings"].numpy(), specimens, facts)
