"""Ensembles: from several members' scores to one."""

from holotype.ensemble.mean import EnsembleChoice, apply_ensemble, fit_ensemble, mean_scores

__all__ = ["EnsembleChoice", "apply_ensemble", "fit_ensemble", "mean_scores"]
