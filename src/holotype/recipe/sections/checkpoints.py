"""`checkpoints:` section of a model: selection of the checkpoints that predict."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from holotype.recipe.sections.base import Section

Count = Annotated[int, Field(ge=1, le=100)]


class CheckpointsSpec(Section):
    """Selection of checkpoints: the last n, the best n, or the ends of the last n cycles; exactly one of the three."""

    last: Count | None = None
    """Number of last epochs; 1 by default."""
    best: Count | None = None
    """Number of best epochs by `metric`."""
    cycles: Count | None = None
    """Number of last cycles of the schedule whose ends are used (Huang et al. 2017, "Snapshot ensembles")."""
    average: Literal["predictions", "weights", "greedy"] = "predictions"
    """Average of several checkpoints: of their predictions, or of their weights; `greedy` adds a checkpoint to the
    average of weights only if that improves the score on `rows` (Wortsman et al. 2022, "Model soups")."""
    metric: Literal["metric", "loss"] = "metric"
    """Criterion of `best` and `greedy`: macro F1, or the loss."""
    rows: Literal["inner", "scored-fold"] = "inner"
    """Rows used for the selection: `inner`, a tenth of the training folds; or `scored-fold`, which biases the score and
    is stated with it."""

    @model_validator(mode="before")
    @classmethod
    def _default_to_last(cls, value: Any) -> Any:
        if isinstance(value, dict) and all(value.get(name) is None for name in ("last", "best", "cycles")):
            return {**value, "last": 1}
        return value

    @model_validator(mode="after")
    def _validate_one_rule(self) -> CheckpointsSpec:
        rules = [name for name in ("last", "best", "cycles") if getattr(self, name) is not None]
        if len(rules) != 1:
            raise ValueError(f"{' and '.join(rules)} exclude each other; write one of last, best and cycles")
        return self

    @property
    def selects(self) -> bool:
        """True if checkpoints are selected by their score."""
        return self.best is not None or (self.average == "greedy" and self.count > 1)

    @property
    def count(self) -> int:
        """Largest number of checkpoints kept."""
        return self.last or self.best or self.cycles or 1
