"""The split: folds that keep together what belongs together, stratified by labels and domains."""

from holotype.split.adversarial import Likeness, adversarial_auc, describe_likeness, discriminate
from holotype.split.components import components, prove_disjoint
from holotype.split.folds import make_folds
from holotype.split.holdout import choose_like_test, matching_features
from holotype.split.stratify import share_deviation, stratified_folds

__all__ = [
    "Likeness",
    "adversarial_auc",
    "choose_like_test",
    "components",
    "describe_likeness",
    "discriminate",
    "make_folds",
    "matching_features",
    "prove_disjoint",
    "share_deviation",
    "stratified_folds",
]
