"""`ensemble:` and `calibration:` sections: combination of models, and calibrated probabilities."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from holotype.recipe.sections.base import Section

Space = Literal["logit", "probability", "rank"]
Method = Literal["temperature", "isotonic", "beta"]


class MeanSpec(Section):
    """Mean of the models' scores."""

    kind: Literal["mean"] = "mean"
    space: Space = "logit"
    """Scale of the mean; ranks are those among the out-of-fold scores of the model and class."""


class WeightedSpec(Section):
    """Weighted mean of the models' scores; the weights minimize the out-of-fold log loss."""

    kind: Literal["weighted"]
    space: Literal["logit", "probability"] = "logit"
    """Scale of the mean."""
    shrink_to_equal: float = Field(default=0.01, ge=0)
    """L2 penalty on the distance from equal weights."""
    by: Literal["domain"] | None = None
    """`domain`: each value of `data.domain` with 50 samples or more gets its own weights."""


class GreedySpec(Section):
    """Greedy ensemble selection, with repetition, to maximize the metric (Caruana et al. 2004)."""

    kind: Literal["greedy"]
    space: Literal["logit", "probability"] = "logit"
    """Scale of the mean."""
    rounds: int = Field(default=20, ge=1, le=1000)
    """Number of models added; the best prefix is used."""
    by: Literal["domain"] | None = None
    """`domain`: each value of `data.domain` with 50 samples or more gets its own selection."""


class VoteSpec(Section):
    """Majority vote: the number of models that predict a class; ties are broken by their mean probability."""

    kind: Literal["vote"]


class StackSpec(Section):
    """Stacking: one model per class on the models' scores, image statistics and the domain."""

    kind: Literal["stack"]
    model: Literal["lightgbm", "linear"] = "lightgbm"
    """Gradient boosted trees, or logistic regression."""
    inner: int = Field(default=3, ge=2)
    """Number of grouped folds within the outer ones; a fifth of the training samples stops the boosting early."""
    repeats: int = Field(default=2, ge=1)
    """Number of times that the folds are drawn."""
    features: list[Literal["scores", "image-statistics"]] = Field(default=["scores", "image-statistics"], min_length=1)
    """Features in addition to the domain."""

    @model_validator(mode="after")
    def _validate_features(self) -> StackSpec:
        if "scores" not in self.features:
            raise ValueError("features: a stack requires `scores`; add it")
        return self


class CalibrationSpec(Section):
    """Probability calibration, conformal prediction sets and abstention."""

    method: Method | None = None
    """`temperature`: one factor for all logits; `beta`: three parameters per class; `isotonic`: a step function per
    class."""
    prediction_sets: float | None = Field(default=None, gt=0, lt=1)
    """Conformal prediction sets that contain the true label in this share of samples."""
    abstain: float | None = Field(default=None, gt=0, lt=1)
    """Share of samples, those of least confidence, that are marked for a person to check."""
    back_off: float | None = Field(default=None, gt=0, lt=1)
    """Hierarchical selective classification: share of answers that should be correct. A sample is answered at the
    nearest rank with enough confidence (species, else genus, else family), or not at all; for multiclass labels, with
    or without a taxonomy."""


def _expand_method(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


EnsembleSpec = Annotated[MeanSpec | WeightedSpec | GreedySpec | VoteSpec | StackSpec, Field(discriminator="kind")]
CalibrationSpecOrNone = Annotated[CalibrationSpec | None, BeforeValidator(_expand_method)]
