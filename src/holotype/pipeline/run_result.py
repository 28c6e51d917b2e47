"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from holotype.evaluation import NestedScore
from holotype.pipeline.fit_postprocessing import FittedPostprocessing
from holotype.pipeline.model_scores import AllModelScores
from holotype.pipeline.models import ModelPredictions
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.review_effect import ReviewEffect
from holotype.types import OofPredictions, TestPredictions

__all__ = ["RunResult"]


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Args:
        prepared: What was known before training.
        model_scores: What each model says.
        postprocessing: How models become one and are decided, and what that makes of the samples.
        nested: The honest score, and what it was computed from; none without out-of-fold scores.
        label_errors: Samples whose labels are likely wrong, from `holotype.audit.find_label_errors`.
        validation: The ensemble's scores of the validation set of its own, where there is one.
        review: What a review of the labels changed, where there was one.
    """

    prepared: PreparedData
    model_scores: AllModelScores
    postprocessing: FittedPostprocessing
    nested: NestedScore | None
    label_errors: pl.DataFrame
    validation: TestPredictions | None = None
    review: ReviewEffect | None = None

    @property
    def models(self) -> list[ModelPredictions]:
        """The models and their networks."""
        return self.model_scores.models

    @property
    def oof(self) -> list[OofPredictions]:
        """Out-of-fold scores of each model, pooled as was chosen; empty where there are none."""
        return self.postprocessing.read(self.model_scores.oof) if self.model_scores.oof else []

    @property
    def test(self) -> list[TestPredictions]:
        """Test scores of each model, pooled as was chosen; empty without a test table."""
        return self.postprocessing.read(self.model_scores.test) if self.model_scores.test else []
