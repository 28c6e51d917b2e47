"""`phases:` of a member: stretches of training, each with its own optimiser, schedule, loss and size."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from holotype.spec.base import Later, Section
from holotype.spec.optimizer import OptimizerSpec

__all__ = ["PhaseSpec"]


class PhaseSpec(Section):
    """One stretch of training."""

    epochs: int = Field(default=12, ge=1, le=10_000)
    """Passes over the training rows."""
    freeze: Literal["backbone"] | None = None
    """`backbone` trains the head alone; its batch statistics stay put as well."""
    lr: Annotated[Annotated[float, Field(gt=0)] | Literal["find"] | dict[int, float], Later("find")] = 3.0e-3
    """The largest learning rate; the default suits small convolutional networks, transformers want a tenth of it."""
    optimizer: OptimizerSpec = OptimizerSpec()
    schedule: str = "one-cycle"
    """`one-cycle`, `cosine` or `constant`: the rate over the phase's steps."""
    size: Annotated[int, Field(ge=16, le=4096)] | None = None
    """Side of the input in this phase; the member's own where it is left out."""
    rows: Annotated[Any, Later()] = "all"
    """Which of the training rows take part."""
    layer_decay: Annotated[float | None, Later()] = None
    """Factor on the rate for each layer further from the head."""
    loss: str | dict[str, Annotated[float, Field(gt=0)]] | None = None
    """A loss, or weights of several; cross-entropy for one label a sample and `bce` for many where it is left out."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the target that is spread over all classes."""
    class_weights: Literal["inverse", "sqrt"] | None = None
    """Weigh classes by the inverse of their frequency, or by its square root, with mean 1 over the rows; where
    labels are many it is the weight of a class's positive part."""
    logit_adjust: float = Field(default=0.0, ge=0.0, le=2.0)
    """Strength of logit adjustment: 1 trains for the balanced error (Menon et al. 2021)."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients are added up before a step."""
    clip: Annotated[float, Field(gt=0)] | None = 5.0
    """Largest norm of the gradient."""
    ema: Annotated[float | None, Later()] = None
    """Decay of an exponential moving average of the weights."""
    stop_after: Annotated[int | None, Later()] = None
    """Stop after this many epochs without a gain."""

    @field_validator("optimizer", mode="before")
    @classmethod
    def _a_name_is_an_optimizer(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @field_validator("lr")
    @classmethod
    def _steps_come_later(cls, lr: Any) -> Any:
        if isinstance(lr, dict):
            raise ValueError("a rate by steps is not built yet; write one number, and a schedule")
        return lr

    @field_validator("loss")
    @classmethod
    def _losses_are_named(cls, loss: Any) -> Any:
        if isinstance(loss, dict) and not loss:
            raise ValueError("loss must name at least one loss, or be left out")
        return loss
