"""`split:` how the samples are divided into folds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from holotype.spec.base import Later, Section

__all__ = ["SplitSpec"]


class SplitSpec(Section):
    """Folds that keep groups and duplicates together and classes in proportion."""

    folds: int = Field(default=5, ge=2)
    """How many folds the labelled samples are divided into."""
    by: list[Literal["groups", "duplicates"]] = ["groups", "duplicates"]
    """What never crosses a fold."""
    stratify: list[Literal["labels", "domain"]] = ["labels", "domain"]
    """What every fold has in the proportion of the whole."""
    like_test: Annotated[bool, Later()] = False
    """Draw the folds from the training rows that resemble the test rows most."""
    use: Literal["all"] | list[Annotated[int, Field(ge=0)]] = "all"
    """The folds that are trained and scored; `[0]` is the one-holdout way."""

    @model_validator(mode="after")
    def _used_folds_exist(self) -> SplitSpec:
        if self.use != "all":
            wrong = [fold for fold in self.use if fold >= self.folds]
            if wrong or not self.use or len(set(self.use)) != len(self.use):
                raise ValueError(
                    f"use: {self.use} must name folds from 0 to {self.folds - 1}, each once; or write 'all'"
                )
        return self

    @property
    def used(self) -> tuple[int, ...]:
        """The folds that are trained and scored, in order."""
        return tuple(range(self.folds)) if self.use == "all" else tuple(sorted(self.use))
