"""Activations by name, and a backbone's own replaced throughout."""

from __future__ import annotations

from typing import Any

from timm.layers import activations as timm_activations
from torch import nn

from holotype.errors import RecipeError

__all__ = ["ACTIVATIONS", "make_activation", "replace_activations"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "selu": nn.SELU, "gelu": nn.GELU,
    "silu": nn.SiLU, "mish": nn.Mish, "hardswish": nn.Hardswish, "softplus": nn.Softplus, "tanh": nn.Tanh,
}  # fmt: skip
IN_PLACE = {"relu", "relu6", "leaky_relu", "elu", "selu", "silu", "mish", "hardswish"}
OF_TIMM = tuple(
    getattr(timm_activations, name)
    for name in ("Swish", "Mish", "HardSwish", "HardMish", "PReLU", "GELU", "GELUTanh", "QuickGELU", "Tanh")
    if hasattr(timm_activations, name)
)
REPLACED = (*ACTIVATIONS.values(), nn.PReLU, nn.RReLU, nn.CELU, *OF_TIMM)
GATES = {"gate", "sigmoid", "attn_gate"}


def make_activation(name: str, in_place: bool = True) -> nn.Module:
    """An activation.

    Args:
        name: As in `ACTIVATIONS`.
        in_place: Overwrite the input, where the activation can; it saves memory in training.

    Raises:
        RecipeError: There is no such activation.
    """
    own = name.lower().replace("-", "_")
    if own not in ACTIVATIONS:
        raise RecipeError(f"no activation is named {name!r}", field="activation", value=name, allowed=ACTIVATIONS)
    options: dict[str, Any] = {"inplace": in_place} if own in IN_PLACE else {}
    return ACTIVATIONS[own](**options)


def replace_activations(backbone: nn.Module, name: str) -> int:
    """Put one activation in the place of a backbone's own; gates (squeeze-and-excitation's sigmoids) stay.

    Args:
        backbone: Changed in place.
        name: As in `ACTIVATIONS`.

    Returns:
        How many were replaced.

    Raises:
        RecipeError: There is no such activation, or the backbone has none that is a module of its own.
    """
    replaced = 0
    for module in list(backbone.modules()):
        for place, child in list(module.named_children()):
            if isinstance(child, REPLACED) and place not in GATES:
                setattr(module, place, make_activation(name, getattr(child, "inplace", False)))
                replaced += 1
    if replaced == 0:
        raise RecipeError(
            f"{type(backbone).__name__} has no activation that could be replaced by {name!r}",
            field="members.activation",
            remedy="leave `activation` out, or take another backbone",
        )
    return replaced
