"""`specialists:`, `pseudo_labels:` and `neighbors:` of a model: what it learns beside its own training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holotype.recipe.sections.base import Section
from holotype.recipe.sections.phase import PhaseSpec

__all__ = ["NeighborsSpec", "PseudoLabelsSpec", "SpecialistsSpec"]

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class SpecialistsSpec(Section):
    """Models of single domains, each fine-tuned from the overall one, that answer where they do better out of fold."""

    by: Literal["domain"] = "domain"
    """The column that `data.domain` names."""
    phases: list[PhaseSpec] = Field(default=[PhaseSpec(epochs=4, lr=5.0e-4)], min_length=1)
    """How they are fine-tuned."""
    min_samples: int = Field(default=50, ge=2)
    """Training samples that a domain needs in every fold; the overall model answers for smaller ones, and for rows
    whose domain is unknown."""


class PseudoLabelsSpec(Section):
    """Rows that join training with the labels that the model's earlier model of the same fold is sure of."""

    rounds: int = Field(default=1, ge=1, le=10)
    """How often it is trained anew with what the round before was sure of."""
    roles: Literal["test", "external", "both"] = "test"
    """Which rows may join; external ones then count as unlabelled."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Probability from which a label counts as sure; of many labels every one must be as sure, present or absent."""
    weight: Share = 1.0
    """Share of the sure rows that an epoch sees, drawn anew each time: what they weigh beside a labelled row."""
    ramp_epochs: int = Field(default=0, ge=0)
    """Epochs of the first phase over which they join; labelled rows come twice until then, so that epochs stay as
    long."""


class NeighborsSpec(Section):
    """A second model, `NAME.neighbors`: the labels of the training specimens that lie nearest in the embedding."""

    k: int = Field(default=5, ge=1, le=1000)
    """How many specimens have a vote."""
    override_similarity: Share | None = None
    """Similarity from which the specimens' labels replace the network's own scores; elsewhere these stay. Left out, the
    specimens alone answer, and the ensemble weighs them."""
    index: Literal["auto", "exact", "faiss"] = "auto"
    """How they are found; `auto` is exact up to some hundred thousand specimens."""
