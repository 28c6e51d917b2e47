"""Specialists: networks of one domain, fine-tuned from the overall network of the same fold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from holotype.pipeline.models.networks import TrainedNetwork, predict_rows, train_network
from holotype.pipeline.models.training_context import TrainingContext
from holotype.training import specialist_job
from holotype.types import Folds, ImageTable, Integers, Predictions


def domains_with_specialists(images: ImageTable, folds: Folds, min_samples: int) -> tuple[list[str], list[str]]:
    """Domains with enough labeled samples outside of every trained fold, and the others."""
    labeled = np.setdiff1d(images.samples.of_role("train", "external"), folds.left_out)
    domain = images.samples.frame["domain"].gather(labeled).fill_null("").to_numpy()
    fold = folds.fold_of_sample[labeled]
    names = sorted({str(name) for name in domain if name})
    enough = [
        name
        for name in names
        if min(((domain == name) & (fold != used_fold)).sum() for used_fold in folds.used) >= min_samples
    ]
    return enough, [name for name in names if name not in enough]


def train_specialists(
    overall: TrainedNetwork, parts: Mapping[str, Integers], context: TrainingContext
) -> list[tuple[TrainedNetwork, dict[str, list[Predictions]]]]:
    """Train the specialists of a fold and predict with them.

    Returns:
        One entry per domain that has training rows.
    """
    spec, images = overall.job.model.specialists, context.images
    if spec is None:
        return []

    def train(domain: str) -> tuple[TrainedNetwork, dict[str, list[Predictions]]] | None:
        in_domain = (images.frame["domain"].cast(pl.String) == domain).fill_null(False).to_numpy()
        job = specialist_job(
            overall.job, domain, in_domain, init_checkpoint=overall.result.path, init_digest=overall.key.digest
        )
        if not len(job.train_rows):  # the only group of the domain is an inner one
            context.runtime.progress.info(
                f"note: {job.label}: no specialist in this fold, because all of its training rows select checkpoints; "
                "the overall network predicts the domain"
            )
            return None
        if len(job.inner_rows) and not in_domain[job.inner_rows].any():
            context.runtime.progress.info(
                f"note: {job.label}: no sample of this domain is among those that select checkpoints; samples of "
                "other domains do"
            )
        network = train_network(job, overall.dataset, context)
        domain_rows = {name: rows[in_domain[rows]] for name, rows in parts.items()}
        return network, predict_rows(network, domain_rows, context)

    domains = domains_with_specialists(images, context.data.folds, spec.min_samples)[0]
    return [specialist for specialist in context.steps.each(train, domains) if specialist is not None]
