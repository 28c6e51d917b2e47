"""`models.predictions:` scores that were made elsewhere."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from holotype.recipe.sections.base import Section

__all__ = ["PredictionsSpec"]


class PredictionsSpec(Section):
    """Scores that were made elsewhere, instead of a network: NPY, NPZ, CSV or Parquet."""

    oof: str | None = None
    """Scores of the training samples by models that never saw them; a column or array of folds says which."""
    test: str | None = None
    """Scores of the samples to predict."""
    kind: Literal["logit", "probability"] = "probability"
    """What the numbers are."""
    rows: Literal["order", "id"] = "order"
    """The rows stand in the order of our table, or carry its ids."""

    @model_validator(mode="after")
    def _require_file(self) -> PredictionsSpec:
        if self.oof is None and self.test is None:
            raise ValueError("predictions: names neither `oof` nor `test`; give a file")
        return self
