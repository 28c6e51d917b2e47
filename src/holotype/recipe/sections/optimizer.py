"""`optimizer:` section of a phase."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from holotype.recipe.sections.base import Section


class OptimizerSpec(Section):
    """Optimizer of a phase. Options that it does not have are refused."""

    name: str = "adamw"
    """`adamw`, `adam`, `sgd`, or the name of any optimizer of `torch.optim`."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    """Weight decay of parameters with two or more dimensions; biases and normalization layers have none."""
    amsgrad: bool = False
    """AMSGrad variant (Adam, AdamW)."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Momentum, or Adam's first beta."""
    nesterov: bool = True
    """Nesterov momentum (SGD)."""
    options: dict[str, Any] = {}
    """Additional arguments of a `torch.optim` optimizer."""
    carry_state: bool = False
    """Keep the optimizer's momentum from the previous phase."""
