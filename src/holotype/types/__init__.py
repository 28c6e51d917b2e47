"""The nouns of the pipeline: what one stage hands to the next.

    ImageTable → ImageStatistics → AuditReport → Folds → Checkpoint → Predictions
               → OofPredictions / TestPredictions → Ensemble → Decision → Scorecard

All are frozen. Rows are counted in the order of the `ImageTable`, samples in the order of first appearance.
Scores are logits: log-odds a class (multilabel) or the arguments of a softmax (multiclass).
"""

from holotype.types.evidence import (
    BackOff,
    Calibration,
    Checkpoint,
    Decision,
    Ensemble,
    Metric,
    OofPredictions,
    Predictions,
    SampleFacts,
    Scorecard,
    TestPredictions,
    Warned,
)
from holotype.types.images import (
    CLASS_LINKS,
    LIKENESS,
    LINKS,
    PROBLEMS,
    SEPARATING,
    AuditReport,
    Floats,
    Folds,
    ImageStatistics,
    ImageTable,
    Integers,
    Kind,
    Labels,
    Normalisation,
)
from holotype.types.labels import LabelMatrix
from holotype.types.ranks import LEAVES, NO_RANKS, Levels, Ranks, ranks_of
from holotype.types.top import (
    MANY,
    MOST,
    AnyLabels,
    AnyScores,
    TopScores,
    as_scores,
    blend_rows,
    condense,
    dense,
    joined,
    same_labels,
    some_rows,
    with_rows,
)

__all__ = [
    "CLASS_LINKS",
    "LEAVES",
    "LIKENESS",
    "LINKS",
    "MANY",
    "MOST",
    "NO_RANKS",
    "PROBLEMS",
    "SEPARATING",
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
    "Levels",
    "Metric",
    "Normalisation",
    "OofPredictions",
    "Predictions",
    "Ranks",
    "SampleFacts",
    "Scorecard",
    "TestPredictions",
    "TopScores",
    "Warned",
    "as_scores",
    "blend_rows",
    "condense",
    "dense",
    "joined",
    "ranks_of",
    "same_labels",
    "some_rows",
    "with_rows",
]
