"""New images as network inputs: measured once, cached in the format of the training images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.digest import digest_value
from holotype.core.errors import DataError, join_names
from holotype.core.runtime import Runtime
from holotype.data import CacheFormat, PixelCache, build_pixel_cache, measure_images
from holotype.loading import ImageDataset, make_dataset
from holotype.pipeline.models import cache_format
from holotype.pipeline.out_of_distribution import TrainingRanges
from holotype.recipe.sections import ModelSpec
from holotype.types import ImageStatistics, ImageTable, Integers, LabelMatrix, Normalization


@dataclass(frozen=True)
class NewImages:
    """New images with their measurements.

    Args:
        last: Dataset of the last network by specification; the next network mostly needs the same.
    """

    images: ImageTable
    statistics: ImageStatistics
    runtime: Runtime
    pixels: Callable[[CacheFormat], NDArray[Any]]
    last: dict[str, ImageDataset] = field(default_factory=dict)


def measure_new_images(images: ImageTable, runtime: Runtime, ranges: TrainingRanges) -> NewImages:
    """Measure new images, and refuse those that cannot be predicted."""
    statistics = measure_images(images, runtime)
    require_usable(unusable_images(images, statistics, ranges), len(images))
    return usable_images(images, statistics, np.arange(len(images)), runtime)


def unusable_images(images: ImageTable, statistics: ImageStatistics, ranges: TrainingRanges) -> dict[int, str]:
    """Unusable images with the reason: unreadable, wrong channels, wrong depth.

    `images`: a column `unread` says why a file's format is not read.
    """
    reasons: dict[int, str] = {}
    unread = images.frame["unread"] if "unread" in images.frame.columns else [None] * len(images)
    facts = statistics.frame.select("error", "depth", "channels").iter_rows()
    for row, (format_words, (error, depth, channels)) in enumerate(zip(unread, facts, strict=True)):
        reason = (format_words or error) if error is not None else ranges.mismatch(depth, channels)
        if reason is not None:
            reasons[row] = reason if error is not None else f"{images.frame['id'][row]}: {reason}"
    return reasons


def require_usable(reasons: Mapping[int, str], count: int) -> None:
    """Refuse images that cannot be predicted. Raises DataError if there are such images."""
    if reasons:
        what = f"{len(reasons):,} of {count:,} images cannot be read or are unlike the training images"
        raise DataError(
            f"{what}: {join_names(reasons.values())}",
            field="images",
            remedy="fix or remove them, or skip them with --skip-unreadable",
        )


def usable_images(images: ImageTable, statistics: ImageStatistics, rows: Integers, runtime: Runtime) -> NewImages:
    """Select measured images for prediction."""
    usable = replace(images, frame=images.frame[rows]) if len(rows) < len(images) else images
    measured = replace(statistics, frame=statistics.frame[rows])
    return NewImages(usable, measured, runtime, _LastPixelCache(usable, runtime))


class _LastPixelCache:
    """Pixel cache in memory that keeps the last format, because the networks of a model need the same one."""

    def __init__(self, images: ImageTable, runtime: Runtime) -> None:
        self.images, self.runtime = images, runtime
        self.plan: CacheFormat | None = None
        self.pixels: NDArray[Any] = np.empty(0)

    def __call__(self, plan: CacheFormat) -> NDArray[Any]:
        if plan != self.plan:
            self.plan, self.pixels = None, np.empty(0)  # never two in memory
            self.pixels, self.plan = build_pixel_cache(self.images, plan, None, self.runtime), plan
        return self.pixels


def cache_format_for(card: dict[str, Any], statistics: ImageStatistics) -> CacheFormat:
    """Cache format of a network's training images, for new images."""
    channel_counts = statistics.frame["channels"].unique().to_list()
    if channel_counts != [card["channels"]]:
        raise DataError(
            f"the images have {join_names(channel_counts)} channels and the run was trained on {card['channels']}"
        )
    model = ModelSpec.model_validate(card["model"])
    plan = cache_format(model, statistics)
    fill = tuple(card["normalization"]["mean"]) if model.input.normalize == "dataset" else None
    return replace(plan, shape=(*plan.shape[:2], *card["canvas"]), fill=fill)


def dataset_for(card: dict[str, Any], new: NewImages) -> ImageDataset:
    """Dataset of new images in the cache format of a network's training images."""
    specification = {name: card[name] for name in ("model", "channels", "canvas", "normalization", "classes")}
    key = digest_value(specification)
    if key in new.last:
        return new.last[key]
    new.last.clear()
    plan = cache_format_for(card, new.statistics)
    model = ModelSpec.model_validate(card["model"])
    scale = Normalization.from_facts(card["normalization"])
    truth = LabelMatrix.empty(len(new.images), len(card["classes"]))
    pack = PixelCache(new.pixels(plan), plan.resize_mode)
    new.last[key] = make_dataset(model, pack, new.images, new.statistics, scale, truth)
    return new.last[key]
