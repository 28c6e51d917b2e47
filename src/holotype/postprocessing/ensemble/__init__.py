"""Ensembles: combine the scores of several models."""

from holotype.postprocessing.ensemble.class_subsets import fill_missing_classes
from holotype.postprocessing.ensemble.diversity import diversity_table
from holotype.postprocessing.ensemble.ensemble_json import ensemble_from_json, ensemble_to_json
from holotype.postprocessing.ensemble.fit import (
    EnsembleStep,
    FittedEnsemble,
    apply_ensemble,
    fit_ensemble,
    unfitted_ensemble,
)
from holotype.postprocessing.ensemble.mean import mean_ranks, mean_scores, rank_quantiles, votes
from holotype.postprocessing.ensemble.model_selection import FittedModelSelection, ModelSelection, ModelVariant
from holotype.postprocessing.ensemble.stack import apply_stack, fit_stack, stack_importance, stack_table
from holotype.postprocessing.ensemble.weights import fit_weights, greedy_weights, mean_log_loss

__all__ = [
    "EnsembleStep",
    "FittedEnsemble",
    "FittedModelSelection",
    "ModelSelection",
    "ModelVariant",
    "apply_ensemble",
    "apply_stack",
    "diversity_table",
    "ensemble_from_json",
    "ensemble_to_json",
    "fill_missing_classes",
    "fit_ensemble",
    "fit_stack",
    "fit_weights",
    "greedy_weights",
    "mean_log_loss",
    "mean_ranks",
    "mean_scores",
    "rank_quantiles",
    "stack_importance",
    "stack_table",
    "unfitted_ensemble",
    "votes",
]
