"""Decisions: from scores to labels."""

from holotype.decide.back_off import answer_columns, back_off_answers, fit_back_off, likeliest_taxa
from holotype.decide.calibrate import (
    CalibrationChoice,
    FittedCalibration,
    calibrate,
    fit_calibration,
    label_sets,
    sureness,
)
from holotype.decide.decision import (
    DecisionChoice,
    DecisionFacts,
    FittedDecision,
    decide,
    fit_decision,
    fitted_to_scores,
    label_names,
    thresholds_by_class,
)
from holotype.decide.files import calibration_from_json, decision_from_json, decision_to_json, prediction_marks
from holotype.decide.rules import (
    above_thresholds,
    assigned,
    at_most,
    cascaded,
    decide_plainly,
    likeliest,
    prior_thresholds,
    prior_weights,
    probabilities,
    top_classes,
)
from holotype.decide.sureness import narrowest, surest_of_classes, wrong_surely
from holotype.decide.thresholds import average_thresholds, common_threshold, fit_thresholds, sort_scores

__all__ = [
    "CalibrationChoice",
    "DecisionChoice",
    "DecisionFacts",
    "FittedCalibration",
    "FittedDecision",
    "above_thresholds",
    "answer_columns",
    "assigned",
    "at_most",
    "average_thresholds",
    "back_off_answers",
    "calibrate",
    "calibration_from_json",
    "cascaded",
    "common_threshold",
    "decide",
    "decide_plainly",
    "decision_from_json",
    "decision_to_json",
    "fit_back_off",
    "fit_calibration",
    "fit_decision",
    "fit_thresholds",
    "fitted_to_scores",
    "label_names",
    "label_sets",
    "likeliest",
    "likeliest_taxa",
    "narrowest",
    "prediction_marks",
    "prior_thresholds",
    "prior_weights",
    "probabilities",
    "sort_scores",
    "sureness",
    "surest_of_classes",
    "thresholds_by_class",
    "top_classes",
    "wrong_surely",
]
