"""Pooling of test-time-augmentation views as running reductions: memory does not grow with the number of views."""

from __future__ import annotations

import torch
from torch import Tensor

from holotype.core.errors import RecipeError

RULES = ("mean-logit", "mean-probability", "max", "geometric", "first-view")
TINY = 1e-37
EPSILON = 1e-7  # keeps the log-odds of certainty finite


class RunningPool:
    """Running pool of logits.

    Args:
        rule: `mean-logit`, `mean-probability`, `geometric` (mean log-probability), `max` (of log-odds, or of softmax
            log-probabilities) or `first-view` (ignores the other views).
        kind: `multiclass` (softmax) or `multilabel` (sigmoid).

    Raises:
        RecipeError: Unknown rule.
    """

    def __init__(self, rule: str, kind: str) -> None:
        if rule not in RULES:
            raise RecipeError(
                f"unknown pooling rule {rule!r}", field="models.predict.pooling", value=rule, allowed=RULES
            )
        self.rule, self.kind = rule, kind
        self.pooled: Tensor | None = None
        self.count = 0

    def add(self, logits: Tensor) -> None:
        """Add the logits of one view, shape (n, classes)."""
        self.count += 1
        if self.rule == "first-view":
            self.pooled = logits if self.pooled is None else self.pooled
            return
        if self.rule == "mean-probability":
            logits = logits.sigmoid() if self.kind == "multilabel" else logits.softmax(dim=1)
        elif self.rule == "geometric" and self.kind == "multilabel":
            logits = torch.nn.functional.logsigmoid(logits)
        elif self.rule in {"max", "geometric"} and self.kind == "multiclass":
            logits = logits.log_softmax(dim=1)  # logits of a softmax are defined up to a constant per view
        if self.pooled is None:
            self.pooled = logits.clone()
        elif self.rule == "max":
            torch.maximum(self.pooled, logits, out=self.pooled)
        else:
            self.pooled += logits

    def logits(self) -> Tensor:
        """Return the pooled scores as logits, shape (n, classes)."""
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
