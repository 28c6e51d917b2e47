"""`head:` section of a model: pooling and classifier."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from holotype.recipe.sections.base import Section
from holotype.recipe.sections.taxonomy import TaxonomySpecOrNone


class MarginSpec(Section):
    """Cosine classifier: logits are a scale times the cosine between the features and each class's center."""

    scale: float = Field(default=30.0, gt=0)
    """Factor on the cosines; small values train softly, large ones sharply."""
    subcenters: int = Field(default=1, ge=1, le=16)
    """Number of centers per class, of which the nearest counts (sub-center ArcFace, for label noise and mixed
    classes)."""


class HeadSpec(Section):
    """Head of a network: from the backbone's last feature map to one logit per class."""

    pool: Literal["avg", "max", "concat", "token", "gem", "attention"] = "avg"
    """Pooling of the feature map; `concat` is average and maximum, `token` the class token of a vision transformer,
    `gem` generalized mean pooling, `attention` a weighted mean; the last two have learned parameters."""
    batch_norm: bool = False
    """Batch normalization of the pooled features."""
    hidden: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] | None = None
    """Width of a hidden layer with batch normalization, or a list of widths; null for none."""
    activation: str = "relu"
    """Activation of the hidden layers."""
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Dropout rate before the last layer."""
    margin: MarginSpec | None = None
    """Cosine classifier, which the losses `arcface` and `cosface` require; for multiclass labels."""
    classes_per_step: int | None = Field(default=None, ge=2)
    """Sampled softmax (Partial FC): number of classes in a training step, those of its batch and others drawn anew; for
    multiclass labels. By default all classes up to 2,000, and above that a tenth, at least 1,000; several processes
    (`run.processes`) always use all classes."""
    taxonomy: TaxonomySpecOrNone = None
    """Training on the ranks of `data.labels.taxonomy`: a section, or its weights alone, `{genus: 0.3}`."""

    @model_validator(mode="after")
    def _validate_taxonomy(self) -> HeadSpec:
        if self.taxonomy is not None and self.classes_per_step is not None:
            raise ValueError("taxonomy: cannot be combined with `classes_per_step`; leave one of them out")
        return self
