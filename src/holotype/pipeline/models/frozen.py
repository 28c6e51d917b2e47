"""Frozen backbones: features of every image once, and a classifier per fold in the place of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holotype.cache import Reads, StepOutput, StepResult, library_versions, step
from holotype.core.digest import digest_array, digest_value
from holotype.loading import ImageDataset, compute_row_normalization
from holotype.networks import architecture_of, weights_identity
from holotype.pipeline.models.digests import computed_precision, job_label
from holotype.pipeline.models.model_pixels import cache_format, cached_pixels, unlabeled_dataset
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import ModelSpec, PredictSpec
from holotype.training import FitJob
from holotype.types import Floats, Integers


def _feature_reads(model: ModelSpec, views: PredictSpec, context: TrainingContext) -> Reads:
    statistics = context.data.statistics
    plan = cache_format(model, statistics)
    stored = [plan.shape[1:], plan.depth, plan.resize_mode, plan.scale, plan.fill]
    settings = model.model_dump(mode="json", include={"backbone", "activation", "input"})
    settings |= {"backbone": architecture_of(model.backbone)}  # not the place of a model folder
    settings |= {"pool": model.head.pool, "views": views.model_dump(mode="json")["tta"]}
    settings |= {"precision": computed_precision(context.runtime), "stored size": model.stored_size}
    if not isinstance(views.tta, str):
        settings["augment"] = model.augment.model_dump(mode="json")
    digests = {
        "weights": weights_identity(model.backbone, model.weights),
        "normalization": digest_value(asdict(statistics.normalization)),
        "form of the stored images": digest_value(stored),
        "libraries": library_versions("torch", "timm", "pillow"),
        "images": digest_array(np.unique(_image_keys(model, context))),
    }
    return Reads(settings, digests, model.name if views.tta == "none" else f"{model.name} views")


@step("features", 2, _feature_reads)
def compute_features(output: StepOutput, model: ModelSpec, views: PredictSpec, context: TrainingContext) -> None:
    """Features of all readable images by a frozen backbone, view by view; those of earlier tables are taken over."""
    from holotype.prediction import embed_views
    from holotype.training import launch_fabric

    keys = _image_keys(model, context)
    rows = np.setdiff1d(np.arange(len(context.images)), context.data.audit.unreadable)
    unique, first = np.unique(keys[rows], return_index=True)
    features, is_computed = _take_over_features(output, unique, context)
    missing = np.flatnonzero(~is_computed)
    if len(missing):
        dataset = unlabeled_dataset(model, cached_pixels(model, context), context)
        device = launch_fabric(context.runtime).device
        start = 0
        for part in embed_views(model, views, dataset, rows[first[missing]], context.runtime, device):
            if features is None:
                features = _open_features(output.folder, (len(unique), *part.shape[1:]))
            features[missing[start : start + len(part)]] = part
            start += len(part)
    np.save(output.folder / "keys.npy", unique, allow_pickle=False)


def _take_over_features(
    output: StepOutput, keys: NDArray[np.str_], context: TrainingContext
) -> tuple[Floats | None, NDArray[np.bool_]]:
    """Features that an earlier run computed for the same images with the same settings, and a mask of them."""
    is_computed, features = np.zeros(len(keys), bool), None
    for folder in _earlier_features(output, context):
        earlier = np.load(folder / "keys.npy", allow_pickle=False)
        common, ours, theirs = np.intersect1d(keys, earlier, return_indices=True)
        if len(common) and not is_computed[ours].all():
            stored = np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False)
            features = (
                features if features is not None else _open_features(output.folder, (len(keys), *stored.shape[1:]))
            )
            features[ours] = stored[theirs]
            is_computed[ours] = True
    return features, is_computed


def _earlier_features(output: StepOutput, context: TrainingContext) -> Iterator[Path]:
    store = context.steps.store
    settings = {name: digest for name, digest in output.key.parts.items() if name != "images"}
    for folder in store.list_artifacts(output.key.family):
        parts = {name: digest for name, digest in store.parts(folder).items() if name != "images"}
        if parts == settings and not store.describe_damage(folder):
            yield folder


def _open_features(folder: Path, shape: tuple[int, ...]) -> Floats:
    return np.lib.format.open_memmap(folder / "features.npy", mode="w+", dtype=np.float32, shape=shape)


def _image_keys(model: ModelSpec, context: TrainingContext) -> NDArray[np.str_]:
    """Key of each image row: the digest of its pixels, and of its own normalization if it has one."""
    statistics = context.data.statistics
    digests = statistics.frame["digest"].fill_null("").to_numpy().astype("U")
    scales = compute_row_normalization(model, context.images, statistics)
    if scales is None:
        return digests
    each = (digest_value([*(part[row].tolist() for part in scales)]) for row in range(len(digests)))
    return np.array([f"{digest} {scale}" for digest, scale in zip(digests, each, strict=True)])


def read_features(result: StepResult, model: ModelSpec, rows: Integers, context: TrainingContext) -> Floats:
    """Features of some image rows, shape (n, views, width)."""
    keys = np.load(result.folder / "keys.npy", allow_pickle=False)
    features = np.load(result.folder / "features.npy", mmap_mode="r", allow_pickle=False)
    return features[np.searchsorted(keys, _image_keys(model, context)[rows])]


def _fit_reads(job: FitJob, features: StepResult, dataset: ImageDataset, context: TrainingContext) -> Reads:
    """The fit reads the features and labels of its rows, and their independent groups."""
    spec, cached = job.model.classifier, dataset.pixel_cache
    digests = {
        "features": features.key.digest,
        "rows": digest_array(job.train_rows),
        "keys of the rows": digest_array(_image_keys(job.model, context)[job.train_rows].astype("S")),
        "labels": dataset.truth.rows(job.train_rows).digest(),
        "groups": digest_array(_groups(job, context)),
        "form of the stored images": digest_value([cached.pixels.shape[1:], cached.resize_mode]),
        "classes": digest_value([job.classes, job.kind, job.channels]),
        "libraries": library_versions("scikit-learn", "lightgbm", "torch"),
    }
    settings = {
        "classifier": spec.model_dump(mode="json") if spec else None,
        "head": job.model.head.model_dump(mode="json"),
    }
    return Reads(settings | {"seed": job.seed, "fold": job.fold, "name": job.model.name}, digests, job_label(job))


@step("fit", 9, _fit_reads)
def fit_frozen_network(
    output: StepOutput, job: FitJob, features: StepResult, dataset: ImageDataset, context: TrainingContext
) -> None:
    """Classifier of one fold on frozen features, written as the last layer of the network."""
    from holotype.training import fit_frozen

    rows = read_features(features, job.model, job.train_rows, context)[:, 0]
    fit_frozen(job, dataset, rows, _groups(job, context), output.folder, context.runtime)


def _groups(job: FitJob, context: TrainingContext) -> Integers:
    """Independent group of each training row."""
    return context.data.folds.component[context.images.sample_numbers[job.train_rows]]
