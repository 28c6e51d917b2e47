"""The losses by name, what they are for, and what they share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from holotype.errors import RecipeError
from holotype.registry import Registry

__all__ = ["LOSSES", "WARM_UP", "LossFacts", "Parts", "check_loss", "loss_facts", "loss_of", "register", "smoothed"]

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


@dataclass(frozen=True)
class LossFacts:
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


def loss_facts(function: Callable[..., Tensor]) -> LossFacts:
    """What a loss is for: as it was registered; of a plain function, what its parameters say.

    Args:
        function: A loss, registered by `register` or by `LOSSES.register`.
    """
    taken = inspect.signature(function).parameters
    common = tuple(name for name in COMMON[2:] if name in taken)
    return LossFacts(
        getattr(function, "kinds", ("multiclass", "multilabel")),
        getattr(function, "weights", "class_weights" in common),
        getattr(function, "smooths", "smoothing" in common),
        common,
    )


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
        function = loss_of(name, kind)
        facts = loss_facts(function)
        if kind not in facts.kinds:
            fitting = sorted(other for other in LOSSES if kind in loss_facts(loss_of(other, kind)).kinds)
            raise RecipeError(f"the loss {name!r} is for {' and '.join(facts.kinds)} labels", field="loss",
                              value=name, allowed=fitting)  # fmt: skip
        own = [option for option in inspect.signature(function).parameters if option not in COMMON]
        own += [WARM_UP] if "margin" in own else []
        unknown = [option for option in given if option not in {"weight", *own}] if isinstance(given, Mapping) else []
        if unknown:
            raise RecipeError(f"the loss {name!r} has no option {unknown[0]!r}", field="loss", value=unknown[0],
                              allowed=["weight", *own])  # fmt: skip
        if weights and not facts.weights:
            raise RecipeError(f"the loss {name!r} knows no class weights", field="class_weights",
                              remedy="leave them out, or take another loss")  # fmt: skip
        if smoothing and not facts.smooths:
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
