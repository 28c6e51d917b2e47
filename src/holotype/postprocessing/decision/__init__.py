"""Calibration and decision rules: from scores to labels."""

from holotype.postprocessing.decision.back_off import answer_columns, back_off_answers, fit_back_off, top_taxa
from holotype.postprocessing.decision.calibration import (
    CalibrationStep,
    FittedCalibration,
    calibrate,
    confidence_margin,
    fit_calibration,
    prediction_sets,
)
from holotype.postprocessing.decision.confidence import class_exemplars, confident_errors, decision_margin
from holotype.postprocessing.decision.decision import (
    DecisionContext,
    DecisionStep,
    FittedDecision,
    decide,
    fit_decision,
    label_names,
    refit_prior,
    thresholds_by_class,
)
from holotype.postprocessing.decision.decision_json import (
    calibration_from_json,
    decision_from_json,
    decision_to_json,
    prediction_flag_columns,
)
from holotype.postprocessing.decision.rules import (
    above_thresholds,
    argmax_labels,
    assign_per_group,
    cascade_thresholds,
    default_labels,
    limit_labels,
    prior_offsets,
    prior_thresholds,
    top_classes,
)
from holotype.postprocessing.decision.thresholds import (
    average_thresholds,
    fit_thresholds,
    global_threshold,
    sort_scores,
)

__all__ = [
    "CalibrationStep",
    "DecisionContext",
    "DecisionStep",
    "FittedCalibration",
    "FittedDecision",
    "above_thresholds",
    "answer_columns",
    "argmax_labels",
    "assign_per_group",
    "average_thresholds",
    "back_off_answers",
    "calibrate",
    "calibration_from_json",
    "cascade_thresholds",
    "class_exemplars",
    "confidence_margin",
    "confident_errors",
    "decide",
    "decision_from_json",
    "decision_margin",
    "decision_to_json",
    "default_labels",
    "fit_back_off",
    "fit_calibration",
    "fit_decision",
    "fit_thresholds",
    "global_threshold",
    "label_names",
    "limit_labels",
    "prediction_flag_columns",
    "prediction_sets",
    "prior_offsets",
    "prior_thresholds",
    "refit_prior",
    "sort_scores",
    "thresholds_by_class",
    "top_classes",
    "top_taxa",
]
