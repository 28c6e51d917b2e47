"""`phases:` of a model: stretches of training, each with its own optimizer, schedule, loss and size."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from holotype.recipe.sections.base import Section
from holotype.recipe.sections.optimizer import OptimizerSpec
from holotype.recipe.sections.schedule import EarlyStoppingSpec, OneCycleSpec, ScheduleSpec, named_schedule

__all__ = ["PhaseSpec"]


class PhaseSpec(Section):
    """One stretch of training."""

    epochs: int = Field(default=12, ge=1, le=10_000)
    """Passes over the training rows."""
    freeze: Literal["backbone"] | Annotated[list[str], Field(min_length=1)] | None = None
    """`backbone` trains the head alone; else beginnings or patterns of parameter names. Batch statistics of frozen
    parts stay put as well."""
    lr: (
        Annotated[float, Field(gt=0)]
        | Literal["find"]
        | Annotated[dict[Annotated[int, Field(ge=0)], Annotated[float, Field(gt=0)]], Field(min_length=1)]
    ) = 3.0e-3
    """The largest learning rate; the default suits small convolutional networks, transformers want a tenth of it.
    `find` looks for it; `{0: 3.0e-4, 25: 1.5e-4}` sets it from an epoch on."""
    optimizer: OptimizerSpec = OptimizerSpec()
    schedule: ScheduleSpec = OneCycleSpec()
    """The rate over the phase's steps: `one-cycle`, `cosine`, `constant`, `linear`, or with options of their own
    `cosine-restarts`, `step` and `plateau`."""
    warmup_epochs: float = Field(default=0.0, ge=0.0)
    """Epochs, or a fraction of one, over which the rate rises from nothing before the schedule begins."""
    size: Annotated[int, Field(ge=16, le=4096)] | None = None
    """Side of the input in this phase; the model's own where it is left out."""
    rows: Literal["all", "train", "external"] = "all"
    """Which of the training rows take part, by their role."""
    augmentation_draws: int | None = Field(default=None, ge=1, le=1000)
    """So many draws of the augmentation for each image, used in turn by the epochs, instead of new ones in each. With a
    frozen backbone its features are then computed once and every epoch reuses them."""
    on_nonfinite: Literal["halve", "stop", "skip"] = "halve"
    """What becomes of a loss that is no number: go back to the epoch's beginning with half the rate; stop and name the
    images; or leave out the step and count it."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Factor on the rate for each layer further from the head."""
    loss: str | dict[str, Annotated[float, Field(gt=0)] | dict[str, Any]] | None = None
    """A loss, or weights of several, or options of each (`{focal: {weight: 0.5, gamma: 2}}`); cross-entropy for one
    label a sample and `bce` for many where it is left out."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the target that is spread over all classes."""
    class_weights: Literal["inverse", "sqrt", "effective"] | None = None
    """Weigh classes by the inverse of their frequency, by its square root, or by the inverse of the effective number of
    samples, with mean 1 over the rows; where labels are many it is the weight of a class's positive part."""
    logit_adjustment: float = Field(default=0.0, ge=0.0, le=2.0)
    """Strength of logit adjustment: 1 trains for the balanced error (Menon et al. 2021)."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients are added up before a step."""
    clip: Annotated[float, Field(gt=0)] | None = 5.0
    """Largest norm of the gradient."""
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    """Decay of an exponential moving average of the weights."""
    early_stopping: EarlyStoppingSpec | None = None
    """Stop after this many epochs without a gain."""

    @field_validator("optimizer", mode="before")
    @classmethod
    def _expand_optimizer(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("schedule", mode="before")
    @classmethod
    def _expand_schedule(cls, value: Any) -> Any:
        return named_schedule(value)

    @field_validator("early_stopping", mode="before")
    @classmethod
    def _expand_early_stopping(cls, value: Any) -> Any:
        return {"patience": value} if isinstance(value, int) else value

    @model_validator(mode="after")
    def _validate_schedule(self) -> PhaseSpec:
        if isinstance(self.lr, dict):
            if 0 not in self.lr:
                raise ValueError("lr: rates by epoch must say the rate of epoch 0")
            if self.schedule.name != "constant":
                raise ValueError(
                    f"lr: rates by epoch want `schedule: constant` (it is {self.schedule.name!r}); or write one number"
                )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs: {self.warmup_epochs:g} epochs of warm-up leave nothing of {self.epochs} epochs"
            )
        return self

    @field_validator("loss")
    @classmethod
    def _validate_loss(cls, loss: Any) -> Any:
        if isinstance(loss, dict) and not loss:
            raise ValueError("loss must name at least one loss, or be left out")
        return loss
