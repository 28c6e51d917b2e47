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

from holotype.core.progress import Task
from holotype.core.runtime import Runtime
from holotype.evaluation.metrics import log_loss, macro_f1
from holotype.loading import ImageDataset
from holotype.postprocessing.decision import default_labels
from holotype.prediction import InferenceOptions, in_precision, infer_logits
from holotype.recipe.sections import PhaseSpec, PredictSpec
from holotype.training.features import Features
from holotype.training.job import FitJob
from holotype.training.progress import TrainingProgress
from holotype.training.weight_averaging import MovingAverage
from holotype.types import MANY_CLASSES, AnyScores, Integers, TopKScores

__all__ = ["IDENTITY_VIEW", "PhaseState", "TrainingState", "evaluate"]

IDENTITY_VIEW = PredictSpec(tta="none")


@dataclass
class TrainingState:
    """A network on its way.

    Args:
        job: Model, fold and rows.
        dataset: Pixels and labels.
        fabric: Device, precision and processes.
        network: With `backbone` and `head`, on the device.
        workspace: Where the state is kept.
        runtime: Threads, batch and progress.
        task: Counts images.
        progress: Where the training stands.
        loss_sum: Of the present epoch, times its images.
        saved_at: When the state was last written, by the monotonic clock.
    """

    job: FitJob
    dataset: ImageDataset
    fabric: Fabric
    network: nn.Module
    workspace: Path
    runtime: Runtime
    task: Task
    progress: TrainingProgress
    loss_sum: Tensor
    saved_at: float = field(default_factory=time.monotonic)


@dataclass
class PhaseState:
    """A phase while it is trained.

    Args:
        number: Of the phase.
        phase: The recipe's section.
        trainable: What is trained, as `fabric.setup` gave it: the network, or its head on features.
        optimizer: As `fabric.setup` gave it.
        rates: The largest rate of each group of the optimizer.
        loss: A function of logits, targets and the epochs of the phase that are done.
        average: Of the weights, where there is one.
        features: Of a frozen backbone, where they are reused.
    """

    number: int
    phase: PhaseSpec
    trainable: nn.Module
    optimizer: Optimizer
    rates: list[float]
    loss: Callable[..., Tensor]
    average: MovingAverage | None = None
    features: Features | None = None


def evaluate(training: TrainingState, phase_state: PhaseState | None, rows: Integers) -> dict[str, float]:
    """Loss and score of some rows under the network as it stands, plainly seen.

    Args:
        training: The network, and where the images lie.
        phase_state: Knows the features of a frozen backbone; without it the images are looked at anew.
        rows: Image rows.

    Returns:
        `loss` (log loss; NaN where a logit is no number) and `score` (macro F1; NaN where no class has a positive row).
    """
    job, network = training.job, training.network
    network.eval()
    if phase_state is not None and phase_state.features is not None:
        logits = phase_state.features.logits(network, rows)
    else:
        logits = _infer_distributed(training, rows)
    truth = training.dataset.truth.rows(rows)
    decided = default_labels(logits, job.kind)
    values = np.asarray(logits.top_logits if isinstance(logits, TopKScores) else logits)
    metrics = {
        "loss": float(log_loss(truth, decided, logits, job.kind)) if np.isfinite(values).all() else math.nan,
        "score": float(macro_f1(truth, decided, logits, job.kind)),
    }
    return dict(training.fabric.broadcast(metrics))  # all processes decide by the same numbers


def _infer_distributed(training: TrainingState, rows: Integers) -> AnyScores:
    """Scores of some rows, each by one of the processes, and every row once."""
    fabric, job = training.fabric, training.job
    is_single = fabric.world_size == 1 or len(job.classes) > MANY_CLASSES
    indices = np.arange(len(rows))[slice(None) if is_single else slice(fabric.global_rank, None, fabric.world_size)]
    options = InferenceOptions(job.size, job.kind, IDENTITY_VIEW)
    network = in_precision(training.network, training.runtime.precision, fabric.device)
    logits = infer_logits(network, training.dataset, rows[indices], options, fabric.device)
    if is_single:
        return logits
    gathered = torch.zeros((len(rows), len(job.classes)), device=fabric.device)
    gathered[torch.from_numpy(indices)] = torch.from_numpy(np.asarray(logits)).to(fabric.device)
    summed: AnyScores = torch.as_tensor(fabric.all_reduce(gathered, reduce_op="sum")).cpu().numpy()
    return summed
