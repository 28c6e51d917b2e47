"""Explanations by a trained network: embedding map and heat maps, both cached."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.cache import Reads, StepOutput, library_versions, step
from holotype.core.digest import digest_array
from holotype.data import resize_image
from holotype.loading import ImageDataset, compute_row_normalization
from holotype.networks import open_checkpoint
from holotype.pipeline.models.digests import digest_inputs
from holotype.pipeline.models.model_pixels import reopen_cached_pixels, unlabeled_dataset
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import ModelSpec
from holotype.training import ALL_ROWS
from holotype.types import Floats, Integers

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


def _explanation_reads(settings: dict[str, Any], explained: ExplainedModel, fold: int, rows: Integers) -> Reads:
    digests = {
        "network": explained.networks[fold].name,  # in the cache, its folder is named after its key
        "pixels": digest_inputs(explained.context.data.statistics, rows, explained.row_normalization),
        "rows": digest_array(rows),
        "projection": library_versions("scikit-learn"),
    }
    return Reads(settings, digests, f"{explained.model.name} {fold}")


def _map_reads(explained: ExplainedModel, fold: int, rows: Integers) -> Reads:
    return _explanation_reads({"seed": explained.context.seed}, explained, fold, rows)


@step("map", 4, _map_reads)
def make_embedding_map(output: StepOutput, explained: ExplainedModel, fold: int, rows: Integers) -> None:
    """Embedding map: images embedded by one network and projected to the plane."""
    from holotype.neighbors import project
    from holotype.prediction import embed_with_network
    from holotype.training import launch_fabric

    runtime, dataset = explained.context.runtime, explained.dataset
    checkpoint, device = open_checkpoint(explained.networks[fold]), launch_fabric(runtime).device
    embeddings = embed_with_network(checkpoint, dataset, rows, runtime, device)
    coordinates, method = project(embeddings, explained.context.seed)
    output.write(EmbeddingMap(rows, embeddings, coordinates, _make_thumbnails(dataset, rows), method))


def embedding_map(explained: ExplainedModel, fold: int, rows: Integers) -> EmbeddingMap:
    """Embed images by one network and project them to the plane.

    Args:
        rows: Image rows, shape (n,).
    """
    return make_embedding_map(explained.context.steps, explained, fold, rows).read(EmbeddingMap)


def _heat_map_reads(explained: ExplainedModel, fold: int, rows: Integers, classes: Integers) -> Reads:
    return _explanation_reads({"classes": digest_array(classes)}, explained, fold, rows)


@step("heat", 3, _heat_map_reads)
def make_heat_maps(output: StepOutput, explained: ExplainedModel, fold: int, rows: Integers, classes: Integers) -> None:
    """Heat maps (Grad-CAM) of one class in each of some images."""
    from holotype.prediction import grad_cam
    from holotype.training import launch_fabric

    runtime = explained.context.runtime
    checkpoint, device = open_checkpoint(explained.networks[fold]), launch_fabric(runtime).device
    heat = grad_cam(checkpoint, explained.dataset, rows, classes, runtime, device)
    np.save(output.folder / "heat.npy", heat.astype(np.float16), allow_pickle=False)


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
    folder = make_heat_maps(explained.context.steps, explained, fold, rows, classes).folder
    return np.load(folder / "heat.npy", allow_pickle=False).astype(np.float32)


def _make_thumbnails(dataset: ImageDataset, rows: Integers) -> NDArray[Any]:
    stored = dataset.pixel_cache.pixels
    each = len(rows) * stored.shape[1] * stored.dtype.itemsize
    side = next((side for side in THUMBNAIL_SIZES if each * side * side <= MAX_THUMBNAIL_BYTES), THUMBNAIL_SIZES[-1])
    share = min(1.0, side / max(stored.shape[2:]))
    sides = [max(1, round(side * share)) for side in stored.shape[2:]]
    images = [resize_image(np.asarray(stored[row]), *sides) for row in rows]
    return np.stack(images) if images else np.empty((0, stored.shape[1], *sides), stored.dtype)
