"""Training state: the moving parts of a training, and evaluation of the current network."""

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

IDENTITY_VIEW = PredictSpec(tta="none")


@dataclass
class TrainingState:
    """State of one training. `network`: has `backbone` and `head`, on the device."""

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
    """State of the current phase.

    Args:
        trainable: The network, or its head on cached features, as `fabric.setup` gave it.
        optimizer: As `fabric.setup` gave it.
        loss: `loss(logits, targets, epochs)`.
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
    """Evaluate the current network on some rows without augmentation, from cached features if the phase has them.

    Returns `loss` (log loss; NaN if a logit is not finite) and `score` (macro F1; NaN if no class has a positive row).
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
    return dict(training.fabric.broadcast(metrics))  # all processes decide by the same values


def _infer_distributed(training: TrainingState, rows: Integers) -> AnyScores:
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
