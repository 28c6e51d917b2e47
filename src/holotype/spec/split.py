"""`split:` how the samples are divided into folds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from holotype.spec.base import Section

__all__ = ["SplitSpec"]


class SplitSpec(Section):
    """Folds that keep groups and duplicates together and classes in proportion."""

    folds: Annotated[int, Field(ge=2)] | Literal["leave-group-out"] = 5
    """How many folds the labelled samples are divided into; `leave-group-out` makes every group a fold of its own."""
    by: list[Literal["groups", "duplicates"]] = ["groups", "duplicates"]
    """What never crosses a fold. Intervals resample groups and duplicates together whatever stands here."""
    stratify: list[Literal["labels", "domain"]] = ["labels", "domain"]
    """What every fold has in the proportion of the whole."""
    like_test: bool | Annotated[int, Field(ge=1)] = False
    """Make fold 0 a holdout of the training samples that resemble the test rows most: as large as the other folds, or
    of so many samples. Write `use: [0]` to be scored on it alone."""
    discriminator: str | None = None
    """A member whose configuration is first trained to tell training rows from test rows, in folds of its own; what it
    says of rows it never saw helps to find those that resemble the test rows."""
    use: Literal["all"] | list[Annotated[int, Field(ge=0)]] = "all"
    """The folds that are trained and scored; `[0]` is the one-holdout way."""

    @model_validator(mode="after")
    def _a_discriminator_has_a_use(self) -> SplitSpec:
        if self.discriminator is not None and not self.like_test:
            raise ValueError(f"discriminator: {self.discriminator!r} is for `like_test`; write `like_test: true` too")
        return self

    @model_validator(mode="after")
    def _used_folds_exist(self) -> SplitSpec:
        if self.use != "all":
            wrong = [fold for fold in self.use if self.folds != "leave-group-out" and fold >= self.folds]
            if wrong or not self.use or len(set(self.use)) != len(self.use):
                last = "the last group" if self.folds == "leave-group-out" else self.folds - 1
                raise ValueError(f"use: {self.use} must name folds from 0 to {last}, each once; or write 'all'")
        return self

    def used(self, count: int) -> tuple[int, ...]:
        """The folds that are trained and scored, in order.

        Args:
            count: How many folds there are.
        """
        return tuple(range(count)) if self.use == "all" else tuple(sorted(self.use))
