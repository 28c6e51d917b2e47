"""What moves while a network is trained, and what is seen of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from holotype.decide import decide_plainly
from holotype.feed import Specimens
from holotype.metrics import log_loss, macro_f1
from holotype.predict import Reading, in_precision, infer_logits
from holotype.progress import Task
from holotype.runtime import Runtime
from holotype.spec import PhaseSpec, ViewSpec
from holotype.train.average import MovingAverage
from holotype.train.course import Course
from holotype.train.features import Features
from holotype.train.job import FitJob
from holotype.types import MANY, AnyScores, Integers, TopScores

__all__ = ["PLAIN", "Stage", "Training", "examine"]

PLAIN = ViewSpec(views="none")


@dataclass
class Training:
    """A network on its way.

    Args:
        job: Member, fold and rows.
        specimens: Pixels and labels.
        fabric: Device, precision and processes.
        network: With `backbone` and `head`, on the device.
        workspace: Where the state is kept.
        runtime: Threads, batch and progress.
        task: Counts images.
        course: Where the training stands.
        loss_sum: Of the present epoch, times its images.
        saved_at: When the state was last written, by the monotonic clock.
    """

    job: FitJob
    specimens: Specimens
    fabric: Fabric
    network: nn.Module
    workspace: Path
    runtime: Runtime
    task: Task
    course: Course
    loss_sum: Tensor
    saved_at: float = field(default_factory=time.monotonic)


@dataclass
class Stage:
    """A phase while it is trained.

    Args:
        number: Of the phase.
        phase: The recipe's section.
        moving: What is trained, as `fabric.setup` gave it: the network, or its head on features.
        optimiser: As `fabric.setup` gave it.
        rates: The largest rate of each group of the optimiser.
        loss: A function of logits, targets and the epochs of the phase that are done.
        average: Of the weights, where there is one.
        features: Of a frozen backbone, where they are reused.
    """

    number: int
    phase: PhaseSpec
    moving: nn.Module
    optimiser: Optimizer
    rates: list[float]
    loss: Callable[..., Tensor]
    average: MovingAverage | None = None
    features: Features | None = None


def examine(training: Training, stage: Stage | None, rows: Integers) -> dict[str, float]:
    """Loss and score of some rows under the network as it stands, plainly seen.

    Args:
        training: The network, and where the images lie.
        stage: Knows the features of a frozen backbone; without it the images are looked at anew.
        rows: Image rows.

    Returns:
        `loss` (log loss; NaN where a logit is no number) and `score` (macro F1; NaN where no class has a positive row).
    """
    job, network = training.job, training.network
    network.eval()
    if stage is not None and stage.features is not None:
        logits = stage.features.logits(network, rows)
    else:
        logits = _together(training, rows)
    truth = training.specimens.truth.rows(rows)
    decided = decide_plainly(logits, job.kind)
    known = np.asarray(logits.logit if isinstance(logits, TopScores) else logits)
    marks = {
        "loss": float(log_loss(truth, decided, logits, job.kind)) if np.isfinite(known).all() else math.nan,
        "score": float(macro_f1(truth, decided, logits, job.kind)),
    }
    return dict(training.fabric.broadcast(marks))  # all processes decide by the same numbers


def _together(training: Training, rows: Integers) -> AnyScores:
    """Scores of some rows, each by one of the processes, and every row once."""
    fabric, job = training.fabric, training.job
    alone = fabric.world_size == 1 or len(job.classes) > MANY
    own = np.arange(len(rows))[slice(None) if alone else slice(fabric.global_rank, None, fabric.world_size)]
    reading = Reading(job.size, job.kind, PLAIN)
    network = in_precision(training.network, training.runtime.precision, fabric.device)
    said = infer_logits(network, training.specimens, rows[own], reading, fabric.device)
    if alone:
        return said
    every = torch.zeros((len(rows), len(job.classes)), device=fabric.device)
    every[torch.from_numpy(own)] = torch.from_numpy(np.asarray(said)).to(fabric.device)
    summed: AnyScores = torch.as_tensor(fabric.all_reduce(every, reduce_op="sum")).cpu().numpy()
    return summed
