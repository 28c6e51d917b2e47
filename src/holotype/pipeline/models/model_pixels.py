"""Cached pixels of a model, and embeddings of its pretrained backbone. Models come from `resolve_model`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from holotype.cache import UnknownUntilRunError
from holotype.core.errors import DataError
from holotype.data import CacheFormat, PixelCache, build_pixel_cache, input_size, open_pixel_cache, plan_pixel_cache
from holotype.loading import ImageDataset, compute_row_normalization, make_dataset
from holotype.pipeline.cache_keys import embed_key, pixel_cache_key, statistics_key
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import ModelSpec
from holotype.types import Floats, ImageStatistics, Integers, LabelMatrix

__all__ = [
    "cache_format",
    "cached_pixels",
    "embed_with_model",
    "reopen_cached_pixels",
    "resolve_model",
    "unlabeled_dataset",
]


def resolve_model(model: ModelSpec, statistics: ImageStatistics) -> ModelSpec:
    """Resolve the input size of a model to a number of pixels."""
    size = input_size(statistics, model.input.size)
    return model.model_copy(update={"input": model.input.model_copy(update={"size": size})})


def cache_format(model: ModelSpec, statistics: ImageStatistics) -> CacheFormat:
    """Pixel cache format that a model needs."""
    tile = model.input.tile
    plan = plan_pixel_cache(statistics, model.stored_size, model.input.resize, tile.size if tile else None)
    has_missing = "missing" in statistics.frame.columns and (statistics.frame["missing"].list.max() > 0).any()
    fills_with_mean = model.input.normalize == "dataset" and has_missing
    return replace(plan, fill=statistics.normalization.mean) if fills_with_mean else plan


def cached_pixels(model: ModelSpec, context: TrainingContext) -> PixelCache:
    """Cached pixels in the format that a model needs; built if they are missing."""
    images, statistics, steps, runtime = context.images, context.data.statistics, context.steps, context.runtime
    plan = cache_format(model, statistics)
    empty = PixelCache(np.empty((0, *plan.shape[1:]), plan.depth), plan.resize_mode)
    digests = statistics.frame["digest"].to_list()
    with _remove_statistics_on_change(context):
        if context.cache == "none":
            pixels = (
                empty.pixels if steps.is_dry_run else build_pixel_cache(images, plan, None, runtime, digests=digests)
            )
            return PixelCache(pixels, plan.resize_mode)
        key = pixel_cache_key(plan, model.stored_size, statistics)
        workspace = steps.store.workspace(key)
        folder = steps.cached_folder(
            key, lambda into: build_pixel_cache(images, plan, into, runtime, workspace, digests=digests)
        )
    return empty if steps.is_dry_run else open_pixel_cache(folder)


@contextmanager
def _remove_statistics_on_change(context: TrainingContext) -> Iterator[None]:
    """Remove the statistics of changed images from the cache, so that the next run measures them again."""
    try:
        yield
    except DataError:
        context.steps.store.remove_key(statistics_key(context.images))
        raise


def reopen_cached_pixels(model: ModelSpec, context: TrainingContext) -> PixelCache:
    """Reopen cached pixels without another line in the log, if a step of the run has built them."""
    statistics, store = context.data.statistics, context.steps.store
    key = pixel_cache_key(cache_format(model, statistics), model.stored_size, statistics)
    if context.cache != "none" and store.contains(key):
        return open_pixel_cache(store.path(key))
    return cached_pixels(model, context)


def embed_with_model(model: ModelSpec, rows: Integers, context: TrainingContext) -> Floats:
    """Embed images with the pretrained backbone of a model, before any training.

    Args:
        rows: Readable image rows.

    Returns:
        Shape (image rows, width); NaN in other rows.

    Raises:
        UnknownUntilRunError: In a dry run, if the cache lacks them.
    """
    images, statistics, runtime = context.images, context.data.statistics, context.runtime
    key = embed_key(model, rows, statistics, runtime, compute_row_normalization(model, images, statistics))

    def write(folder: object) -> None:
        from holotype.prediction import embed_images
        from holotype.training import launch_fabric

        dataset = unlabeled_dataset(model, cached_pixels(model, context), context)
        embeddings = embed_images(model, dataset, rows, runtime, launch_fabric(runtime).device)
        np.save(f"{folder}/embeddings.npy", embeddings, allow_pickle=False)

    cache_folder = context.steps.cached_folder(key, write)
    if not cache_folder.is_dir():
        raise UnknownUntilRunError(key.step)
    embeddings = np.load(cache_folder / "embeddings.npy", allow_pickle=False)
    table = np.full((len(images), embeddings.shape[1]), np.nan, np.float32)
    table[rows] = embeddings
    return table


def unlabeled_dataset(model: ModelSpec, pixel_cache: PixelCache, context: TrainingContext) -> ImageDataset:
    """Dataset of images without labels."""
    images, statistics = context.images, context.data.statistics
    truth = LabelMatrix.empty(len(images), 2)
    return make_dataset(model, pixel_cache, images, statistics, statistics.normalization, truth)
