"""`head.taxonomy:` what a network learns of the ranks above its classes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from holotype.recipe.sections.base import Section

__all__ = ["TaxonomySpec", "TaxonomySpecOrNone"]


class TaxonomySpec(Section):
    """What is learnt of the ranks of `data.labels.taxonomy`; every prediction is one distribution over the classes."""

    kind: Literal["marginal", "separate"] = "marginal"
    """`marginal`: a rank's probabilities are sums of its classes'; `separate`: each rank has logits of its own, and a
    class's log-probability gets those of the taxa above it, times the rank's weight."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(min_length=1)
    """What each rank's loss counts: `{genus: 0.3, family: 0.1}`. A rank left out counts nothing; `class`, or the name
    of the labels' column, are the classes, and count 1 unless they are named."""

    @model_validator(mode="after")
    def _validate_class_weight(self) -> TaxonomySpec:
        if self.weights.get("class") == 0:
            raise ValueError("weights: `class` should be above 0, or the classes would not be learnt")
        return self


def _expand_weights(value: Any) -> Any:
    """The short form, a mapping of weights."""
    return {"weights": value} if isinstance(value, dict) and not {"kind", "weights"} & set(value) else value


TaxonomySpecOrNone = Annotated[TaxonomySpec | None, BeforeValidator(_expand_weights)]
