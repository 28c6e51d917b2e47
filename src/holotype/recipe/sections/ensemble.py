"""`ensemble:` and `calibration:` from models' scores to one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from holotype.recipe.sections.base import Section

__all__ = [
    "CalibrationSpec",
    "CalibrationSpecOrNone",
    "EnsembleSpec",
    "GreedySpec",
    "MeanSpec",
    "StackSpec",
    "VoteSpec",
    "WeightedSpec",
]

Space = Literal["logit", "probability", "rank"]
Method = Literal["temperature", "isotonic", "beta"]


class MeanSpec(Section):
    """The plain mean of the models' scores."""

    kind: Literal["mean"] = "mean"
    space: Space = "logit"
    """What is averaged; ranks are those among the out-of-fold scores of the model and class."""


class WeightedSpec(Section):
    """A weighted mean; the weights make the out-of-fold log loss smallest."""

    kind: Literal["weighted"]
    space: Literal["logit", "probability"] = "logit"
    """What is averaged."""
    shrink_to_equal: float = Field(default=0.01, ge=0)
    """How strongly the weights are drawn towards equal ones."""
    by: Literal["domain"] | None = None
    """`domain`: each value of `data.domain` with 50 samples or more gets weights of its own."""


class GreedySpec(Section):
    """Models added one by one, again and again, whichever makes the metric largest (Caruana et al. 2004)."""

    kind: Literal["greedy"]
    space: Literal["logit", "probability"] = "logit"
    """What is averaged."""
    rounds: int = Field(default=20, ge=1, le=1000)
    """How many are added; the best number of them counts."""
    by: Literal["domain"] | None = None
    """`domain`: each value of `data.domain` with 50 samples or more gets a selection of its own."""


class VoteSpec(Section):
    """How many models give a class; their mean probability decides between equals."""

    kind: Literal["vote"]


class StackSpec(Section):
    """A model a class on the models' scores, what is known of the image, and the domain."""

    kind: Literal["stack"]
    model: Literal["lightgbm", "linear"] = "lightgbm"
    """Boosted trees, or a logistic regression as the plain alternative."""
    inner: int = Field(default=3, ge=2)
    """Grouped folds inside the outer ones; a fifth of what a model learns from tells when to stop the boosting."""
    repeats: int = Field(default=2, ge=1)
    """How often those folds are drawn."""
    features: list[Literal["scores", "image-statistics"]] = Field(default=["scores", "image-statistics"], min_length=1)
    """What it looks at beside the domain."""

    @model_validator(mode="after")
    def _validate_features(self) -> StackSpec:
        if "scores" not in self.features:
            raise ValueError("features: a stack without `scores` would not look at the models; add it")
        return self


class CalibrationSpec(Section):
    """How scores become probabilities that can be taken at their word."""

    method: Method | None = None
    """`temperature`: one factor; `beta`: three numbers a class; `isotonic`: a staircase a class."""
    prediction_sets: float | None = Field(default=None, gt=0, lt=1)
    """Label sets that hold the truth in this share of samples (conformal)."""
    abstain: float | None = Field(default=None, gt=0, lt=1)
    """The share of samples, the least sure ones, that are marked to be looked at by a person."""
    back_off: float | None = Field(default=None, gt=0, lt=1)
    """The share of answers that should be right: a sample is answered at the nearest rank that is sure enough (species,
    else genus, else family), or not at all; for one label a sample, with or without a taxonomy."""


def _expand_method(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


EnsembleSpec = Annotated[MeanSpec | WeightedSpec | GreedySpec | VoteSpec | StackSpec, Field(discriminator="kind")]
CalibrationSpecOrNone = Annotated[CalibrationSpec | None, BeforeValidator(_expand_method)]
