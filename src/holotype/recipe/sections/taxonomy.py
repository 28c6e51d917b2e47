"""`head.taxonomy:` section: training on the ranks above the classes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from holotype.recipe.sections.base import Section


class TaxonomySpec(Section):
    """Training on the ranks of `data.labels.taxonomy`. Predictions remain one distribution over the classes."""

    kind: Literal["marginal", "separate"] = "marginal"
    """`marginal`: a rank's probabilities are sums over its classes; `separate`: each rank has its own logits, and a
    class's log-probability adds those of its taxa, times the rank's weight."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(min_length=1)
    """Loss weight of each rank: `{genus: 0.3, family: 0.1}`; 0 for ranks that are not named. `class`, or the name of
    the labels' column, stands for the classes, with weight 1 by default."""

    @model_validator(mode="after")
    def _validate_class_weight(self) -> TaxonomySpec:
        if self.weights.get("class") == 0:
            raise ValueError("weights: `class` should be above 0, or the classes would not be learned")
        return self


def _expand_weights(value: Any) -> Any:
    return {"weights": value} if isinstance(value, dict) and not {"kind", "weights"} & set(value) else value


TaxonomySpecOrNone = Annotated[TaxonomySpec | None, BeforeValidator(_expand_weights)]
