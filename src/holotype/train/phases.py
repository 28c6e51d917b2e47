"""What a phase asks for, resolved against the data: loss, optimiser, steps, what is frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from holotype.errors import RecipeError, did_you_mean, listing
from holotype.losses import MARGINS, check_loss, class_weights, compose_loss, prior_logits
from holotype.spec import HeadSpec, PhaseSpec
from holotype.train.levels import loss_with_ranks
from holotype.train.optimisers import make_optimiser, optimiser_maker
from holotype.train.schedules import Moment, rate_at, schedule, warmed_up
from holotype.types import AnyLabels, Levels

__all__ = ["check_phase", "freeze", "frozen_parameters", "phase_loss", "phase_moment", "phase_optimiser"]

DEFAULT_LOSS = {"multiclass": "cross_entropy", "multilabel": "bce"}


def check_phase(phase: PhaseSpec, kind: str, head: HeadSpec) -> None:
    """Refuse names that nothing is registered under, before anything is trained.

    Args:
        phase: The recipe's section.
        kind: `multiclass` or `multilabel`.
        head: The member's; some losses need one that measures angles.

    Raises:
        RecipeError: An optimiser or a loss does not exist, does not have an option, or is for other labels.
    """
    optimiser_maker(phase.optimizer)
    parts = _loss_parts(phase, kind, head)
    check_loss(parts, kind, phase.class_weights is not None, phase.label_smoothing)
    angular = sorted(MARGINS.intersection(parts))
    if angular and head.margin is None:
        raise RecipeError(f"the loss {angular[0]!r} needs a head that measures angles", field="loss",
                          value=angular[0], remedy="write `head: {margin: {}}`")  # fmt: skip
    if head.margin is not None and kind == "multilabel":
        raise RecipeError("a head that measures angles is for one label a sample", field="head.margin",
                          remedy="leave it out")  # fmt: skip


def phase_loss(
    phase: PhaseSpec, truth: AnyLabels, kind: str, head: HeadSpec, levels: Levels | None = None
) -> Callable[..., Tensor]:
    """The loss of a phase: a function of logits, targets and, as `epochs`, how far the phase is.

    Args:
        phase: The recipe's section.
        truth: Which classes the training rows have, shape (n, classes).
        kind: `multiclass` or `multilabel`.
        head: The member's, whose scale the losses with a margin need.
        levels: The ranks above the classes that are learnt beside them, where any are.
    """
    adjustment = phase.logit_adjust * prior_logits(truth, kind) if phase.logit_adjust else None
    weights = class_weights(truth, phase.class_weights, kind)
    parts = _loss_parts(phase, kind, head)
    loss = compose_loss(parts, weights, phase.label_smoothing, adjustment, kind)
    return loss if levels is None else loss_with_ranks(loss, phase, parts, truth, levels)


def phase_optimiser(phase: PhaseSpec, network: nn.Module, rate: float) -> Optimizer:
    """The optimiser of a phase over what the phase does not freeze.

    Args:
        phase: The recipe's section.
        network: With `backbone` and `head`; frozen as the phase says, as a side effect.
        rate: The largest learning rate.
    """
    freeze(network, phase)
    return make_optimiser(network, rate, phase.optimizer, phase.layer_decay)


def phase_moment(phase: PhaseSpec, step: int, steps_per_epoch: int) -> Moment:
    """Rate and momentum of a step of a phase: its schedule, its rates by epoch, its warm-up.

    Args:
        phase: The recipe's section.
        step: From 0.
        steps_per_epoch: Steps of one pass.
    """
    warm = phase.warm_up * steps_per_epoch
    steps = phase.epochs * steps_per_epoch
    if isinstance(phase.lr, dict):
        return warmed_up(Moment(rate_at(phase.lr, step // steps_per_epoch)), step, warm)
    return warmed_up(schedule(phase.schedule, step, steps, steps_per_epoch), step, warm)


def freeze(network: nn.Module, phase: PhaseSpec) -> None:
    """Freeze and thaw as a phase says, and put the parts in training or evaluation mode.

    Args:
        network: With `backbone` and `head`.
        phase: The recipe's section.

    Raises:
        RecipeError: A name or pattern fits no parameter.
    """
    frozen = frozen_parameters([name for name, _ in network.named_parameters()], phase.freeze)
    network.train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for module in network.modules():
        own = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()  # batch statistics of frozen parts stay put
    if phase.freeze == "backbone":
        network.backbone.eval()  # type: ignore[union-attr]


def frozen_parameters(names: Sequence[str], freeze: str | Sequence[str] | None) -> set[str]:
    """The parameters that a phase freezes.

    Args:
        names: Of all parameters.
        freeze: `backbone`; or beginnings (`backbone.blocks.0`) and patterns (`*.bias`); or none.

    Raises:
        RecipeError: A name or pattern fits no parameter.
    """
    found: set[str] = set()
    for pattern in [freeze] if isinstance(freeze, str) else freeze or []:
        fitting = {name for name in names if name.startswith(f"{pattern}.") or fnmatch(name, pattern)}
        if not fitting:
            parts = {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}
            near = did_you_mean(pattern, sorted(parts)) or f"the first are {listing(sorted(parts), 8)}"
            raise RecipeError(f"no parameter begins with {pattern!r} or fits it", field="freeze", value=pattern,
                              remedy=near)  # fmt: skip
        found |= fitting
    if len(found) == len(names):
        raise RecipeError("everything is frozen, and nothing would be trained", field="freeze", value=freeze)
    return found


def _loss_parts(phase: PhaseSpec, kind: str, head: HeadSpec) -> dict[str, Any]:
    if phase.loss is None:
        return {DEFAULT_LOSS[kind]: 1.0}
    parts: dict[str, Any] = {phase.loss: 1.0} if isinstance(phase.loss, str) else dict(phase.loss)
    for name in MARGINS.intersection(parts) if head.margin is not None else ():
        given = parts[name] if isinstance(parts[name], dict) else {"weight": parts[name]}
        parts[name] = {"scale": head.margin.scale} | given  # type: ignore[union-attr]
    return parts
