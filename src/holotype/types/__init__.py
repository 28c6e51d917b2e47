"""Data types that the steps of the pipeline pass on.

    ImageTable → ImageStatistics → AuditReport → Folds → Checkpoint → Predictions
               → OofPredictions / TestPredictions → Ensemble → Decision → Scorecard

All are frozen. Rows are in the order of the `ImageTable`, samples in the order of first appearance. Scores are logits:
log-odds per class (multilabel) or the arguments of a softmax (multiclass).
"""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
