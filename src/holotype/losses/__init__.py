"""Losses: pure functions on logits and targets, composed by weight."""

from holotype.losses.compose import class_weights, compose_loss, prior_logits
from holotype.losses.multiclass import cross_entropy
from holotype.losses.multilabel import bce
from holotype.losses.registry import LOSSES

__all__ = ["LOSSES", "bce", "class_weights", "compose_loss", "cross_entropy", "prior_logits"]
