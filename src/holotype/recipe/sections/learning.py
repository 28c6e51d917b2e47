"""`specialists:`, `pseudo_labels:` and `neighbors:` sections of a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holotype.recipe.sections.base import Section
from holotype.recipe.sections.phase import PhaseSpec

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class SpecialistsSpec(Section):
    """Specialists: networks fine-tuned to single domains, used for the domains where they are better out of fold."""

    by: Literal["domain"] = "domain"
    """Column of `data.domain`."""
    phases: list[PhaseSpec] = Field(default=[PhaseSpec(epochs=4, lr=5.0e-4)], min_length=1)
    """Phases of the fine-tuning."""
    min_samples: int = Field(default=50, ge=2)
    """Training samples that a domain needs in every fold; the general network predicts smaller domains, and rows of
    unknown domain."""


class PseudoLabelsSpec(Section):
    """Pseudo-labeling: add test or external rows with confident labels by the same fold's previous model."""

    rounds: int = Field(default=1, ge=1, le=10)
    """Number of trainings with new pseudo-labels."""
    roles: Literal["test", "external", "both"] = "test"
    """Roles of the rows that are added; external rows then count as unlabeled."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Smallest probability of a confident label; for multilabel data every class must be as certain, present or
    absent."""
    weight: Share = 1.0
    """Share of the pseudo-labeled rows that an epoch uses, drawn anew each time."""
    ramp_epochs: int = Field(default=0, ge=0)
    """Epochs of the first phase over which the share rises; labeled rows are repeated until then, so that the epoch
    length is constant."""


class NeighborsSpec(Section):
    """K-nearest neighbors: a second model, `NAME.neighbors`, on the embeddings of the training samples."""

    k: int = Field(default=5, ge=1, le=1000)
    """Number of neighbors that vote."""
    override_similarity: Share | None = None
    """Cosine similarity above which the neighbors' labels replace the network's scores. By default, the neighbors are a
    separate model, which the ensemble weighs."""
    index: Literal["auto", "exact", "faiss"] = "auto"
    """Search method; `auto` is exact up to some hundred thousand samples."""
