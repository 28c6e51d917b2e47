"""Metrics on arrays (`METRICS`), and their bootstrap intervals over independent groups.

In all functions `truth`, `decided` and `logits` have shape (n, classes), one row per sample.
"""

from holotype.evaluation.metrics.bootstrap import (
    MAX_MAP_CELLS,
    GroupResamples,
    PairedDifference,
    ScoredSamples,
    bootstrap_interval,
    bootstrap_intervals,
    class_intervals,
    compare_paired,
    paired_difference,
    resample_groups,
)
from holotype.evaluation.metrics.counts import (
    CLASS_SCORES,
    COUNT_METRICS,
    Counts,
    GroupCounts,
    count_groups,
    sample_losses,
)
from holotype.evaluation.metrics.curves import ThresholdCurve, score_histogram, threshold_curve
from holotype.evaluation.metrics.paired import adjust_p_values, class_differences
from holotype.evaluation.metrics.sample_metrics import (
    SAMPLE_METRICS,
    calibration_error,
    calibration_table,
    top_5_accuracy,
)
from holotype.evaluation.metrics.scores import (
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
    probabilities,
    ranking_scores,
    top_k_accuracy,
)
from holotype.evaluation.metrics.taxonomy import (
    accuracy_by_coverage,
    hierarchical_f1,
    hierarchical_scores,
    rank_labels,
    rank_scores,
)

__all__ = [
    "CLASS_SCORES",
    "COUNT_METRICS",
    "MAX_MAP_CELLS",
    "METRICS",
    "SAMPLE_METRICS",
    "Counts",
    "GroupCounts",
    "GroupResamples",
    "PairedDifference",
    "ScoredSamples",
    "ThresholdCurve",
    "accuracy",
    "accuracy_by_coverage",
    "adjust_p_values",
    "average_precision_per_class",
    "balanced_accuracy",
    "bootstrap_interval",
    "bootstrap_intervals",
    "calibration_error",
    "calibration_table",
    "class_differences",
    "class_intervals",
    "classes_without_positives",
    "compare_paired",
    "count_groups",
    "f1_per_class",
    "hierarchical_f1",
    "hierarchical_scores",
    "log_loss",
    "macro_f1",
    "micro_f1",
    "paired_difference",
    "precision_recall_per_class",
    "probabilities",
    "rank_labels",
    "rank_scores",
    "ranking_scores",
    "resample_groups",
    "sample_losses",
    "score_histogram",
    "threshold_curve",
    "top_5_accuracy",
    "top_k_accuracy",
]
