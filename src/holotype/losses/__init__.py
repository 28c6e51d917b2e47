"""Loss functions of logits and targets, combined by weight."""

from holotype.losses.compose import class_weights, compose_loss, prior_logits
from holotype.losses.margin import MARGINS, arcface, cosface
from holotype.losses.multiclass import cross_entropy, softmax_focal
from holotype.losses.multilabel import asymmetric, bce, focal, soft_f1, soft_margin
from holotype.losses.ranking import lovasz, lsep
from holotype.losses.registry import LOSSES, Parts, check_loss
from holotype.losses.taxonomy_loss import RankLoss, rank_log_probabilities, rank_targets, taxonomy_loss

__all__ = [
    "LOSSES",
    "MARGINS",
    "Parts",
    "RankLoss",
    "arcface",
    "asymmetric",
    "bce",
    "check_loss",
    "class_weights",
    "compose_loss",
    "cosface",
    "cross_entropy",
    "focal",
    "lovasz",
    "lsep",
    "prior_logits",
    "rank_log_probabilities",
    "rank_targets",
    "soft_f1",
    "soft_margin",
    "softmax_focal",
    "taxonomy_loss",
]
