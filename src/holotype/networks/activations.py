"""Activation functions by name, and replacement of those inside a backbone."""

from __future__ import annotations

import inspect

from timm.layers import activations as timm_activations
from torch import nn

from holotype.core.errors import RecipeError

__all__ = ["ACTIVATIONS", "make_activation", "replace_activations"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}
TIMM_ACTIVATIONS = tuple(
    getattr(timm_activations, name)
    for name in ("Swish", "Mish", "HardSwish", "HardMish", "PReLU", "GELU", "GELUTanh", "QuickGELU", "Tanh")
    if hasattr(timm_activations, name)
)
REPLACEABLE_ACTIVATIONS = (*ACTIVATIONS.values(), nn.PReLU, nn.RReLU, nn.CELU, *TIMM_ACTIVATIONS)
GATE_NAMES = {"gate", "sigmoid", "attn_gate"}


def make_activation(name: str, inplace: bool = True) -> nn.Module:
    """Make an activation module; `inplace` overwrites the input where the activation can, which saves memory.

    Raises:
        RecipeError: `ACTIVATIONS` has no such name.
    """
    key = name.lower().replace("-", "_")
    if key not in ACTIVATIONS:
        raise RecipeError(f"no activation is named {name!r}", field="activation", value=name, allowed=ACTIVATIONS)
    activation = ACTIVATIONS[key]
    return activation(inplace=inplace) if "inplace" in inspect.signature(activation).parameters else activation()


def replace_activations(backbone: nn.Module, name: str) -> int:
    """Replace the activations of a backbone in place, except gates (the sigmoids of squeeze-and-excitation).

    Returns:
        The number of replaced modules.

    Raises:
        RecipeError: No activation has this name, or the backbone has no activation modules.
    """
    replaced = 0
    for module in list(backbone.modules()):
        for child_name, child in list(module.named_children()):
            if isinstance(child, REPLACEABLE_ACTIVATIONS) and child_name not in GATE_NAMES:
                setattr(module, child_name, make_activation(name, getattr(child, "inplace", False)))
                replaced += 1
    if replaced == 0:
        message = f"{type(backbone).__name__} has no activation module that can be replaced by {name!r}"
        remedy = "leave `activation` out, or choose another backbone"
        raise RecipeError(message, field="models.activation", remedy=remedy)
    return replaced
