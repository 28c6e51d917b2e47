"""`split:` section: division of the samples into folds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from holotype.recipe.sections.base import Section


class SplitSpec(Section):
    """Stratified folds that keep groups and duplicates together."""

    folds: Annotated[int, Field(ge=2)] | Literal["leave-group-out"] = 5
    """Number of folds of the labeled samples; `leave-group-out` makes every group a fold."""
    keep_together: list[Literal["groups", "duplicates"]] = ["groups", "duplicates"]
    """Links that never cross a fold. Intervals always resample groups and duplicates together, whatever is written
    here."""
    stratify: list[Literal["labels", "domain"]] = ["labels", "domain"]
    """Properties that are balanced between folds."""
    like_test: bool | Annotated[int, Field(ge=1)] = False
    """Make fold 0 a holdout of the training samples that are most similar to the test rows, as large as the other folds
    or of so many samples. Write `folds_to_train: [0]` to score on it alone."""
    adversarial_model: str | None = None
    """Adversarial validation: a model whose configuration is first trained, in separate folds, to distinguish training
    from test rows; its out-of-fold predictions help to select the rows most similar to the test rows."""
    folds_to_train: Literal["all"] | list[Annotated[int, Field(ge=0)]] = "all"
    """Folds that are trained and scored; `[0]` trains and scores a single holdout fold."""

    @model_validator(mode="after")
    def _validate_adversarial_model(self) -> SplitSpec:
        if self.adversarial_model is not None and not self.like_test:
            raise ValueError(
                f"adversarial_model: {self.adversarial_model!r} requires `like_test`; write `like_test: true` too"
            )
        return self

    @model_validator(mode="after")
    def _validate_folds_to_train(self) -> SplitSpec:
        if self.folds_to_train != "all":
            wrong = [fold for fold in self.folds_to_train if self.folds != "leave-group-out" and fold >= self.folds]
            if wrong or not self.folds_to_train or len(set(self.folds_to_train)) != len(self.folds_to_train):
                last = "the last group" if self.folds == "leave-group-out" else self.folds - 1
                raise ValueError(
                    f"folds_to_train: {self.folds_to_train} must name folds from 0 to {last}, each once; or write 'all'"
                )
        return self

    def folds_used(self, count: int) -> tuple[int, ...]:
        """Folds that are trained and scored, in order."""
        return tuple(range(count)) if self.folds_to_train == "all" else tuple(sorted(self.folds_to_train))
