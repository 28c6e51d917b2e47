"""Cross-validation folds that keep groups together, stratified by labels and domains."""

from holotype.split.adversarial import TestLikeness, adversarial_auc, describe_test_likeness, discriminate
from holotype.split.components import prove_disjoint
from holotype.split.folds import empty_folds, make_folds
from holotype.split.holdout import choose_like_test, matching_features
from holotype.split.imported_folds import use_imported_folds
from holotype.split.inner import INNER_SHARE, inner_samples
from holotype.split.preferences import sample_keys
from holotype.split.related_images import duplicate_components, related_images
from holotype.split.stratify import share_deviation, stratified_folds
from holotype.split.test_like import Features

__all__ = [
    "INNER_SHARE",
    "Features",
    "TestLikeness",
    "adversarial_auc",
    "choose_like_test",
    "describe_test_likeness",
    "discriminate",
    "duplicate_components",
    "empty_folds",
    "inner_samples",
    "make_folds",
    "matching_features",
    "prove_disjoint",
    "related_images",
    "sample_keys",
    "share_deviation",
    "stratified_folds",
    "use_imported_folds",
]
