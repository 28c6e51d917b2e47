"""Ensembles: from several members' scores to one."""

from holotype.ensemble.diversity import diversity_table
from holotype.ensemble.files import ensemble_from_json, ensemble_to_json
from holotype.ensemble.fit import EnsembleChoice, FittedEnsemble, apply_ensemble, fit_ensemble, plain_ensemble
from holotype.ensemble.mean import mean_ranks, mean_scores, rank_ladder, votes
from holotype.ensemble.partial import complete_scores
from holotype.ensemble.pools import FittedPools, PooledChoice, Reading
from holotype.ensemble.stack import apply_stack, fit_stack, stack_importance, stack_table
from holotype.ensemble.weights import fit_weights, greedy_weights, mean_log_loss

__all__ = [
    "EnsembleChoice",
    "FittedEnsemble",
    "FittedPools",
    "PooledChoice",
    "Reading",
    "apply_ensemble",
    "apply_stack",
    "complete_scores",
    "diversity_table",
    "ensemble_from_json",
    "ensemble_to_json",
    "fit_ensemble",
    "fit_stack",
    "fit_weights",
    "greedy_weights",
    "mean_log_loss",
    "mean_ranks",
    "mean_scores",
    "plain_ensemble",
    "rank_ladder",
    "stack_importance",
    "stack_table",
    "votes",
]
