"""Export check: compare a graph with its run on images of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from scipy.special import log_softmax

from holotype.core.errors import HolotypeError, InputError
from holotype.core.progress import Progress
from holotype.recipe.sections import ModelSpec
from holotype.runs.export.formats import Session
from holotype.runs.fitted_run import FittedRun
from holotype.runs.model_predictors import ModelPredictor, predict_model
from holotype.runs.new_dataset import NewImages, dataset_for, measure_new_images
from holotype.types import AnyScores, Checkpoint, Floats, ImageTable, TopKScores

IMAGES_CHECKED = 8
TOLERANCE = 1e-4  # difference of a logit
ERROR_LIMIT = 1e-2  # larger differences are not rounding errors
TOP_CLASSES = 5  # classes to compare if the run keeps top scores only


@dataclass(frozen=True)
class GraphModel:
    """One model of a graph. `section`: its `predict` section has the views and pooling of the graph."""

    name: str
    section: ModelSpec
    routes: tuple[str, ...]
    checkpoints: tuple[Checkpoint, ...]


def covers_whole_run(fitted_run: FittedRun, graph_models: Sequence[GraphModel]) -> bool:
    """Tell if the graph is the whole run, so that the run's calibration, decision and score apply to it."""
    return len(graph_models) == len(fitted_run.ensemble.models) and not fitted_run.ensemble.stack


def compare_with_run(
    fitted_run: FittedRun, graph_models: Sequence[GraphModel], session: Session, domain: str | None
) -> dict[str, Any]:
    """Compare logits of the graph with those of the run on a few images.

    Returns number of images, largest difference of a logit, and its meaning in words.
    """
    fitted_run = replace(fitted_run, runtime=replace(fitted_run.runtime, progress=Progress(quiet=True)))
    images = sample_images(fitted_run, domain)
    try:
        new = measure_new_images(images, fitted_run.runtime, fitted_run.training_ranges)
        pixels = dataset_for(graph_models[0].checkpoints[0].card, new).pixel_cache.pixels.astype(np.float32)
    except (InputError, OSError):
        return {"images": 0, "largest_difference": None, "words": "not checked: the images of the run are missing"}
    truth = _run_logits(fitted_run, graph_models, new)
    logits, _ = session(pixels)
    single, _ = session(pixels[:1])
    difference = max(_largest_difference(truth, logits), float(np.abs(single[0] - logits[0]).max()))
    size = max(1.0, float(np.abs(logits).max()))
    if not difference <= ERROR_LIMIT * size:
        raise HolotypeError(
            f"the graph differs from the run by {difference:.2g} of a logit",
            remedy="try the other --format, and report the backbone as a bug",
        )
    words = (
        f"the same as the run, within {TOLERANCE:g}"
        if difference <= TOLERANCE
        else f"not within {TOLERANCE:g} of the run"
    )
    of = "log-probability of the likeliest" if isinstance(truth, TopKScores) else "logit"
    return {"images": len(images), "largest_difference": difference, "of": of, "words": words}


def sample_images(fitted_run: FittedRun, domain: str | None) -> ImageTable:
    """Sample a few images of the run as new ones of a domain."""
    frame = fitted_run.folder.images()
    rows = np.unique(np.linspace(0, frame.height - 1, IMAGES_CHECKED).astype(int))
    frame = frame[rows].with_columns(
        pl.col("id").alias("sample"),
        pl.lit("test").alias("role"),
        pl.lit(None, pl.List(pl.Int64)).alias("labels"),
        pl.lit(domain, pl.String).alias("domain"),
    )
    decision, data = fitted_run.decision, fitted_run.recipe.data
    channels = tuple(data.channels) if data.channels else None
    return ImageTable(frame, decision.classes, decision.kind, channels, projection=data.projection)


def _run_logits(fitted_run: FittedRun, graph_models: Sequence[GraphModel], new: NewImages) -> AnyScores:
    if covers_whole_run(fitted_run, graph_models):
        models = fitted_run.recipe.model_copy(update={"models": [graph_model.section for graph_model in graph_models]})
        return replace(fitted_run, recipe=models).logits(new.images)
    (graph_model,) = graph_models
    fitted_model = next(
        candidate
        for candidate in fitted_run.models
        if isinstance(candidate, ModelPredictor) and candidate.section.name == graph_model.name
    )
    return predict_model(
        replace(
            fitted_model,
            section=graph_model.section,
            pool=graph_model.section.predict.pooling,
            routes=graph_model.routes,
        ),
        new,
    ).logits


def _largest_difference(truth: AnyScores, logits: Floats) -> float:
    if not isinstance(truth, TopKScores):
        return float(np.abs(np.asarray(truth) - logits).max())
    top_classes = truth.top_classes[:, :TOP_CLASSES].astype(int)
    expected = truth.top_logits[:, :TOP_CLASSES] - truth.total[:, None]
    actual = np.take_along_axis(log_softmax(logits.astype(np.float64), axis=1), top_classes, axis=1)
    return float(np.abs(expected - actual).max())
