"""Cached pixels of a model, and embeddings of its pretrained backbone. Models come from `resolve_model`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np

from holotype.cache import Reads, StepOutput, library_versions, step
from holotype.core.digest import digest_array, digest_value
from holotype.core.errors import DataError
from holotype.data import CacheFormat, PixelCache, build_pixel_cache, input_size, open_pixel_cache, plan_pixel_cache
from holotype.loading import ImageDataset, compute_row_normalization, make_dataset
from holotype.networks import architecture_of, weights_identity
from holotype.pipeline.data_steps import measure_table
from holotype.pipeline.models.digests import computed_precision, digest_inputs, digest_pixels
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import ModelSpec
from holotype.types import Floats, ImageStatistics, Integers, LabelMatrix


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


def _pixel_cache_reads(plan: CacheFormat, size: int, context: TrainingContext) -> Reads:
    settings = asdict(plan) | {"skipped": sorted(plan.skipped)}
    digests = {"pixels": digest_pixels(context.data.statistics), "resampling": library_versions("pillow")}
    return Reads(settings, digests, str(size))


@step("pixels", 8, _pixel_cache_reads)
def build_cached_pixels(output: StepOutput, plan: CacheFormat, _size: int, context: TrainingContext) -> None:
    """Pixel cache: all images decoded and resized."""
    digests = context.data.statistics.frame["digest"].to_list()
    build_pixel_cache(context.images, plan, output.folder, context.runtime, output.workspace, digests=digests)


def cached_pixels(model: ModelSpec, context: TrainingContext) -> PixelCache:
    """Cached pixels in the format that a model needs; built if they are missing.

    A dry run has their format alone: no network reads a pixel in it.
    """
    plan = cache_format(model, context.data.statistics)
    with _remove_statistics_on_change(context):
        if context.cache == "none":
            return _pixels_in_memory(plan, context)
        result = build_cached_pixels(context.steps, plan, model.stored_size, context)
    return open_pixel_cache(result.folder) if result.is_cached else _without_images(plan)


@contextmanager
def _remove_statistics_on_change(context: TrainingContext) -> Iterator[None]:
    """Remove the statistics of changed images from the cache, so that the next run measures them again."""
    try:
        yield
    except DataError:
        context.steps.store.remove_key(measure_table.key(context.images, context.runtime))
        raise


def _pixels_in_memory(plan: CacheFormat, context: TrainingContext) -> PixelCache:
    if not context.steps.executes:
        return _without_images(plan)
    digests = context.data.statistics.frame["digest"].to_list()
    pixels = build_pixel_cache(context.images, plan, None, context.runtime, digests=digests)
    return PixelCache(pixels, plan.resize_mode)


def _without_images(plan: CacheFormat) -> PixelCache:
    return PixelCache(np.empty((0, *plan.shape[1:]), plan.depth), plan.resize_mode)


def reopen_cached_pixels(model: ModelSpec, context: TrainingContext) -> PixelCache:
    """Reopen cached pixels without another line in the log, if a step of the run has built them."""
    key = build_cached_pixels.key(cache_format(model, context.data.statistics), model.stored_size, context)
    if context.cache != "none" and context.steps.store.contains(key):
        return open_pixel_cache(context.steps.store.path(key))
    return cached_pixels(model, context)


def _embedding_reads(model: ModelSpec, rows: Integers, context: TrainingContext) -> Reads:
    images, statistics = context.images, context.data.statistics
    settings = model.model_dump(mode="json", include={"backbone", "activation", "input", "head"})
    settings |= {"backbone": architecture_of(model.backbone)}
    settings |= {"stored size": model.stored_size, "precision": computed_precision(context.runtime)}
    digests = {
        "pixels": digest_inputs(statistics, rows, compute_row_normalization(model, images, statistics)),
        "rows": digest_array(rows),
        "normalization": digest_value(asdict(statistics.normalization)),
        "weights": weights_identity(model.backbone, model.weights),
        "libraries": library_versions("torch", "timm"),
    }
    return Reads(settings, digests)


@step("embeddings", 3, _embedding_reads)
def embed_table(output: StepOutput, model: ModelSpec, rows: Integers, context: TrainingContext) -> None:
    """Embeddings of images by a frozen pretrained backbone."""
    from holotype.prediction import embed_images
    from holotype.training import launch_fabric

    dataset = unlabeled_dataset(model, cached_pixels(model, context), context)
    embeddings = embed_images(model, dataset, rows, context.runtime, launch_fabric(context.runtime).device)
    np.save(output.folder / "embeddings.npy", embeddings, allow_pickle=False)


def embed_with_model(model: ModelSpec, rows: Integers, context: TrainingContext) -> Floats:
    """Embed images with the pretrained backbone of a model, before any training.

    Args:
        rows: Readable image rows.

    Returns:
        Shape (image rows, width); NaN in other rows.
    """
    result = embed_table(context.steps, model, rows, context)
    embeddings = np.load(result.folder / "embeddings.npy", allow_pickle=False)
    table = np.full((len(context.images), embeddings.shape[1]), np.nan, np.float32)
    table[rows] = embeddings
    return table


def unlabeled_dataset(model: ModelSpec, pixel_cache: PixelCache, context: TrainingContext) -> ImageDataset:
    """Dataset of images without labels."""
    images, statistics = context.images, context.data.statistics
    truth = LabelMatrix.empty(len(images), 2)
    return make_dataset(model, pixel_cache, images, statistics, statistics.normalization, truth)
