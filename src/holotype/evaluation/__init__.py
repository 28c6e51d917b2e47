"""Evaluation: out-of-fold scores, cross-fitted postprocessing, nested scores and step effects.

Conventions: `truth`, `decided` and `logits` have shape (n, classes), one row per sample; `models` holds one entry per
model, all of the same samples; `folds`, `groups` and `units` (independent groups) have shape (n,).
"""

from holotype.evaluation.class_pairs import ClassPair, confused_pairs, cooccurring_pairs
from holotype.evaluation.cross_fitting import (
    FittedChain,
    PostprocessingStep,
    Scores,
    cross_fit_predict,
    fit_chain,
    grouped_folds,
)
from holotype.evaluation.nested import NestedScore, add_caveats, metric_names, score_nested
from holotype.evaluation.oof import POOLS, gather_oof, gather_test, pool_images
from holotype.evaluation.step_effects import Against, Step, step_effects
from holotype.evaluation.subset_scores import score_excluding, score_subset
from holotype.evaluation.tables import class_table, confusion_counts, domain_table, group_table, scorecard_to_json

__all__ = [
    "POOLS",
    "Against",
    "ClassPair",
    "FittedChain",
    "NestedScore",
    "PostprocessingStep",
    "Scores",
    "Step",
    "add_caveats",
    "class_table",
    "confused_pairs",
    "confusion_counts",
    "cooccurring_pairs",
    "cross_fit_predict",
    "domain_table",
    "fit_chain",
    "gather_oof",
    "gather_test",
    "group_table",
    "grouped_folds",
    "metric_names",
    "pool_images",
    "score_excluding",
    "score_nested",
    "score_subset",
    "scorecard_to_json",
    "step_effects",
]
