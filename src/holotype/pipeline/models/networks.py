"""Networks of a fold: training and prediction, both cached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from holotype.cache import Reads, StepKey, StepOutput, StepResult, library_versions, step
from holotype.core.digest import digest_array, digest_value
from holotype.core.runtime import Runtime
from holotype.loading import ImageDataset
from holotype.networks import architecture_of, open_checkpoint, weights_identity
from holotype.pipeline.models.digests import computed_precision, digest_inputs, job_label
from holotype.pipeline.models.frozen import compute_features, fit_frozen_network, read_features
from holotype.pipeline.models.training_context import TrainingContext
from holotype.prediction import load_scores, save_scores
from holotype.recipe.sections import PredictSpec
from holotype.training import FitJob
from holotype.types import ImageStatistics, Integers, Predictions, take_rows

FIELDS_LEFT_OUT = {"predict", "specialists", "pseudo_labels", "neighbors", "weights"}
FIELDS_LEFT_OUT |= {"predictions", "classifier", "measurements"}
"""Fields of a model that training does not read as they are written."""


@dataclass(frozen=True)
class TrainedNetwork:
    """Trained network of one job, and the dataset that it was trained on."""

    job: FitJob
    result: StepResult
    dataset: ImageDataset

    @property
    def key(self) -> StepKey:
        """Cache key of the training."""
        return self.result.key

    @property
    def network(self) -> Path:
        """Checkpoint folder.

        Raises:
            UnknownUntilRunError: In a dry run, if it would be trained.
        """
        return self.result.folder


def _training_reads(job: FitJob, statistics: ImageStatistics, dataset: ImageDataset, runtime: Runtime) -> Reads:
    """Training reads its rows' pixels and labels, the weights it starts from, and the batch and precision."""
    truth, cached_pixels = dataset.truth, dataset.pixel_cache.pixels
    rows = {"training rows": job.train_rows, "fold": job.validation_rows, "rows that choose": job.inner_rows}
    digests = {
        f"pixels of the {name}": digest_inputs(statistics, row_set, dataset.row_normalization)
        for name, row_set in rows.items()
    }
    digests |= {f"labels of the {name}": truth.rows(row_set).digest() for name, row_set in rows.items()}
    digests |= {
        "training rows": digest_array(job.train_rows),
        "rows that choose": digest_array(job.inner_rows),
        "external rows": digest_array(job.external),
        "form of the stored images": digest_value(
            [cached_pixels.shape[1:], cached_pixels.dtype.name, dataset.pixel_cache.resize_mode]
        ),
        "normalization": digest_value(asdict(job.normalization)),
        "channels": digest_value([job.channels, dataset.input_channels, dataset.jitter_channels]),
        "windows": digest_value([dataset.tiles and asdict(dataset.tiles), dataset.crop_share]),
        "classes": digest_value([job.classes, job.kind]),
        "weights": weights_identity(job.model.backbone, job.model.weights, job.fold),
        "libraries": library_versions("torch", "timm"),
    }
    if job.pseudo_round:
        digests["rows that join"] = digest_array(job.pseudo_rows)
        digests["labels of the rows that join"] = truth.rows(job.pseudo_rows).digest()
        digests["pixels of the rows that join"] = digest_inputs(statistics, job.pseudo_rows, dataset.row_normalization)
    if job.init_checkpoint is not None:
        digests["overall network"] = job.init_digest
    if job.rank_heads is not None:
        digests["taxonomy"] = digest_value(asdict(job.rank_heads))
    settings = job.model.model_dump(mode="json", exclude=FIELDS_LEFT_OUT)
    settings["backbone"] = architecture_of(job.model.backbone)  # not the place of a model folder
    settings |= {"seed": job.seed, "fold": job.fold, "batch": runtime.batch, "precision": computed_precision(runtime)}
    settings |= {"processes": runtime.processes} if runtime.processes > 1 else {}
    pseudo = job.model.pseudo_labels
    if job.pseudo_round and pseudo is not None:
        settings["joining"] = [job.pseudo_round, pseudo.weight, pseudo.ramp_epochs]
    settings |= {"domain": job.domain} if job.domain is not None else {}
    return Reads(settings, digests, job_label(job))


