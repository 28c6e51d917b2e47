"""The recipe's decision: fitted on out-of-fold scores, applied to any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.decide.rules import above_thresholds, likeliest
from holotype.errors import RecipeError, listing
from holotype.spec import ArgmaxSpec, ThresholdSpec
from holotype.types import Decision, Floats, Kind, OofPredictions, TestPredictions

__all__ = ["DecisionChoice", "decide", "decision_to_json", "fit_decision", "label_names", "thresholds_by_class"]

DecisionSpec = ArgmaxSpec | ThresholdSpec


def fit_decision(oof: OofPredictions, spec: DecisionSpec | None, classes: tuple[str, ...], kind: Kind) -> Decision:
    """The decision of a recipe; `argmax` and given thresholds learn nothing from the scores.

    Args:
        oof: Out-of-fold scores.
        spec: The recipe's section; without one `argmax` for one label a sample, thresholds of one half for many.
        classes: The class names in the order of the scores.
        kind: `multiclass` or `multilabel`.

    Raises:
        RecipeError: Thresholds for other classes, or outside 0 to 1.
    """
    if spec is None:
        spec = ArgmaxSpec() if kind == "multiclass" else ThresholdSpec()
    if isinstance(spec, ArgmaxSpec):
        return Decision("argmax", classes, kind)
    return Decision("threshold", classes, kind, thresholds_by_class(spec.thresholds, classes), spec.fallback)


def thresholds_by_class(given: float | list[float] | dict[str, float], classes: tuple[str, ...]) -> tuple[float, ...]:
    """One threshold a class.

    Args:
        given: One for all, one a class in order, or some by name; the others get 0.5.
        classes: The class names in order.

    Raises:
        RecipeError: Thresholds for other classes, or outside 0 to 1.
    """
    field = "decide.thresholds"
    if isinstance(given, list) and len(given) != len(classes):
        raise RecipeError(f"there are {len(given)} thresholds and {len(classes)} classes", field=field,
                          remedy="write one a class, or name them")  # fmt: skip
    if isinstance(given, dict):
        unknown = [name for name in given if name not in classes]
        if unknown:
            raise RecipeError(
                "there is no such class", field=f"{field}.{unknown[0]}", value=unknown[0], allowed=classes
            )
        given = [given.get(name, 0.5) for name in classes]
    thresholds = tuple(given) if isinstance(given, list) else (given,) * len(classes)
    outside = [value for value in thresholds if not 0 <= value <= 1]
    if outside:
        raise RecipeError(
            f"thresholds are probabilities from 0 to 1, got {listing(dict.fromkeys(outside), 5)}", field=field
        )
    return thresholds


def decide(decision: Decision, logits: Floats) -> NDArray[np.bool_]:
    """Labels from scores.

    Args:
        decision: From `fit_decision`.
        logits: Shape (n, classes), in the order of the decision's classes.

    Returns:
        Shape (n, classes).
    """
    if decision.rule == "argmax":
        return likeliest(logits)
    return above_thresholds(logits, np.asarray(decision.thresholds), decision.fallback)


def label_names(decided: NDArray[np.bool_], classes: tuple[str, ...]) -> list[list[str]]:
    """The names of the decided classes of each sample, in the order of the classes.

    Args:
        decided: Shape (n, classes).
        classes: The class names in order.
    """
    names = np.asarray(classes, dtype=object)
    return [names[row].tolist() for row in decided]


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """A decision as `decision.json` holds it.

    Args:
        decision: From `fit_decision`.
    """
    content: dict[str, Any] = {"kind": decision.rule, "labels": decision.kind, "classes": list(decision.classes)}
    if decision.rule == "threshold":
        content |= {"thresholds": list(decision.thresholds), "fallback": decision.fallback}
    return content


@dataclass(frozen=True)
class DecisionChoice:
    """The decision as a choice that `score_nested` can refit.

    Args:
        spec: The recipe's section.
        classes: The class names in order.
        kind: `multiclass` or `multilabel`.
        name: What it is called in the score's words.
        learns: Neither `argmax` nor given thresholds learn.
    """

    spec: DecisionSpec | None
    classes: tuple[str, ...]
    kind: Kind
    name: str = "the decision"
    learns: bool = False

    def fit(
        self, evidence: OofPredictions, truth: NDArray[np.bool_], /
    ) -> Callable[[OofPredictions | TestPredictions], NDArray[np.bool_]]:
        """Fit the decision and return its application.

        Args:
            evidence: Out-of-fold scores.
            truth: Which classes each sample has.
        """
        decision = fit_decision(evidence, self.spec, self.classes, self.kind)
        return lambda scores: decide(decision, scores.logits)
