"""`decision:` from scores to labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from holotype.recipe.sections.base import Name, Section

__all__ = [
    "ArgmaxSpec",
    "AssignSpec",
    "CascadeSpec",
    "DecisionSpec",
    "PerClassSpec",
    "PriorSpec",
    "ThresholdSpec",
    "TopSpec",
]

Share = Annotated[float, Field(ge=0, le=1)]


class ArgmaxSpec(Section):
    """The likeliest class, exactly one a sample."""

    kind: Literal["argmax"] = "argmax"


class ThresholdSpec(Section):
    """Every class whose probability lies strictly above its threshold."""

    kind: Literal["threshold"] = "threshold"
    thresholds: float | list[float] | dict[Name, float] = 0.5
    """One for all classes, one a class in the order of the classes, or some by name (0.5 for the others)."""
    fallback: Literal["argmax", "none"] = "argmax"
    """What a sample gets that has no class above its threshold."""
    max_labels: int | None = Field(default=None, ge=1)
    """The most labels a sample may have; the likeliest stay."""


class CascadeSpec(Section):
    """One threshold for all; samples without a label meet the next, lower one."""

    kind: Literal["cascade"]
    levels: list[Share] = Field(default=[0.5, 0.46, 0.445], min_length=1)
    """Falling thresholds."""
    fallback: Literal["argmax", "none"] = "argmax"
    """What a sample gets that has no class above the last level."""
    max_labels: int | None = Field(default=None, ge=1)
    """The most labels a sample may have; the likeliest stay."""

    @model_validator(mode="after")
    def _validate_levels(self) -> CascadeSpec:
        if any(later >= earlier for earlier, later in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError(f"levels: {self.levels} should fall from one to the next")
        return self


class PerClassSpec(Section):
    """A threshold a class that makes the metric largest out of fold, averaged over repeated folds."""

    kind: Literal["per-class"]
    folds: int = Field(default=5, ge=2)
    """Grouped folds inside the out-of-fold scores."""
    repeats: int = Field(default=20, ge=1)
    """How often those folds are drawn."""
    shrink: float = Field(default=5.0, ge=0)
    """A class with this many positive samples gets a threshold half way between its own and the common one."""
    fallback: Literal["argmax", "none"] = "argmax"
    """What a sample gets that has no class above its threshold."""
    max_labels: int | None = Field(default=None, ge=1)
    """The most labels a sample may have; the likeliest stay."""


class PriorSpec(Section):
    """Every class is given as often as the training labels, or a table of labels, say."""

    kind: Literal["prior"]
    class_frequencies_from: str | None = None
    """A table whose label column tells how often; the training labels where it is left out."""
    fallback: Literal["argmax", "none"] = "argmax"
    """What a sample gets that has no class above its threshold."""
    max_labels: int | None = Field(default=None, ge=1)
    """The most labels a sample may have; the likeliest stay."""


class TopSpec(Section):
    """The k likeliest classes."""

    kind: Literal["top"]
    k: int = Field(ge=1)
    """How many labels a sample gets."""


class AssignSpec(Section):
    """Within a plate each class is given at most once: the assignment with the largest sum of log-probabilities."""

    kind: Literal["assign"]
    unique_class_per: str
    """The group column within whose values each class is given once."""
    class_sets: str | None = None
    """A table `name,set` of classes that come together: each plate takes the one set that suits it best."""
    unique_set_per: str | None = None
    """The group column within whose values each set is taken once, as the plates of one experiment hold different sets;
    without it every plate chooses its set by itself."""

    @model_validator(mode="after")
    def _validate_class_sets(self) -> AssignSpec:
        if self.unique_set_per is not None and self.class_sets is None:
            raise ValueError(f"unique_set_per: {self.unique_set_per!r} is for `class_sets`; name a table of them too")
        return self


DecisionSpec = Annotated[
    ArgmaxSpec | ThresholdSpec | CascadeSpec | PerClassSpec | PriorSpec | TopSpec | AssignSpec,
    Field(discriminator="kind"),
]
