"""Registry of losses: names, supported labels and shared options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holotype.core.errors import RecipeError
from holotype.core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

LOSSES = Registry("loss")
"""Losses by name. `logits` and `targets` have shape (n, classes). Multiclass targets sum to 1 in each row, and
`class_weights`, shape (classes,), weigh the rows of a class (the sum is divided by theirs); multilabel targets are from
0 to 1, and `class_weights` weigh the positive part. `smoothing` is the share of a target that is spread evenly over all
classes (multiclass), or moved to 1/2 (multilabel). The result is the mean over rows, and for multilabel over classes, a
scalar; zero without rows. A loss that supports no weights or no smoothing ignores them."""
MULTICLASS_VARIANTS = {"focal": "softmax_focal"}
"""Losses with another function for one label per sample."""
COMMON_ARGUMENTS = ("logits", "targets", "class_weights", "smoothing")
WARM_UP = "warmup_epochs"
"""Option of every loss with a `margin`: epochs over which the margin grows from zero."""
Parts = Mapping[str, float | Mapping[str, Any]]
"""Loss name to its weight, or to a mapping of `weight` and the loss's options."""


def register(
    *kinds: str, weights: bool = True, smooths: bool = True
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Register a loss under the name of its function (decorator).

    `*kinds`: supported labels: `multiclass`, `multilabel`.
    """

    def add(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        function.kinds, function.weights, function.smooths = kinds, weights, smooths  # type: ignore[attr-defined]
        return LOSSES.register(function)

    return add


@dataclass(frozen=True)
class LossInfo:
    """Capabilities of a loss.

    Args:
        kinds: Supported labels: `multiclass`, `multilabel`.
        common: The shared arguments that its function takes: `class_weights`, `smoothing`.
    """

    kinds: tuple[str, ...]
    weights: bool
    smooths: bool
    common: tuple[str, ...]


def loss_info(function: Callable[..., Tensor]) -> LossInfo:
    """Read the capabilities of a loss: from `register`, or from the parameters of a plain function."""
    parameters = inspect.signature(function).parameters
    common = tuple(name for name in COMMON_ARGUMENTS[2:] if name in parameters)
    return LossInfo(
        getattr(function, "kinds", ("multiclass", "multilabel")),
        getattr(function, "weights", "class_weights" in common),
        getattr(function, "smooths", "smoothing" in common),
        common,
    )


def get_loss(name: str, kind: str) -> Callable[..., Tensor]:
    """Get the function of a loss by its name in the recipe; `focal` is another function for each kind of labels."""
    return LOSSES[MULTICLASS_VARIANTS.get(name, name) if kind == "multiclass" else name]


def check_loss(parts: Parts, kind: str, weights: bool, smoothing: float) -> None:
    """Refuse an unknown loss, one for other labels, or an option that it does not have.

    Args:
        parts: Loss name to its weight, or to a mapping of `weight` and the loss's options.
        kind: `multiclass` or `multilabel`.
        smoothing: Label smoothing; 0 is none.

    Raises:
        RecipeError: In each of these cases.
    """
    for name, entry in parts.items():
        function = get_loss(name, kind)
        info = loss_info(function)
        if kind not in info.kinds:
            supported = sorted(other for other in LOSSES if kind in loss_info(get_loss(other, kind)).kinds)
            message = f"the loss {name!r} is for {' and '.join(info.kinds)} labels"
            raise RecipeError(message, field="loss", value=name, allowed=supported)
        options = [option for option in inspect.signature(function).parameters if option not in COMMON_ARGUMENTS]
        options += [WARM_UP] if "margin" in options else []
        allowed = ["weight", *options]
        unknown = [option for option in entry if option not in allowed] if isinstance(entry, Mapping) else []
        if unknown:
            message = f"the loss {name!r} has no option {unknown[0]!r}"
            raise RecipeError(message, field="loss", value=unknown[0], allowed=allowed)
        if weights and not info.weights:
            message = f"the loss {name!r} does not support class weights"
            raise RecipeError(message, field="class_weights", remedy="leave them out, or choose another loss")
        if smoothing and not info.smooths:
            message = f"the loss {name!r} does not support label smoothing"
            raise RecipeError(message, field="label_smoothing", remedy="leave it out, or choose another loss")


def smooth_labels(targets: Tensor, share: float, target: float) -> Tensor:
    """Label smoothing: move a share of each target to `target`, which is an uninformative value."""
    return targets if share == 0 else targets * (1 - share) + share * target