@step("fit", 8, _training_reads)
def fit_network(
    output: StepOutput, job: FitJob, statistics: ImageStatistics, dataset: ImageDataset, runtime: Runtime
) -> None:
    """Training of one network."""
    from holotype.training import fit_model

    job = replace(job, pixels_digest=output.key.inputs["pixels of the training rows"])
    fit_model(job, dataset, output.folder, output.workspace, runtime)


def train_network(job: FitJob, dataset: ImageDataset, context: TrainingContext) -> TrainedNetwork:
    """Train a network, or fit the classifier of a frozen backbone; or take it from the cache."""
    if job.model.is_frozen:
        features = compute_features(context.steps, job.model, PredictSpec(tta="none"), context)
        return TrainedNetwork(job, fit_frozen_network(context.steps, job, features, dataset, context), dataset)
    result = fit_network(context.steps, job, context.data.statistics, dataset, context.runtime)
    return TrainedNetwork(job, result, dataset)


def _prediction_reads(trained: TrainedNetwork, rows: Integers, part: str, context: TrainingContext) -> Reads:
    """A prediction reads the network, the rows' pixels, and TTA views and pooling."""
    digests = {
        "network": trained.key.digest,
        "pixels": digest_inputs(context.data.statistics, rows, trained.dataset.row_normalization),
        "rows": digest_array(rows),
    }
    settings = trained.job.model.predict.model_dump(mode="json")
    return Reads(settings, digests, job_label(trained.job, "" if part == "oof" else part))


@step("predict", 6, _prediction_reads)
def predict_part(
    output: StepOutput, trained: TrainedNetwork, rows: Integers, _part: str, context: TrainingContext
) -> None:
    """Predictions of one network for some rows: its held-out fold, test rows or pseudo-label candidates."""
    from holotype.prediction import infer, infer_features
    from holotype.training import launch_fabric

    model, checkpoint = trained.job.model, open_checkpoint(trained.network)
    if model.is_frozen:
        features = read_features(compute_features(context.steps, model, model.predict, context), model, rows, context)
        predictions = infer_features(checkpoint, features, rows, model.predict)
    else:
        device = launch_fabric(context.runtime).device
        predictions = infer(checkpoint, trained.dataset, rows, model.predict, context.runtime, device)
    np.save(output.folder / "rows.npy", rows, allow_pickle=False)
    for prediction in predictions:
        save_scores(output.folder, prediction.pool, prediction.logits)


def predict_rows(
    trained: TrainedNetwork, parts: Mapping[str, Integers], context: TrainingContext
) -> dict[str, list[Predictions]]:
    """Predict some rows with a trained network.

    Args:
        parts: Image rows by name of the part; each part is a step, so that a change of others does not repeat it.

    Returns:
        By part, one entry per pooling and the first view alone last.
    """
    names = [name for name, rows in parts.items() if len(rows)] or list(parts)[:1]
    model = trained.job.model
    if model.is_frozen:
        compute_features(context.steps, model, model.predict, context)

    def predict(name: str) -> list[Predictions]:
        result = predict_part(context.steps, trained, parts[name], name, context)
        return _read_predictions(result.folder, trained.job)

    predictions = dict(zip(names, context.steps.each(predict, names), strict=True))
    empty = [
        replace(entry, rows=entry.rows[:0], logits=take_rows(entry.logits, slice(0))) for entry in predictions[names[0]]
    ]
    return {name: predictions.get(name, empty) for name in parts}


def _read_predictions(folder: Path, job: FitJob) -> list[Predictions]:
    rows = np.load(folder / "rows.npy", allow_pickle=False)
    return [
        Predictions(job.model.name, job.fold, rows, load_scores(folder, pool, len(job.classes)), pool)
        for pool in (*job.model.predict.pools, "first-view")
    ]
