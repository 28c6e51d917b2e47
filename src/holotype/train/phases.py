"""What a phase asks for, resolved against the data: loss, optimiser, steps, what is frozen."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from holotype.losses import LOSSES, class_weights, compose_loss, prior_logits
from holotype.spec import PhaseSpec
from holotype.train.optimisers import OPTIMISERS, make_optimiser
from holotype.train.schedules import SCHEDULES

__all__ = ["check_phase", "freeze", "phase_loss", "phase_optimiser", "steps_per_epoch"]

DEFAULT_LOSS = {"multiclass": "cross_entropy", "multilabel": "bce"}


def check_phase(phase: PhaseSpec) -> None:
    """Refuse names that nothing is registered under, before anything is trained.

    Args:
        phase: The recipe's section.

    Raises:
        RecipeError: An optimiser, schedule or loss does not exist.
    """
    OPTIMISERS[phase.optimizer.name]
    SCHEDULES[phase.schedule]
    for name in _loss_parts(phase, "multiclass"):
        LOSSES[name]


def phase_loss(phase: PhaseSpec, truth: NDArray[np.bool_], kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a phase.

    Args:
        phase: The recipe's section.
        truth: Which classes the training rows have, shape (n, classes).
        kind: `multiclass` or `multilabel`.
    """
    adjustment = phase.logit_adjust * prior_logits(truth, kind) if phase.logit_adjust else None
    weights = class_weights(truth, phase.class_weights, kind)
    return compose_loss(_loss_parts(phase, kind), weights, phase.label_smoothing, adjustment)


def phase_optimiser(phase: PhaseSpec, network: nn.Module) -> Optimizer:
    """The optimiser of a phase over what the phase does not freeze.

    Args:
        phase: The recipe's section.
        network: With `backbone` and `head`; frozen as the phase says, as a side effect.
    """
    freeze(network, phase)
    return make_optimiser(network, float(phase.lr), phase.optimizer)  # type: ignore[arg-type]


def freeze(network: nn.Module, phase: PhaseSpec) -> None:
    """Freeze and thaw as a phase says, and put the parts in training or evaluation mode.

    Args:
        network: With `backbone` and `head`.
        phase: The recipe's section.
    """
    frozen = phase.freeze == "backbone"
    network.train()
    for parameter in network.backbone.parameters():  # type: ignore[union-attr]
        parameter.requires_grad_(not frozen)
    if frozen:
        network.backbone.eval()  # type: ignore[union-attr]


def steps_per_epoch(rows: int, batch: int, accumulate: int) -> int:
    """Steps of the optimiser in one pass.

    Args:
        rows: Training rows.
        batch: Rows a batch.
        accumulate: Batches a step.
    """
    whole = max(rows // batch, 1)
    return math.ceil(whole / accumulate)


def _loss_parts(phase: PhaseSpec, kind: str) -> dict[str, float]:
    if phase.loss is None:
        return {DEFAULT_LOSS[kind]: 1.0}
    return {phase.loss: 1.0} if isinstance(phase.loss, str) else dict(phase.loss)
