"""Pooling of views as running reductions: however many views there are, one array is held."""

from __future__ import annotations

import torch
from torch import Tensor

from holotype.core.errors import RecipeError

__all__ = ["RunningPool"]

RULES = ("mean-logit", "mean-probability", "max", "geometric", "first-view")
TINY = 1e-37
EPSILON = 1e-7  # keeps the log-odds of certainty finite


class RunningPool:
    """Pools scores as they come.

    Args:
        rule: `mean-logit`, `mean-probability`, `geometric` (the mean of the probabilities' logarithms) or `max` (of the
            log-odds, or of the log-probabilities of a softmax); `first-view` keeps the first view alone.
        kind: `multiclass` (softmax) or `multilabel` (sigmoid).

    Raises:
        RecipeError: There is no such rule.
    """

    def __init__(self, rule: str, kind: str) -> None:
        if rule not in RULES:
            raise RecipeError(
                f"there is no pooling {rule!r}", field="models.predict.pooling", value=rule, allowed=RULES
            )
        self.rule, self.kind = rule, kind
        self.pooled: Tensor | None = None
        self.count = 0

    def add(self, logits: Tensor) -> None:
        """Take one view into account.

        Args:
            logits: Shape (n, classes).
        """
        self.count += 1
        if self.rule == "first-view":
            self.pooled = logits if self.pooled is None else self.pooled
            return
        if self.rule == "mean-probability":
            logits = logits.sigmoid() if self.kind == "multilabel" else logits.softmax(dim=1)
        elif self.rule == "geometric" and self.kind == "multilabel":
            logits = torch.nn.functional.logsigmoid(logits)
        elif self.rule in {"max", "geometric"} and self.kind == "multiclass":
            logits = logits.log_softmax(dim=1)  # the arguments of a softmax are known up to a constant a view
        if self.pooled is None:
            self.pooled = logits.clone()
        elif self.rule == "max":
            torch.maximum(self.pooled, logits, out=self.pooled)
        else:
            self.pooled += logits

    def logits(self) -> Tensor:
        """The pooled scores, as logits again.

        Returns:
            Shape (n, classes).
        """
        if self.pooled is None:
            raise ValueError("no view was added")
        if self.rule in {"max", "first-view"}:
            return self.pooled
        mean = self.pooled / self.count
        if self.rule == "mean-logit" or (self.rule == "geometric" and self.kind == "multiclass"):
            return mean
        if self.rule == "geometric":
            mean = mean.clamp(max=-TINY)
            return mean - torch.log(-torch.expm1(mean))
        mean = mean.clamp(EPSILON, 1 - EPSILON)
        return mean.logit() if self.kind == "multilabel" else mean.log()
