"""Scores of decisions, and how far each can be trusted: `METRICS` on arrays, bootstraps over groups."""

from holotype.metrics.bootstrap import (
    MAP_CELLS_AT_MOST,
    Draws,
    Judged,
    bootstrap_interval,
    bootstrap_intervals,
    class_intervals,
    draw_groups,
    paired_difference,
)
from holotype.metrics.counts import CLASS_SCORES, COUNTED, Counts, GroupCounts, count_groups, sample_losses
from holotype.metrics.curves import ThresholdCurve, score_histogram, threshold_curve
from holotype.metrics.levels import (
    accuracy_by_coverage,
    hierarchical_f1,
    hierarchical_scores,
    level_scores,
    level_truth,
)
from holotype.metrics.paired import class_differences
from holotype.metrics.rowwise import ROWWISE, calibration_error, calibration_table, top_5_accuracy
from holotype.metrics.scores import (
    METRICS,
    accuracy,
    average_precision_per_class,
    balanced_accuracy,
    classes_without_positives,
    f1_per_class,
    log_loss,
    macro_f1,
    micro_f1,
    precision_recall_per_class,
    ranking_scores,
    top_k_accuracy,
)

__all__ = [
    "CLASS_SCORES",
    "COUNTED",
    "MAP_CELLS_AT_MOST",
    "METRICS",
    "ROWWISE",
    "Counts",
    "Draws",
    "GroupCounts",
    "Judged",
    "ThresholdCurve",
    "accuracy",
    "accuracy_by_coverage",
    "average_precision_per_class",
    "balanced_accuracy",
    "bootstrap_interval",
    "bootstrap_intervals",
    "calibration_error",
    "calibration_table",
    "class_differences",
    "class_intervals",
    "classes_without_positives",
    "count_groups",
    "draw_groups",
    "f1_per_class",
    "hierarchical_f1",
    "hierarchical_scores",
    "level_scores",
    "level_truth",
    "log_loss",
    "macro_f1",
    "micro_f1",
    "paired_difference",
    "precision_recall_per_class",
    "ranking_scores",
    "sample_losses",
    "score_histogram",
    "threshold_curve",
    "top_5_accuracy",
    "top_k_accuracy",
]
