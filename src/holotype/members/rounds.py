"""A network trained by rounds: each one's sure answers join the training of the next, within one fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from holotype.errors import counted
from holotype.feed import Specimens
from holotype.members.networks import Trained, ask, train
from holotype.members.workshop import Workshop
from holotype.split import tied_images
from holotype.train import FitJob, join_pseudo_labels
from holotype.types import Integers

__all__ = ["train_by_rounds"]


def train_by_rounds(job: FitJob, specimens: Specimens, workshop: Workshop) -> tuple[Trained, Specimens] | None:
    """The last network of a fold, and the labels it was trained with.

    Args:
        job: Of the first round.
        specimens: Pixels and labels.
        workshop: What networks are made from.

    Returns:
        None in a forecast where a round before the last is missing.
    """
    made, spec = train(job, specimens, workshop), job.member.pseudo
    for _ in range(spec.rounds if spec is not None else 0):
        rows, tied = _candidates(made.job, workshop)
        said = ask(made, {"candidates": rows}, specimens, workshop, "pseudo")
        if not said:
            return None
        images = workshop.images
        owners, kind = images.sample_numbers, images.kind
        later, labels = join_pseudo_labels(made.job, said["candidates"][0], owners, kind, tied)
        workshop.runtime.progress.say(
            f"{later.label}: {counted(len(later.pseudo_rows), 'image')} of {len(rows):,} join with labels that the "
            "network before is sure of"
        )
        if not len(later.pseudo_rows):
            break  # it would be the same network again
        specimens = replace(specimens, truth=specimens.truth.with_rows(later.pseudo_rows, labels))
        made = train(later, specimens, workshop)
    return made, specimens


def _candidates(job: FitJob, workshop: Workshop) -> tuple[Integers, NDArray[np.bool_]]:
    """The rows that may join a fold's training, and which rows of the table are tied to the fold."""
    ready, spec = workshop.ready, job.member.pseudo
    tied = tied_images(ready.images, ready.audit, job.validation_rows)
    tied |= tied_images(ready.images, ready.audit, job.inner_rows)
    roles = {"test": ["test"], "external": ["external"], "both": ["test", "external"]}[spec.rows if spec else "test"]
    rows = np.setdiff1d(ready.images.rows_of_role(*roles), ready.folds.unreadable)
    left_out = np.isin(ready.images.sample_numbers, np.setdiff1d(ready.folds.left_out, ready.folds.validation))
    apart = np.isin(ready.images.sample_numbers, ready.folds.validation)
    return rows[~(tied | left_out | apart)[rows]].astype(np.int64), tied
