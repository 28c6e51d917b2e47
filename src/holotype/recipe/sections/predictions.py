"""`models.predictions:` section: scores from another program."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from holotype.recipe.sections.base import Section


class PredictionsSpec(Section):
    """Scores from another program instead of a network: NPY, NPZ, CSV or Parquet."""

    oof: str | None = None
    """Out-of-fold scores of the training samples; a column or array names the fold of each."""
    test: str | None = None
    """Scores of the samples to predict."""
    kind: Literal["logit", "probability"] = "probability"
    """Scale of the scores."""
    rows: Literal["order", "id"] = "order"
    """`order`: rows are in the order of the recipe's table; `id`: they have its ids."""

    @model_validator(mode="after")
    def _require_file(self) -> PredictionsSpec:
        if self.oof is None and self.test is None:
            raise ValueError("predictions: names neither `oof` nor `test`; give a file")
        return self
