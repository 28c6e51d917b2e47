"""Data types that the steps of the pipeline pass on.

    ImageTable → ImageStatistics → AuditReport → Folds → Checkpoint → Predictions
               → OofPredictions / TestPredictions → Ensemble → Decision → Scorecard

All are frozen. Rows are in the order of the `ImageTable`, samples in the order of first appearance. Scores are logits:
log-odds per class (multilabel) or the arguments of a softmax (multiclass).
"""

from holotype.types.evidence import (
    BackOff,
    Calibration,
    Checkpoint,
    Decision,
    Ensemble,
    Metric,
    OodReason,
    OofPredictions,
    Predictions,
    SampleFeatures,
    Scorecard,
    TestPredictions,
)
from holotype.types.images import (
    DUPLICATE_PAIRS,
    IMAGE_PROBLEMS,
    LABEL_COOCCURRENCE,
    TRAIN_TEST_FEATURES,
    TRAIN_TEST_SIMILARITY,
    AuditReport,
    Floats,
    Folds,
    ImageStatistics,
    ImageTable,
    Integers,
    Kind,
    Labels,
    Normalization,
)
from holotype.types.labels import LabelMatrix
from holotype.types.taxonomy import CLASS_RANK, NO_RANKS, RankHeads, Ranks, taxonomy_ranks
from holotype.types.topk_scores import (
    MANY_CLASSES,
    TOP_K,
    AnyLabels,
    AnyScores,
    TopKScores,
    as_scores,
    average_rows,
    concatenate,
    keep_top_k,
    replace_rows,
    same_labels,
    take_rows,
    to_dense,
)

__all__ = [
    "CLASS_RANK",
    "DUPLICATE_PAIRS",
    "IMAGE_PROBLEMS",
    "LABEL_COOCCURRENCE",
    "MANY_CLASSES",
    "NO_RANKS",
    "TOP_K",
    "TRAIN_TEST_FEATURES",
    "TRAIN_TEST_SIMILARITY",
    "AnyLabels",
    "AnyScores",
    "AuditReport",
    "BackOff",
    "Calibration",
    "Checkpoint",
    "Decision",
    "Ensemble",
    "Floats",
    "Folds",
    "ImageStatistics",
    "ImageTable",
    "Integers",
    "Kind",
    "LabelMatrix",
    "Labels",
    "Metric",
    "Normalization",
    "OodReason",
    "OofPredictions",
    "Predictions",
    "RankHeads",
    "Ranks",
    "SampleFeatures",
    "Scorecard",
    "TestPredictions",
    "TopKScores",
    "as_scores",
    "average_rows",
    "concatenate",
    "keep_top_k",
    "replace_rows",
    "same_labels",
    "take_rows",
    "taxonomy_ranks",
    "to_dense",
]
