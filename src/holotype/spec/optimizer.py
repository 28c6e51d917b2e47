"""`optimizer:` of a phase."""

from __future__ import annotations

from pydantic import Field

from holotype.spec.base import Section

__all__ = ["OptimizerSpec"]


class OptimizerSpec(Section):
    """The optimiser; options that it does not have are refused when it is built."""

    name: str = "adamw"
    """`adamw`, `adam` or `sgd`."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    """Decay of the weights of two or more dimensions; biases and normalisation are never decayed."""
    amsgrad: bool = False
    """Keep the largest second moment (Adam, AdamW)."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Momentum, or Adam's first beta."""
    nesterov: bool = True
    """Nesterov's momentum (SGD)."""
