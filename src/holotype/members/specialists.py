"""Domains with networks of their own, each fine-tuned from the overall one of the same fold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from holotype.feed import Specimens
from holotype.members.networks import Trained, ask, train
from holotype.members.workshop import Workshop
from holotype.train import specialist_job
from holotype.types import Folds, ImageTable, Integers, Predictions

__all__ = ["domains_with_specialists", "train_specialists"]


def domains_with_specialists(images: ImageTable, folds: Folds, least: int) -> tuple[list[str], list[str]]:
    """The domains that have enough labelled samples outside of every used fold, and those that have not.

    Args:
        images: The table.
        folds: Which sample is in which fold.
        least: How many are enough.
    """
    labelled = np.setdiff1d(images.samples.of_role("train", "external"), folds.left_out)
    domain = images.samples.frame["domain"].gather(labelled).fill_null("").to_numpy()
    fold = folds.fold_of_sample[labelled]
    names = sorted({str(name) for name in domain if name})
    enough = [name for name in names if min(((domain == name) & (fold != used)).sum() for used in folds.used) >= least]
    return enough, [name for name in names if name not in enough]


def train_specialists(
    overall: Trained, parts: Mapping[str, Integers], specimens: Specimens, workshop: Workshop
) -> list[tuple[Trained, dict[str, list[Predictions]]]]:
    """The domains' own networks of one fold, and what each says of its domain's rows.

    Args:
        overall: The fold's overall network.
        parts: Image rows by name, of any domain.
        specimens: Pixels and labels.
        workshop: What networks are made from.

    Returns:
        One entry a domain that has rows to train on; predictions are missing in a forecast where the store does not
        hold them.
    """
    spec, images = overall.job.member.specialise, workshop.images
    if spec is None:
        return []
    made = []
    for domain in domains_with_specialists(images, workshop.ready.folds, spec.least)[0]:
        is_own = (images.frame["domain"].cast(pl.String) == domain).fill_null(False).to_numpy()
        job = specialist_job(overall.job, domain, is_own, (overall.network, overall.key.digest))
        if not len(job.train_rows):  # a domain of one group, and that group is among those that choose
            if workshop.stages.makes:
                workshop.runtime.progress.say(
                    f"note: {job.label}: no specialist, for all of its training rows are among those that choose a "
                    "checkpoint; the overall model answers for it in this fold"
                )
            continue
        if len(job.inner_rows) and not is_own[job.inner_rows].any() and workshop.stages.makes:
            workshop.runtime.progress.say(
                f"note: {job.label}: no sample of this domain is among those that choose a checkpoint, so that "
                "samples of other domains choose it"
            )
        network = train(job, specimens, workshop)
        own = {name: rows[is_own[rows]] for name, rows in parts.items()}
        made.append((network, ask(network, own, specimens, workshop)))
    return made
