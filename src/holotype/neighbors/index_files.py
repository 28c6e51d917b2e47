"""Index files of a served model: embeddings as safetensors, ids and labels of their rows as Parquet."""

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
from holotype.core.tensor_files import load_arrays, save_tensors
from holotype.types import Floats

EMBEDDINGS, IMAGES = "embeddings.safetensors", "images.parquet"


@dataclass(frozen=True)
class IndexedImages:
    """Indexed images: their embeddings and labels.

    Args:
        embeddings: Shape (images, width).
        images: One row per embedding, with `row`, `id`, `labels` and any other columns.
    """

    embeddings: Floats
    images: pl.DataFrame
    metadata: dict[str, Any] = field(default_factory=dict)


def save_index(
    folder: Path, embeddings: Floats, images: pl.DataFrame, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write embeddings and the table of their rows; an interrupted write is detected by `load_index`.

    `embeddings`: finite, shape (images, width); stored as float32. Raises DataError if the number of rows differs from
    the number of embeddings, or an embedding is not finite. Raises StoreError if the folder cannot be written.
    """
    import torch

    vectors = np.ascontiguousarray(embeddings, np.float32)
    if vectors.ndim != 2 or len(vectors) != images.height or not np.isfinite(vectors).all():
        raise DataError(
            f"embeddings of shape {vectors.shape} do not match the {images.height:,} rows of images",
            field="neighbors",
            remedy="pass finite embeddings of shape (rows, width), one per row of images",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(images, folder / IMAGES)
        digest = digest_file(folder / IMAGES)
    except OSError as error:
        raise StoreError(
            f"{IMAGES} cannot be written into {folder}: {error.strerror or error}",
            remedy="free some disk space and run the same command again",
        ) from error
    # The embeddings are written last and hold the digest of the table, so that a mixed pair is detected.
    save_tensors(folder / EMBEDDINGS, {"embeddings": torch.from_numpy(vectors)}, {"rows": digest, **(metadata or {})})


def load_index(folder: Path) -> IndexedImages:
    """Read what `save_index` wrote.

    Raises StoreError if a file is missing or damaged, or the two files were not written together.
    """
    arrays, metadata = load_arrays(folder / EMBEDDINGS)
    try:
        digest = digest_file(folder / IMAGES)
        if "embeddings" not in arrays or metadata.pop("rows", None) != digest:
            raise StoreError(
                f"{EMBEDDINGS} and {IMAGES} in {folder} were not written together",
                remedy="delete both and write the index again",
            )
        images = read_parquet(folder / IMAGES)
    except OSError as error:
        raise StoreError(
            f"{folder / IMAGES} cannot be read: {error}", remedy="delete the folder and write the index again"
        ) from error
    return IndexedImages(arrays["embeddings"], images, metadata)
