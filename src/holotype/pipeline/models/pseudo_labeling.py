"""Pseudo-labeling: confident predictions of a fold's network join the training of its next round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import pluralize
from holotype.loading import ImageDataset
from holotype.pipeline.models.networks import TrainedNetwork, predict_rows, train_network
from holotype.pipeline.models.training_context import TrainingContext
from holotype.split import related_images
from holotype.training import FitJob, join_pseudo_labels
from holotype.types import Integers


def train_with_pseudo_labels(job: FitJob, dataset: ImageDataset, context: TrainingContext) -> TrainedNetwork:
    """Train a fold's network in rounds of pseudo-labeling, and return that of the last round."""
    trained, spec = train_network(job, dataset, context), job.model.pseudo_labels
    for _ in range(spec.rounds if spec is not None else 0):
        rows, tied = _candidate_rows(trained.job, context)
        predictions = predict_rows(trained, {"candidates": rows}, context)
        images = context.images
        owners, kind = images.sample_numbers, images.kind
        next_job, labels = join_pseudo_labels(trained.job, predictions["candidates"][0], owners, kind, tied)
        context.runtime.progress.info(
            f"{next_job.label}: {len(next_job.pseudo_rows):,} of {pluralize(len(rows), 'image')} join with confident "
            "labels of the previous round"
        )
        if not len(next_job.pseudo_rows):
            break  # the next network would be the same
        truth = dataset.truth.with_rows(next_job.pseudo_rows, labels)
        dataset = replace(dataset, truth=truth)
        trained = train_network(next_job, dataset, context)
    return trained


def _candidate_rows(job: FitJob, context: TrainingContext) -> tuple[Integers, NDArray[np.bool_]]:
    """Candidate rows for pseudo-labels, and a mask of all rows related to the fold."""
    data, spec = context.data, job.model.pseudo_labels
    tied = related_images(data.images, data.audit, job.validation_rows)
    tied |= related_images(data.images, data.audit, job.inner_rows)
    roles = {"test": ["test"], "external": ["external"], "both": ["test", "external"]}[spec.roles if spec else "test"]
    rows = np.setdiff1d(data.images.rows_of_role(*roles), data.folds.unreadable)
    left_out = np.isin(data.images.sample_numbers, np.setdiff1d(data.folds.left_out, data.folds.validation))
    in_validation = np.isin(data.images.sample_numbers, data.folds.validation)
    return rows[~(tied | left_out | in_validation)[rows]].astype(np.int64), tied
