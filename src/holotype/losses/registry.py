"""The losses by name, what they are for, and what they share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from holotype.errors import RecipeError
from holotype.registry import Registry

__all__ = ["LOSSES", "WARM_UP", "Parts", "check_loss", "loss_of", "register", "smoothed"]

LOSSES = Registry("loss")
ONE_LABEL = {"focal": "softmax_focal"}
"""Losses that are another function where a sample has one label."""
COMMON = ("logits", "targets", "class_weights", "smoothing")
WARM_UP = "warm_up"
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


def loss_of(name: str, kind: str) -> Callable[..., Tensor]:
    """The function of a loss.

    Args:
        name: As in the recipe.
        kind: `multiclass` or `multilabel`.

    Raises:
        RecipeError: There is no such loss.
    """
    return LOSSES[ONE_LABEL.get(name, name) if kind == "multiclass" else name]


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
    for name, given in parts.items():
        function: Any = loss_of(name, kind)
        if kind not in function.kinds:
            fitting = sorted(other for other in LOSSES if kind in loss_of(other, kind).kinds)  # type: ignore[attr-defined]
            raise RecipeError(f"the loss {name!r} is for {' and '.join(function.kinds)} labels", field="loss",
                              value=name, allowed=fitting)  # fmt: skip
        own = [option for option in inspect.signature(function).parameters if option not in COMMON]
        own += [WARM_UP] if "margin" in own else []
        unknown = [option for option in given if option not in {"weight", *own}] if isinstance(given, Mapping) else []
        if unknown:
            raise RecipeError(f"the loss {name!r} has no option {unknown[0]!r}", field="loss", value=unknown[0],
                              allowed=["weight", *own])  # fmt: skip
        if weights and not function.weights:
            raise RecipeError(f"the loss {name!r} knows no class weights", field="class_weights",
                              remedy="leave them out, or take another loss")  # fmt: skip
        if smoothing and not function.smooths:
            raise RecipeError(f"the loss {name!r} knows no label smoothing", field="label_smoothing",
                              remedy="leave it out, or take another loss")  # fmt: skip


def smoothed(targets: Tensor, share: float, towards: float) -> Tensor:
    """Targets of which a share is moved towards ignorance.

    Args:
        targets: Any shape.
        share: 0 leaves them as they are.
        towards: What ignorance would say of a class.
    """
    return targets if share == 0 else targets * (1 - share) + share * towards
