"""Phase settings resolved against the data: loss, optimizer, schedule and frozen parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from holotype.core.errors import RecipeError, did_you_mean, join_names
from holotype.losses import MARGINS, check_loss, class_weights, compose_loss, prior_logits
from holotype.recipe.sections import HeadSpec, PhaseSpec
from holotype.training.optimizers import make_optimizer, optimizer_factory
from holotype.training.schedules import ScheduleValue, lr_at_epoch, schedule, with_warmup
from holotype.training.taxonomy import loss_with_ranks
from holotype.types import AnyLabels, RankHeads

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

DEFAULT_LOSS = {"multiclass": "cross_entropy", "multilabel": "bce"}


def check_phase(phase: PhaseSpec, kind: str, head: HeadSpec) -> None:
    """Refuse unknown optimizers, losses and options before anything is trained.

    `kind`: `multiclass` or `multilabel`. Raises RecipeError if an optimizer or loss does not exist, lacks an option, or
    does not support the labels or the head.
    """
    optimizer_factory(phase.optimizer)
    parts = _loss_parts(phase, kind, head)
    check_loss(parts, kind, phase.class_weights is not None, phase.label_smoothing)
    margin_losses = sorted(MARGINS.intersection(parts))
    if margin_losses and head.margin is None:
        message = f"the loss {margin_losses[0]!r} needs a cosine head"
        raise RecipeError(message, field="loss", value=margin_losses[0], remedy="write `head: {margin: {}}`")
    if head.margin is not None and kind == "multilabel":
        message = "a cosine head supports one label per sample only"
        raise RecipeError(message, field="head.margin", remedy="leave it out")


def phase_loss(
    phase: PhaseSpec, truth: AnyLabels, kind: str, head: HeadSpec, rank_heads: RankHeads | None = None
) -> Callable[..., Tensor]:
    """Make the loss of a phase: `loss(logits, targets, epochs)`, with the number of epochs done in the phase.

    `truth`: labels of the training rows, shape (n, classes); `kind`: `multiclass` or `multilabel`.
    """
    adjustment = phase.logit_adjustment * prior_logits(truth, kind) if phase.logit_adjustment else None
    weights = class_weights(truth, phase.class_weights, kind)
    parts = _loss_parts(phase, kind, head)
    loss = compose_loss(parts, weights, phase.label_smoothing, adjustment, kind)
    return loss if rank_heads is None else loss_with_ranks(loss, phase, parts, truth, rank_heads)


def phase_optimizer(phase: PhaseSpec, network: nn.Module, rate: float) -> Optimizer:
    """Make the optimizer of a phase with its largest rate, after freezing parameters as the phase says."""
    freeze(network, phase)
    return make_optimizer(network, rate, phase.optimizer, phase.layer_decay)


def phase_schedule_value(phase: PhaseSpec, step: int, steps_per_epoch: int) -> ScheduleValue:
    """Learning rate and momentum of a step (from 0): schedule, rates by epoch, and warm-up."""
    warmup_steps = phase.warmup_epochs * steps_per_epoch
    steps = phase.epochs * steps_per_epoch
    if isinstance(phase.lr, dict):
        return with_warmup(ScheduleValue(lr_at_epoch(phase.lr, step // steps_per_epoch)), step, warmup_steps)
    return with_warmup(schedule(phase.schedule, step, steps, steps_per_epoch), step, warmup_steps)


def freeze(network: nn.Module, phase: PhaseSpec) -> None:
    """Freeze and unfreeze parameters as a phase says, and set training or evaluation mode."""
    frozen = frozen_parameters([name for name, _ in network.named_parameters()], phase.freeze)
    network.train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()  # batch norm statistics of frozen parts stay fixed
    if phase.freeze == "backbone":
        network.backbone.eval()  # type: ignore[union-attr]


def frozen_parameters(names: Sequence[str], freeze: str | Sequence[str] | None) -> set[str]:
    """Select the parameters that a phase freezes.

    `freeze`: `backbone`; or prefixes (`backbone.blocks.0`) and patterns (`*.bias`); or None.
    """
    frozen: set[str] = set()
    for pattern in [freeze] if isinstance(freeze, str) else freeze or []:
        matching = {name for name in names if name.startswith(f"{pattern}.") or fnmatch(name, pattern)}
        if not matching:
            prefixes = {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}
            hint = did_you_mean(pattern, sorted(prefixes)) or f"the first are {join_names(sorted(prefixes), 8)}"
            raise RecipeError(
                f"no parameter name starts with {pattern!r} or matches it", field="freeze", value=pattern, remedy=hint
            )
        frozen |= matching
    if len(frozen) == len(names):
        raise RecipeError("all parameters are frozen, so nothing would be trained", field="freeze", value=freeze)
    return frozen


def _loss_parts(phase: PhaseSpec, kind: str, head: HeadSpec) -> dict[str, Any]:
    if phase.loss is None:
        return {DEFAULT_LOSS[kind]: 1.0}
    parts: dict[str, Any] = {phase.loss: 1.0} if isinstance(phase.loss, str) else dict(phase.loss)
    for name in MARGINS.intersection(parts) if head.margin is not None else ():
        options = parts[name] if isinstance(parts[name], dict) else {"weight": parts[name]}
        parts[name] = {"scale": head.margin.scale} | options  # type: ignore[union-attr]
    return parts
