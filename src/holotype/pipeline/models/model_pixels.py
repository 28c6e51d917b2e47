"""The stored images of a model, and what a backbone sees in them before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from holotype.cache import Stages, UnknownUntilRunError
from holotype.core.errors import DataError
from holotype.core.runtime import Runtime
from holotype.data import CacheFormat, PixelCache, build_pixel_cache, input_size, open_pixel_cache, plan_pixel_cache
from holotype.loading import ImageDataset, compute_row_normalization, make_dataset
from holotype.pipeline.cache_keys import embed_key, pixel_cache_key, statistics_key
from holotype.recipe.sections import ModelSpec
from holotype.types import Floats, ImageStatistics, ImageTable, Integers, LabelMatrix

__all__ = [
    "cache_format",
    "cached_pixels",
    "embed_with_model",
    "reopen_cached_pixels",
    "resolve_model",
    "unlabeled_dataset",
]


def resolve_model(model: ModelSpec, statistics: ImageStatistics) -> ModelSpec:
    """A model whose input size is a number.

    Args:
        model: The recipe's section.
        statistics: Sizes of all images.
    """
    size = input_size(statistics, model.input.size)
    return model.model_copy(update={"input": model.input.model_copy(update={"size": size})})


def cache_format(model: ModelSpec, statistics: ImageStatistics) -> CacheFormat:
    """The form in which a model asks for the images to be stored.

    Args:
        model: The recipe's section, its size resolved.
        statistics: Sizes, channels and depths of the images.
    """
    tile = model.input.tile
    plan = plan_pixel_cache(statistics, model.stored_size, model.input.resize, tile.size if tile else None)
    has_missing = "missing" in statistics.frame.columns and (statistics.frame["missing"].list.max() > 0).any()
    fills_with_mean = model.input.normalize == "dataset" and has_missing
    return replace(plan, fill=statistics.normalization.mean) if fills_with_mean else plan


def cached_pixels(
    model: ModelSpec, images: ImageTable, statistics: ImageStatistics, stages: Stages, machine: tuple[Runtime, str]
) -> PixelCache:
    """The stored images, in the form that a model asks for.

    Args:
        model: The recipe's section, its size resolved.
        images: The table.
        statistics: Of every image.
        stages: Takes from the store what is there.
        machine: The runtime, and how pixels are kept: `auto` in the store, `none` in memory.
    """
    runtime, mode = machine
    plan = cache_format(model, statistics)
    empty = PixelCache(np.empty((0, *plan.shape[1:]), plan.depth), plan.resize_mode)
    digests = statistics.frame["digest"].to_list()
    with _remove_statistics_on_change(images, stages):
        if mode == "none":
            pixels = (
                empty.pixels if stages.is_dry_run else build_pixel_cache(images, plan, None, runtime, digests=digests)
            )
            return PixelCache(pixels, plan.resize_mode)
        key = pixel_cache_key(plan, model.stored_size, statistics)
        workspace = stages.store.workspace(key)
        folder = stages.cached_folder(
            key, lambda into: build_pixel_cache(images, plan, into, runtime, workspace, digests=digests)
        )
    return empty if stages.is_dry_run else open_pixel_cache(folder)


@contextmanager
def _remove_statistics_on_change(images: ImageTable, stages: Stages) -> Iterator[None]:
    """Forget the statistics of images that are not what was measured, so that the next run measures them again."""
    try:
        yield
    except DataError:
        stages.store.remove_key(statistics_key(images))
        raise


def reopen_cached_pixels(
    model: ModelSpec, images: ImageTable, statistics: ImageStatistics, stages: Stages, machine: tuple[Runtime, str]
) -> PixelCache:
    """The stored images once more, without another line in the log where a stage of the run has made them.

    Args:
        model: The recipe's section, its size resolved.
        images: The table.
        statistics: Of every image.
        stages: Knows the store.
        machine: As in `cached_pixels`.
    """
    key = pixel_cache_key(cache_format(model, statistics), model.stored_size, statistics)
    if machine[1] != "none" and stages.store.contains(key):
        return open_pixel_cache(stages.store.path(key))
    return cached_pixels(model, images, statistics, stages, machine)


def embed_with_model(
    model: ModelSpec,
    images: ImageTable,
    statistics: ImageStatistics,
    rows: Integers,
    stages: Stages,
    machine: tuple[Runtime, str],
) -> Floats:
    """What the backbone that a model starts from sees in the images, before anything is trained.

    Args:
        model: The recipe's section, its size resolved.
        images: The table.
        statistics: Of every image.
        rows: The image rows that can be read.
        stages: Takes from the store what is there.
        machine: As in `cached_pixels`.

    Returns:
        Shape (image rows, width); NaN in other rows.

    Raises:
        UnknownUntilRunError: In a forecast, where the store does not hold them.
    """
    runtime = machine[0]
    key = embed_key(model, rows, statistics, runtime, compute_row_normalization(model, images, statistics))

    def write(folder: object) -> None:
        from holotype.prediction import embed_images
        from holotype.training import launch_fabric

        pixel_cache = cached_pixels(model, images, statistics, stages, machine)
        dataset = unlabeled_dataset(model, pixel_cache, images, statistics)
        embeddings = embed_images(model, dataset, rows, runtime, launch_fabric(runtime).device)
        np.save(f"{folder}/embeddings.npy", embeddings, allow_pickle=False)

    cache_folder = stages.cached_folder(key, write)
    if not cache_folder.is_dir():
        raise UnknownUntilRunError(key.stage)
    embeddings = np.load(cache_folder / "embeddings.npy", allow_pickle=False)
    table = np.full((len(images), embeddings.shape[1]), np.nan, np.float32)
    table[rows] = embeddings
    return table


def unlabeled_dataset(
    model: ModelSpec, pixel_cache: PixelCache, images: ImageTable, statistics: ImageStatistics
) -> ImageDataset:
    """Images of which no label is known.

    Args:
        model: The recipe's section, its size resolved.
        pixel_cache: The stored images.
        images: The table.
        statistics: Of every image.
    """
    return make_dataset(
        model, pixel_cache, images, statistics, statistics.normalization, LabelMatrix.empty(len(images), 2)
    )
