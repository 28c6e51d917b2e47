"""The split: folds that keep together what belongs together, stratified by labels and domains."""

from holotype.split.adopt import adopt_folds
from holotype.split.adversarial import Likeness, adversarial_auc, describe_likeness, discriminate
from holotype.split.components import prove_disjoint
from holotype.split.folds import make_folds, nothing_divided
from holotype.split.holdout import choose_like_test, matching_features
from holotype.split.inner import INNER_SHARE, inner_samples
from holotype.split.preferences import sample_keys
from holotype.split.stratify import share_deviation, stratified_folds
from holotype.split.testlike import Features
from holotype.split.ties import duplicate_components, tied_images

__all__ = [
    "INNER_SHARE",
    "Features",
    "Likeness",
    "adopt_folds",
    "adversarial_auc",
    "choose_like_test",
    "describe_likeness",
    "discriminate",
    "duplicate_components",
    "inner_samples",
    "make_folds",
    "matching_features",
    "nothing_divided",
    "prove_disjoint",
    "sample_keys",
    "share_deviation",
    "stratified_folds",
    "tied_images",
]
