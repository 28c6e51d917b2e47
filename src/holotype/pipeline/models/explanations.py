"""Explanations by a trained network: embedding map and heat maps, both cached."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.digest import digest_array
from holotype.data import resize_image
from holotype.loading import ImageDataset, compute_row_normalization
from holotype.networks import open_checkpoint
from holotype.pipeline.cache_keys import explanation_key
from holotype.pipeline.models.model_pixels import reopen_cached_pixels, unlabeled_dataset
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import ModelSpec
from holotype.training import ALL_ROWS
from holotype.types import Floats, Integers

__all__ = ["EmbeddingMap", "ExplainedModel", "embedding_map", "heat_maps"]

THUMBNAIL_SIZES, MAX_THUMBNAIL_BYTES = (96, 64, 48), 40_000_000  # pixels of the longer side; the first that fits


@dataclass(frozen=True)
class ExplainedModel:
    """Explained model: the one whose networks explain samples.

    Args:
        networks: Checkpoint folders in the cache, by fold.
        context: The context they were trained in.
    """

    model: ModelSpec
    networks: dict[int, Path]
    context: TrainingContext

    @property
    def first_fold(self) -> int:
        """First fold that has a network."""
        return min(fold for fold in self.networks if fold != ALL_ROWS)

    @cached_property
    def dataset(self) -> ImageDataset:
        """Images as network inputs, opened only if needed."""
        return unlabeled_dataset(self.model, reopen_cached_pixels(self.model, self.context), self.context)

    @property
    def row_normalization(self) -> tuple[Floats, Floats] | None:
        """Normalization of each image row, if it replaces that of the dataset."""
        return compute_row_normalization(self.model, self.context.images, self.context.data.statistics)

    def describe(self, fold: int) -> str:
        """Describe a network by model and held-out fold."""
        return f"{self.model.name}, fold {fold}"


@dataclass(frozen=True)
class EmbeddingMap:
    """Embedding map: images embedded by one network and projected to the plane.

    Args:
        rows: Image rows, shape (n,).
        embeddings: Shape (n, width).
        coordinates: Shape (n, 2), from -1 to 1.
        thumbnails: Shape (n, channels, height, width).
        method: Name of the projection, in words.
    """

    rows: Integers
    embeddings: Floats
    coordinates: Floats
    thumbnails: NDArray[Any]
    method: str


def embedding_map(explained: ExplainedModel, fold: int, rows: Integers) -> EmbeddingMap:
    """Embed images by one network and project them to the plane.

    Args:
        rows: Image rows, shape (n,).
    """
    network, context = explained.networks[fold], explained.context
    runtime, name = context.runtime, f"map {explained.model.name} {fold}"
    key = explanation_key(
        name, network, context.data.statistics, rows, {"seed": context.seed}, explained.row_normalization
    )

    def write(folder: Path) -> None:
        from holotype.neighbors import project
        from holotype.prediction import embed_with_network
        from holotype.training import launch_fabric

        device = launch_fabric(runtime).device
        dataset = explained.dataset
        embeddings = embed_with_network(open_checkpoint(network), dataset, rows, runtime, device)
        coordinates, method = project(embeddings, context.seed)
        np.save(folder / "embeddings.npy", embeddings, allow_pickle=False)
        np.save(folder / "places.npy", coordinates, allow_pickle=False)
        np.save(folder / "thumbs.npy", _make_thumbnails(dataset, rows), allow_pickle=False)
        (folder / "how.json").write_text(json.dumps(method), encoding="utf-8")

    cache_folder = context.steps.cached_folder(key, write)
    embeddings, coordinates, thumbnails = (
        np.load(cache_folder / f"{part}.npy", allow_pickle=False) for part in ("embeddings", "places", "thumbs")
    )
    return EmbeddingMap(
        rows, embeddings, coordinates, thumbnails, json.loads((cache_folder / "how.json").read_text(encoding="utf-8"))
    )


def heat_maps(explained: ExplainedModel, fold: int, rows: Integers, classes: Integers) -> Floats:
    """Heat maps (Grad-CAM) of one class in each of some images.

    Args:
        rows: Image rows, shape (n,).
        classes: Indices into the network's own classes, shape (n,).

    Returns:
        Shape (n, height, width) of the cached images, 0 to 1.

    Raises:
        InputError: The backbone has no feature map.
    """
    network, context = explained.networks[fold], explained.context
    runtime, name = context.runtime, f"heat {explained.model.name} {fold}"
    key = explanation_key(
        name, network, context.data.statistics, rows, {"classes": digest_array(classes)}, explained.row_normalization
    )

    def write(folder: Path) -> None:
        from holotype.prediction import grad_cam
        from holotype.training import launch_fabric

        device = launch_fabric(runtime).device
        heat = grad_cam(open_checkpoint(network), explained.dataset, rows, classes, runtime, device)
        np.save(folder / "heat.npy", heat.astype(np.float16), allow_pickle=False)

    cache_folder = context.steps.cached_folder(key, write)
    return np.load(cache_folder / "heat.npy", allow_pickle=False).astype(np.float32)


def _make_thumbnails(dataset: ImageDataset, rows: Integers) -> NDArray[Any]:
    stored = dataset.pixel_cache.pixels
    each = len(rows) * stored.shape[1] * stored.dtype.itemsize
    side = next((side for side in THUMBNAIL_SIZES if each * side * side <= MAX_THUMBNAIL_BYTES), THUMBNAIL_SIZES[-1])
    share = min(1.0, side / max(stored.shape[2:]))
    sides = [max(1, round(side * share)) for side in stored.shape[2:]]
    images = [resize_image(np.asarray(stored[row]), *sides) for row in rows]
    return np.stack(images) if images else np.empty((0, stored.shape[1], *sides), stored.dtype)
