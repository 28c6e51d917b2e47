"""Hyperparameter search: its space, its study, and the recipe that it writes."""

from holotype.tuning.space import SPACE, Categorical, Dimension, NumericRange, search_space, to_overrides
from holotype.tuning.study import (
    TrialRecord,
    begin_trial,
    end_trial,
    importances,
    list_trials,
    open_study,
    report_intermediate,
    suggest,
)
from holotype.tuning.tuned_recipe import WRITTEN_BY, tuned_recipe_text

__all__ = [
    "SPACE",
    "WRITTEN_BY",
    "Categorical",
    "Dimension",
    "NumericRange",
    "TrialRecord",
    "begin_trial",
    "end_trial",
    "importances",
    "list_trials",
    "open_study",
    "report_intermediate",
    "search_space",
    "suggest",
    "to_overrides",
    "tuned_recipe_text",
]
