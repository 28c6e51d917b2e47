"""Decisions: from scores to labels."""

from holotype.decide.decision import (
    DecisionChoice,
    decide,
    decision_to_json,
    fit_decision,
    label_names,
    thresholds_by_class,
)
from holotype.decide.rules import above_thresholds, decide_plainly, likeliest, probabilities

__all__ = [
    "DecisionChoice",
    "above_thresholds",
    "decide",
    "decide_plainly",
    "decision_to_json",
    "fit_decision",
    "label_names",
    "likeliest",
    "probabilities",
    "thresholds_by_class",
]
