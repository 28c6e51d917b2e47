"""Networks of a fold: training and prediction, both cached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from holotype.cache import StepKey
from holotype.loading import ImageDataset
from holotype.networks import open_checkpoint
from holotype.pipeline.cache_keys import fit_key, predict_key
from holotype.pipeline.models.training_context import TrainingContext
from holotype.prediction import load_scores, save_scores
from holotype.training import FitJob
from holotype.types import Integers, Predictions, take_rows

__all__ = ["TrainedNetwork", "predict_rows", "train_network"]


@dataclass(frozen=True)
class TrainedNetwork:
    """Trained network: its job, cache key and checkpoint folder."""

    job: FitJob
    key: StepKey
    network: Path


def train_network(job: FitJob, dataset: ImageDataset, context: TrainingContext) -> TrainedNetwork:
    """Train a network, or take it from the cache."""
    steps, runtime = context.steps, context.runtime
    key = fit_key(job, context.data.statistics, dataset, runtime)
    workspace = steps.store.workspace(key)
    keyed_job = replace(job, pixels_digest=key.inputs["pixels of the training rows"])

    def write(folder: Path) -> None:
        from holotype.training import fit_model

        fit_model(keyed_job, dataset, folder, workspace, runtime)

    return TrainedNetwork(job, key, steps.cached_folder(key, write))


def predict_rows(
    trained: TrainedNetwork,
    parts: Mapping[str, Integers],
    dataset: ImageDataset,
    context: TrainingContext,
    purpose: str = "predict",
) -> dict[str, list[Predictions]]:
    """Predict some rows with a trained network.

    Args:
        parts: Image rows by name of the part.
        purpose: First word of the step's name.

    Returns:
        By part, one entry per pooling and the first view alone last; empty in a dry run if the cache lacks them.
    """
    names = [name for name, rows in parts.items() if len(rows)] or list(parts)[:1]
    by_name = {name: _predict_part(trained, name, parts[name], dataset, context, purpose) for name in names}
    available = {name: entry for name, entry in by_name.items() if entry is not None}
    if len(available) < len(names):
        return {}
    empty = [
        replace(entry, rows=entry.rows[:0], logits=take_rows(entry.logits, slice(0))) for entry in available[names[0]]
    ]
    return {name: available.get(name, empty) for name in parts}


def _predict_part(
    trained: TrainedNetwork, name: str, rows: Integers, dataset: ImageDataset, context: TrainingContext, purpose: str
) -> list[Predictions] | None:
    """Predict one part as a step of its own, so that a change of other parts does not repeat it."""
    job, runtime = trained.job, context.runtime
    key = predict_key(
        job,
        trained.key,
        context.data.statistics,
        rows,
        purpose=purpose,
        row_normalization=dataset.row_normalization,
        part="" if name in {"oof", "candidates"} else name,
    )

    def write(folder: Path) -> None:
        from holotype.prediction import infer
        from holotype.training import launch_fabric

        device = launch_fabric(runtime).device
        predictions = infer(open_checkpoint(trained.network), dataset, rows, job.model.predict, runtime, device)
        np.save(folder / "rows.npy", rows, allow_pickle=False)
        for prediction in predictions:
            save_scores(folder, prediction.pool, prediction.logits)

    cache_folder = context.steps.cached_folder(key, write)
    return _read_predictions(cache_folder, job) if cache_folder.is_dir() else None


def _read_predictions(folder: Path, job: FitJob) -> list[Predictions]:
    rows = np.load(folder / "rows.npy", allow_pickle=False)
    return [
        Predictions(job.model.name, job.fold, rows, load_scores(folder, pool, len(job.classes)), pool)
        for pool in (*job.model.predict.pools, "first-view")
    ]
