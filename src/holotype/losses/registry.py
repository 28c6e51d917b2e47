"""The losses by name, what they are for, and what they share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holotype.core.errors import RecipeError
from holotype.core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LOSSES", "WARM_UP", "LossInfo", "Parts", "check_loss", "get_loss", "loss_info", "register", "smooth_labels"]

LOSSES = Registry("loss")
MULTICLASS_VARIANTS = {"focal": "softmax_focal"}
"""Losses that are another function where a sample has one label."""
COMMON_ARGUMENTS = ("logits", "targets", "class_weights", "smoothing")
WARM_UP = "warmup_epochs"
"""An option of every loss with a `margin`: the epochs over which it grows from nothing."""
Parts = Mapping[str, float | Mapping[str, Any]]
"""Names of losses, each with its weight, or with `weight` and its own options."""


def register(
    *kinds: str, weights: bool = True, smooths: bool = True
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """A decorator that adds a loss under its own name.

    Args:
        *kinds: `multiclass`, `multilabel`: what it is for.
        weights: Whether class weights have a meaning for it.
        smooths: Whether label smoothing has a meaning for it.
    """

    def add(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        function.kinds, function.weights, function.smooths = kinds, weights, smooths  # type: ignore[attr-defined]
        return LOSSES.register(function)

    return add


@dataclass(frozen=True)
class LossInfo:
    """What a loss is for.

    Args:
        kinds: `multiclass`, `multilabel`: the labels it is for.
        weights: Whether class weights have a meaning for it.
        smooths: Whether label smoothing has a meaning for it.
        common: Which of the arguments that losses share it takes beside logits and targets.
    """

    kinds: tuple[str, ...]
    weights: bool
    smooths: bool
    common: tuple[str, ...]


def loss_info(function: Callable[..., Tensor]) -> LossInfo:
    """What a loss is for: as it was registered; of a plain function, what its parameters say.

    Args:
        function: A loss, registered by `register` or by `LOSSES.register`.
    """
    parameters = inspect.signature(function).parameters
    common = tuple(name for name in COMMON_ARGUMENTS[2:] if name in parameters)
    return LossInfo(
        getattr(function, "kinds", ("multiclass", "multilabel")),
        getattr(function, "weights", "class_weights" in common),
        getattr(function, "smooths", "smoothing" in common),
        common,
    )


def get_loss(name: str, kind: str) -> Callable[..., Tensor]:
    """The function of a loss.

    Args:
        name: As in the recipe.
        kind: `multiclass` or `multilabel`.

    Raises:
        RecipeError: There is no such loss.
    """
    return LOSSES[MULTICLASS_VARIANTS.get(name, name) if kind == "multiclass" else name]


def check_loss(parts: Parts, kind: str, weights: bool, smoothing: float) -> None:
    """Refuse a loss that does not exist, is for other labels, or is asked for what it does not have.

    Args:
        parts: Names of losses, each with its weight or its options.
        kind: `multiclass` or `multilabel`.
        weights: Whether class weights are asked for.
        smoothing: The label smoothing.

    Raises:
        RecipeError: As said.
    """
    for name, entry in parts.items():
        function = get_loss(name, kind)
        facts = loss_info(function)
        if kind not in facts.kinds:
            fitting = sorted(other for other in LOSSES if kind in loss_info(get_loss(other, kind)).kinds)
            raise RecipeError(
                f"the loss {name!r} is for {' and '.join(facts.kinds)} labels",
                field="loss",
                value=name,
                allowed=fitting,
            )
        options = [option for option in inspect.signature(function).parameters if option not in COMMON_ARGUMENTS]
        options += [WARM_UP] if "margin" in options else []
        unknown = (
            [option for option in entry if option not in {"weight", *options}] if isinstance(entry, Mapping) else []
        )
        if unknown:
            raise RecipeError(
                f"the loss {name!r} has no option {unknown[0]!r}",
                field="loss",
                value=unknown[0],
                allowed=["weight", *options],
            )
        if weights and not facts.weights:
            raise RecipeError(
                f"the loss {name!r} knows no class weights",
                field="class_weights",
                remedy="leave them out, or take another loss",
            )
        if smoothing and not facts.smooths:
            raise RecipeError(
                f"the loss {name!r} knows no label smoothing",
                field="label_smoothing",
                remedy="leave it out, or take another loss",
            )


def smooth_labels(targets: Tensor, share: float, target: float) -> Tensor:
    """Targets of which a share is moved towards ignorance.

    Args:
        targets: Any shape.
        share: 0 leaves them as they are.
        target: What ignorance would say of a class.
    """
    return targets if share == 0 else targets * (1 - share) + share * target
