"""`checkpoints:` of a model: which of the checkpoints of a training become the model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from holotype.recipe.sections.base import Section

__all__ = ["CheckpointsSpec"]

Count = Annotated[int, Field(ge=1, le=100)]


class CheckpointsSpec(Section):
    """Which of the checkpoints become the model: exactly one of `last`, `best` and `cycles`."""

    last: Count | None = None
    """The last so many epochs; 1 where nothing else is written."""
    best: Count | None = None
    """The best so many epochs by `metric`."""
    cycles: Count | None = None
    """The ends of the last so many cycles of the schedule (Huang et al. 2017, "Snapshot ensembles")."""
    average: Literal["predictions", "weights", "greedy"] = "predictions"
    """Several are averaged as predictions, or as weights; `greedy` takes a checkpoint into the average of weights only
    where that gains on the rows that choose (Wortsman et al. 2022, "Model soups")."""
    metric: Literal["metric", "loss"] = "metric"
    """What `best` and `greedy` go by: macro F1, or the loss."""
    rows: Literal["inner", "scored-fold"] = "inner"
    """The rows that choose: a tenth of the training folds, or the fold that is scored, which every score then says."""

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
            raise ValueError(f"{' and '.join(rules)} stand side by side; write one of last, best and cycles")
        return self

    @property
    def selects(self) -> bool:
        """Whether anything is chosen by how well it does."""
        return self.best is not None or (self.average == "greedy" and self.count > 1)

    @property
    def count(self) -> int:
        """How many checkpoints are kept at most."""
        return self.last or self.best or self.cycles or 1
