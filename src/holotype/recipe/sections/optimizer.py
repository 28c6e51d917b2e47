"""`optimizer:` of a phase."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from holotype.recipe.sections.base import Section

__all__ = ["OptimizerSpec"]


class OptimizerSpec(Section):
    """The optimizer; options that it does not have are refused when it is built."""

    name: str = "adamw"
    """`adamw`, `adam`, `sgd`, or the name of any optimizer of `torch.optim`."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    """Decay of the weights of two or more dimensions; biases and normalization are never decayed."""
    amsgrad: bool = False
    """Keep the largest second moment (Adam, AdamW)."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Momentum, or Adam's first beta."""
    nesterov: bool = True
    """Nesterov's momentum (SGD)."""
    options: dict[str, Any] = {}
    """More arguments of a `torch.optim` optimizer."""
    carry_state: bool = False
    """Carry the momentum over from the phase before."""
