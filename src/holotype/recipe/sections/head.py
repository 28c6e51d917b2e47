"""`head:` of a model: what the network ends in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from holotype.recipe.sections.base import Section
from holotype.recipe.sections.taxonomy import TaxonomySpecOrNone

__all__ = ["HeadSpec", "MarginSpec"]


class MarginSpec(Section):
    """A last layer whose logits are a scale times the cosine of the angle to each class's center."""

    scale: float = Field(default=30.0, gt=0)
    """What cosines are multiplied by; small scales train softly, large ones sharply."""
    subcenters: int = Field(default=1, ge=1, le=16)
    """Centers of each class, of which the nearest counts (sub-center ArcFace, for wrong labels and mixed classes)."""


class HeadSpec(Section):
    """What turns the backbone's last feature map into one logit a class."""

    pool: Literal["avg", "max", "concat", "gem", "attention"] = "avg"
    """How the feature map becomes a vector; `concat` is average and maximum side by side, `gem` a power mean, and
    `attention` a weighted mean; the last two learn."""
    batch_norm: bool = False
    """Normalize the pooled features over the batch."""
    hidden: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] | None = None
    """Width of a hidden layer with batch normalization, or of several, or none."""
    activation: str = "relu"
    """Activation of the hidden layers."""
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Share of features dropped before the last layer in training."""
    margin: MarginSpec | None = None
    """Measure angles instead, as the losses `arcface` and `cosface` need it; for one label a sample."""
    classes_per_step: int | None = Field(default=None, ge=2)
    """How many classes a training step looks at: those of its batch, and others drawn anew every step; for one label a
    sample. Left out, all of them up to 2,000 classes, and a tenth, at
    least 1,000, where there are more; several processes (`run.processes`) always look at all."""
    taxonomy: TaxonomySpecOrNone = None
    """What is learnt of the ranks of `data.labels.taxonomy`: a section, or its weights alone, `{genus: 0.3}`."""

    @model_validator(mode="after")
    def _validate_taxonomy(self) -> HeadSpec:
        if self.taxonomy is not None and self.classes_per_step is not None:
            raise ValueError(
                "taxonomy: the ranks are learnt from all classes; leave `classes_per_step` out, or `taxonomy`"
            )
        return self
