"""Indexes on disk, for models that are served: embeddings in safetensors, what is known of their rows in Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.core.digest import digest_file
from holotype.core.errors import DataError, StoreError
from holotype.core.table_files import read_parquet, write_parquet
from holotype.networks import load_arrays, save_tensors
from holotype.types import Floats

__all__ = ["IndexedImages", "load_index", "save_index"]

EMBEDDINGS, IMAGES = "embeddings.safetensors", "images.parquet"


@dataclass(frozen=True)
class IndexedImages:
    """Indexed images: their embeddings and labels.

    Args:
        embeddings: Shape (specimens, width).
        images: One row an embedding, with what is known of it: `row`, `id`, `labels` and whatever else was given.
        metadata: What JSON can hold: the temperature, the prior, the kind of index.
    """

    embeddings: Floats
    images: pl.DataFrame
    metadata: dict[str, Any] = field(default_factory=dict)


def save_index(
    folder: Path, embeddings: Floats, images: pl.DataFrame, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write embeddings and what is known of their rows, whole or not at all.

    Args:
        folder: Is made if it is not there.
        embeddings: Finite, shape (specimens, width); kept in float32.
        images: One row an embedding: `row`, `id`, `labels` or whatever tells what it is.
        metadata: What JSON can hold: the temperature, the prior, the kind of index.

    Raises:
        DataError: There is not one row an embedding, or an embedding is not finite.
        StoreError: The disk is full, or does not let itself be written.
    """
    import torch

    vectors = np.ascontiguousarray(embeddings, np.float32)
    if vectors.ndim != 2 or len(vectors) != images.height or not np.isfinite(vectors).all():
        raise DataError(
            f"embeddings of shape {vectors.shape} and {images.height:,} rows of specimens cannot be saved together",
            field="neighbors",
            remedy="give finite embeddings, as (rows, width), one row of specimens each",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(images, folder / IMAGES)
        digest = digest_file(folder / IMAGES)
    except OSError as error:
        raise StoreError(
            f"{IMAGES} cannot be written into {folder}: {error.strerror or error}",
            remedy="free some room and run the same command again",
        ) from error
    # The embeddings come last and name the rows they belong to: a pair of two writings is refused.
    save_tensors(folder / EMBEDDINGS, {"embeddings": torch.from_numpy(vectors)}, {"rows": digest, **(metadata or {})})


def load_index(folder: Path) -> IndexedImages:
    """Read what `save_index` wrote.

    Args:
        folder: Where it lies.

    Raises:
        StoreError: A file is missing, torn, or of another writing than the other.
    """
    arrays, metadata = load_arrays(folder / EMBEDDINGS)
    try:
        digest = digest_file(folder / IMAGES)
        if "embeddings" not in arrays or metadata.pop("rows", None) != digest:
            raise StoreError(
                f"{EMBEDDINGS} and {IMAGES} in {folder} are not of one writing",
                remedy="delete both and write the index again",
            )
        images = read_parquet(folder / IMAGES)
    except OSError as error:
        raise StoreError(
            f"{folder / IMAGES} cannot be read: {error}", remedy="delete the folder and write the index again"
        ) from error
    return IndexedImages(arrays["embeddings"], images, metadata)
