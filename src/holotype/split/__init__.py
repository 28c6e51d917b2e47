"""Folds: what belongs together stays together, and every fold looks like the whole."""

from holotype.split.components import components, prove_disjoint
from holotype.split.folds import make_folds
from holotype.split.stratify import share_deviation, stratified_folds

__all__ = ["components", "make_folds", "prove_disjoint", "share_deviation", "stratified_folds"]
