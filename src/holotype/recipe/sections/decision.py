"""`decision:` section: from scores to labels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from holotype.recipe.sections.base import Name, Section

Share = Annotated[float, Field(ge=0, le=1)]


class ArgmaxSpec(Section):
    """Argmax: the most likely class of each sample."""

    kind: Literal["argmax"] = "argmax"


class ThresholdSpec(Section):
    """Fixed thresholds: every class whose probability is strictly above its threshold."""

    kind: Literal["threshold"] = "threshold"
    thresholds: float | list[float] | dict[Name, float] = 0.5
    """One threshold for all classes, one per class in their order, or some by class name (0.5 for the others)."""
    fallback: Literal["argmax", "none"] = "argmax"
    """Label of a sample with no class above its threshold."""
    max_labels: int | None = Field(default=None, ge=1)
    """Largest number of labels per sample; the most likely ones stay."""


class CascadeSpec(Section):
    """Cascade of thresholds: samples without a label are compared with the next, lower one."""

    kind: Literal["cascade"]
    levels: list[Share] = Field(default=[0.5, 0.46, 0.445], min_length=1)
    """Falling thresholds."""
    fallback: Literal["argmax", "none"] = "argmax"
    """Label of a sample with no class above the last threshold."""
    max_labels: int | None = Field(default=None, ge=1)
    """Largest number of labels per sample; the most likely ones stay."""

    @model_validator(mode="after")
    def _validate_levels(self) -> CascadeSpec:
        if any(later >= earlier for earlier, later in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError(f"levels: {self.levels} should decrease from one to the next")
        return self


class PerClassSpec(Section):
    """Threshold per class that maximizes the metric on out-of-fold scores, averaged over repeated folds."""

    kind: Literal["per-class"]
    folds: int = Field(default=5, ge=2)
    """Number of grouped folds within the out-of-fold scores."""
    repeats: int = Field(default=20, ge=1)
    """Number of times that the folds are drawn."""
    shrink: float = Field(default=5.0, ge=0)
    """Shrinkage to the global threshold: a class with this many positive samples gets the mean of its own and the
    global one."""
    fallback: Literal["argmax", "none"] = "argmax"
    """Label of a sample with no class above its threshold."""
    max_labels: int | None = Field(default=None, ge=1)
    """Largest number of labels per sample; the most likely ones stay."""


class PriorSpec(Section):
    """Prior matching: every class is predicted as often as it occurs among the training labels, or in a table."""

    kind: Literal["prior"]
    class_frequencies_from: str | None = None
    """Table whose label column has the frequencies; the training labels by default."""
    fallback: Literal["argmax", "none"] = "argmax"
    """Label of a sample with no class above its threshold."""
    max_labels: int | None = Field(default=None, ge=1)
    """Largest number of labels per sample; the most likely ones stay."""


class TopSpec(Section):
    """Top k: the k most likely classes of each sample."""

    kind: Literal["top"]
    k: int = Field(ge=1)
    """Number of labels per sample."""


class AssignSpec(Section):
    """Linear assignment: each class at most once per plate, with the largest sum of log-probabilities."""

    kind: Literal["assign"]
    unique_class_per: str
    """Group column within whose values each class is predicted at most once."""
    class_sets: str | None = None
    """Table `name,set` of classes that occur together: each plate gets the set that fits best."""
    unique_set_per: str | None = None
    """Group column within whose values each set is used at most once, if the plates of one experiment hold different
    sets; without it, every plate gets its set independently."""

    @model_validator(mode="after")
    def _validate_class_sets(self) -> AssignSpec:
        if self.unique_set_per is not None and self.class_sets is None:
            raise ValueError(f"unique_set_per: {self.unique_set_per!r} requires `class_sets`, a table of them")
        return self


class CustomDecisionSpec(Section):
    """Decision rule of a plugin."""

    kind: Literal["custom"]
    name: str
    """Name under which the plugin registered it."""
    options: dict[str, Any] = {}
    """Its options."""


DecisionSpec = Annotated[
    ArgmaxSpec | ThresholdSpec | CascadeSpec | PerClassSpec | PriorSpec | TopSpec | AssignSpec | CustomDecisionSpec,
    Field(discriminator="kind"),
]
