"""Run result: everything that `run_steps` computes."""

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


@dataclass(frozen=True)
class RunResult:
    """Run result: what the files of the run folder and the report are made from.

    Args:
        nested: Nested score, and the logits and labels behind it; None without out-of-fold scores.
        label_errors: Likely label errors, from `holotype.audit.find_label_errors`.
        validation: Ensemble scores of the external validation set, if there is one.
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
        """Predictions and checkpoints of each model."""
        return self.model_scores.models

    @property
    def oof(self) -> list[OofPredictions]:
        """Out-of-fold scores of each model with its selected pooling; empty if there are none."""
        return self.postprocessing.read(self.model_scores.oof) if self.model_scores.oof else []

    @property
    def test(self) -> list[TestPredictions]:
        """Test scores of each model with its selected pooling; empty without a test table."""
        return self.postprocessing.read(self.model_scores.test) if self.model_scores.test else []
