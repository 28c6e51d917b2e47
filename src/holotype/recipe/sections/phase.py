"""`phases:` section of a model: training phases, each with its own optimizer, schedule, loss and size."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from holotype.recipe.sections.base import Section
from holotype.recipe.sections.optimizer import OptimizerSpec
from holotype.recipe.sections.schedule import EarlyStoppingSpec, OneCycleSpec, ScheduleSpec, named_schedule


class PhaseSpec(Section):
    """Training phase."""

    epochs: int = Field(default=12, ge=1, le=10_000)
    """Number of epochs."""
    freeze: Literal["backbone"] | Annotated[list[str], Field(min_length=1)] | None = None
    """Frozen parameters: `backbone` trains the head alone; or a list of prefixes or patterns of parameter names. Batch
    statistics of frozen layers do not change either."""
    lr: (
        Annotated[float, Field(gt=0)]
        | Literal["find"]
        | Annotated[dict[Annotated[int, Field(ge=0)], Annotated[float, Field(gt=0)]], Field(min_length=1)]
    ) = 3.0e-3
    """Largest learning rate; the default fits small convolutional networks, transformers need a tenth of it. `find`
    runs a learning rate finder; `{0: 3.0e-4, 25: 1.5e-4}` sets the rate by epoch."""
    optimizer: OptimizerSpec = OptimizerSpec()
    schedule: ScheduleSpec = OneCycleSpec()
    """Learning rate schedule: `one-cycle`, `cosine`, `constant`, `linear`, or with options `cosine-restarts`, `step`
    and `plateau`."""
    warmup_epochs: float = Field(default=0.0, ge=0.0)
    """Epochs, possibly a fraction, over which the rate rises from zero before the schedule begins."""
    size: Annotated[int, Field(ge=16, le=4096)] | None = None
    """Input side in this phase; the model's by default."""
    rows: Literal["all", "train", "external"] = "all"
    """Role of the training rows to use."""
    augmentation_draws: int | None = Field(default=None, ge=1, le=1000)
    """Number of fixed augmentations of each image, used in turn by the epochs; by default every epoch has new ones.
    With a frozen backbone, its features are then computed once and reused."""
    on_nonfinite: Literal["halve", "stop", "skip"] = "halve"
    """What to do if the loss is NaN or infinite: restart the epoch with half the learning rate; stop and name the
    images; or skip the step and count it."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Layer-wise learning rate decay: factor per layer of distance from the head."""
    loss: str | dict[str, Annotated[float, Field(gt=0)] | dict[str, Any]] | None = None
    """Loss, or weights of several, or options of each (`{focal: {weight: 0.5, gamma: 2}}`); by default cross-entropy
    for multiclass labels and `bce` for multilabel."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the target that is spread over all classes."""
    class_weights: Literal["inverse", "sqrt", "effective"] | None = None
    """Class weights: the inverse of the frequency, of its square root, or of the effective number of samples, with mean
    1 over the rows; for multilabel data, the weight of the positive term."""
    logit_adjustment: float = Field(default=0.0, ge=0.0, le=2.0)
    """Strength of logit adjustment; 1 minimizes the balanced error (Menon et al. 2021)."""
    accumulate: int = Field(default=1, ge=1)
    """Gradient accumulation: number of batches per step."""
    clip: Annotated[float, Field(gt=0)] | None = 5.0
    """Gradient clipping: largest norm."""
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    """Decay of an exponential moving average of the weights."""
    budget_plan: str | None = None
    """Time budget whose recorded decisions lengthen or shorten this phase; `run --budget` writes it. Without these
    decisions the phase has its `epochs`."""
    early_stopping: EarlyStoppingSpec | None = None
    """Early stopping: a section, or its `patience` in epochs."""

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
                raise ValueError("lr: rates by epoch must include epoch 0")
            if self.schedule.name != "constant":
                raise ValueError(
                    f"lr: rates by epoch require `schedule: constant` (it is {self.schedule.name}); or write a number"
                )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs: {self.warmup_epochs:g} should be less than the {self.epochs} epochs of the phase"
            )
        return self

    @field_validator("loss")
    @classmethod
    def _validate_loss(cls, loss: Any) -> Any:
        if isinstance(loss, dict) and not loss:
            raise ValueError("loss must name at least one loss, or be left out")
        return loss
