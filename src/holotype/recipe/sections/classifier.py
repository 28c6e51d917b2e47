"""`classifier:` section of a model: a classifier on frozen features or on a table of measurements."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from holotype.recipe.sections.base import Section

Strength = Literal["auto"] | Annotated[float, Field(gt=0.0)]
ClassWeight = Literal["balanced"] | None


class LogisticClassifierSpec(Section):
    """Logistic regression with an L2 penalty (a linear probe); one against the rest for multilabel data."""

    kind: Literal["logistic"] = "logistic"
    c: Strength = "auto"
    """Inverse strength of the L2 penalty, as `C` in scikit-learn; `auto` selects one of seven values, from 1e-5 to 10,
    by the log loss of inner folds."""
    class_weight: ClassWeight = None
    """`balanced`: rows of rare classes count more, so that all classes have the same total weight."""
    standardize: bool = True
    """Scale each feature to mean 0 and standard deviation 1 over the training rows."""


class RidgeClassifierSpec(Section):
    """Ridge regression on the labels, in closed form; a temperature fitted on inner folds turns scores into logits."""

    kind: Literal["ridge"]
    c: Strength = "auto"
    """Inverse strength of the L2 penalty, 1 / `alpha` in scikit-learn; `auto` selects one of seven values, from 1e-5 to
    10, by the log loss of inner folds."""
    class_weight: ClassWeight = None
    """`balanced`: rows of rare classes count more; for multilabel data, the prior odds of all classes are even."""
    standardize: bool = True
    """Scale each feature to mean 0 and standard deviation 1 over the training rows."""


class LdaClassifierSpec(Section):
    """Linear discriminant analysis with a shrunk covariance, in closed form; for multiclass labels only."""

    kind: Literal["lda"]
    shrinkage: Literal["auto"] | Annotated[float, Field(ge=0.0, le=1.0)] = "auto"
    """Share of the identity in the covariance within classes; `auto`: by the formula of Ledoit and Wolf."""
    class_weight: ClassWeight = None
    """`balanced`: all classes have the same prior probability."""
    standardize: bool = True
    """Scale each feature to mean 0 and standard deviation 1 over the training rows."""


class KnnClassifierSpec(Section):
    """K-nearest neighbors by cosine similarity; votes are weighted by a softmax of the similarity."""

    kind: Literal["knn"]
    k: int = Field(default=20, ge=1, le=1000)
    """Number of neighbors that vote."""
    temperature: Literal["auto"] | Annotated[float, Field(gt=0.0, le=10.0)] = "auto"
    """Difference of similarity by which a vote falls to 1/e; `auto` fits it by the log loss of training rows whose own
    group does not vote."""
    standardize: bool = False
    """Scale each feature to mean 0 and standard deviation 1 before the similarity is computed."""


class LightgbmClassifierSpec(Section):
    """Gradient boosted trees (LightGBM) for tables of measurements; features may be missing."""

    kind: Literal["lightgbm"]
    rounds: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = "auto"
    """Number of boosting rounds; `auto` finds it by early stopping on a fifth of the groups, then fits all rows."""
    learning_rate: float = Field(default=0.05, gt=0.0, le=1.0)
    """Factor on the contribution of each tree."""
    leaves: int = Field(default=15, ge=2, le=1024)
    """Largest number of leaves of a tree."""
    class_weight: ClassWeight = None
    """`balanced`: rows of rare classes count more, so that all classes have the same total weight."""


class CustomClassifierSpec(Section):
    """Classifier of a plugin."""

    kind: Literal["custom"]
    name: str
    """Name under which the plugin registered it."""
    options: dict[str, Any] = {}
    """Its options."""


def _expand_kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


ClassifierSpec = Annotated[
    Annotated[
        LogisticClassifierSpec
        | RidgeClassifierSpec
        | LdaClassifierSpec
        | KnnClassifierSpec
        | LightgbmClassifierSpec
        | CustomClassifierSpec,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_expand_kind),
]
"""Classifier of a model; the kind alone (`classifier: logistic`) stands for its defaults."""
