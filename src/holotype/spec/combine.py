"""`ensemble:`, `calibrate:` and `decide:` from members' scores to labels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from holotype.spec.base import Section

__all__ = [
    "ArgmaxSpec",
    "CalibrateSpec",
    "DecideSpec",
    "EnsembleSpec",
    "LaterDecideSpec",
    "LaterEnsembleSpec",
    "MeanSpec",
    "ThresholdSpec",
]

CalibrateSpec = dict[str, Any] | Literal["temperature", "isotonic", "beta"] | None


class MeanSpec(Section):
    """The plain mean of the members' scores."""

    kind: Literal["mean"] = "mean"
    space: Literal["logit", "probability"] = "logit"
    """What is averaged."""


class LaterEnsembleSpec(Section):
    """Ensembles of the contract whose machinery this version does not have."""

    kind: Literal["weighted", "greedy", "vote", "stack"]
    """How members' scores are combined."""
    space: Literal["logit", "probability", "rank"] = "logit"
    """What is combined."""
    by: str | None = None
    """A column whose values get an ensemble of their own."""
    inner: int = Field(default=3, ge=2)
    """Grouped folds inside the out-of-fold scores."""
    repeats: int = Field(default=2, ge=1)
    """How often those folds are drawn."""
    features: list[Literal["scores", "image-statistics"]] = ["scores", "image-statistics"]
    """What a stack looks at."""

    @model_validator(mode="after")
    def _comes_later(self) -> LaterEnsembleSpec:
        raise ValueError(f"an ensemble of kind {self.kind!r} is not built yet; write {{kind: mean}}")


class ArgmaxSpec(Section):
    """The likeliest class, exactly one a sample."""

    kind: Literal["argmax"] = "argmax"


class ThresholdSpec(Section):
    """Every class whose probability lies strictly above its threshold."""

    kind: Literal["threshold"] = "threshold"
    thresholds: float | list[float] | dict[str, float] = 0.5
    """One for all classes, one a class in the order of the classes, or some by name (0.5 for the others)."""
    fallback: Literal["argmax", "none"] = "argmax"
    """What a sample gets that has no class above its threshold."""


class LaterDecideSpec(Section):
    """Decisions of the contract whose machinery this version does not have."""

    kind: Literal["cascade", "per-class", "prior", "top", "assign"]
    """How scores become labels."""
    folds: int = Field(default=5, ge=2)
    """Grouped folds inside the out-of-fold scores."""
    repeats: int = Field(default=20, ge=1)
    """How often those folds are drawn."""
    fallback: Literal["argmax", "none"] = "argmax"
    """What a sample gets that no threshold lets in."""
    thresholds: list[float] | None = None
    """Falling thresholds of a cascade."""
    like: str | None = None
    """Whose class frequencies the labels should have."""
    k: int | None = Field(default=None, ge=1)
    """How many labels a sample gets."""
    one_class_per: str | None = None
    """The column within whose values each class is given once."""

    @model_validator(mode="after")
    def _comes_later(self) -> LaterDecideSpec:
        raise ValueError(
            f"a decision of kind {self.kind!r} is not built yet; write {{kind: argmax}} or {{kind: threshold}}"
        )


EnsembleSpec = Annotated[MeanSpec | LaterEnsembleSpec, Field(discriminator="kind")]
DecideSpec = Annotated[ArgmaxSpec | ThresholdSpec | LaterDecideSpec, Field(discriminator="kind")]
