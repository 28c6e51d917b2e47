"""A recipe for data that nobody has described yet, the best of it in a given time, and a search for better settings.

`write_recipe(propose(look(Path("my_images"))), Path("recipe.yaml"))`; `plan_budget(facts, probe, read_budget("10m"))`
"""

from holotype.plan.budget import BudgetPlan, in_words, plan_budget, read_budget
from holotype.plan.costs import DataFacts, Probe, Views
from holotype.plan.found import FOUND_BY, found_recipe
from holotype.plan.ladder import MOST_SPECIMENS, probe_sizes
from holotype.plan.propose import Proposal, propose
from holotype.plan.space import SPACE, Among, Between, Dimension, changes_of, search_space
from holotype.plan.study import (
    TrialRecord,
    begin_trial,
    draw,
    end_trial,
    importances,
    list_trials,
    open_study,
    report_rung,
)
from holotype.plan.survey import Findings, look
from holotype.plan.write import recipe_text, write_recipe

__all__ = [
    "FOUND_BY",
    "MOST_SPECIMENS",
    "SPACE",
    "Among",
    "Between",
    "BudgetPlan",
    "DataFacts",
    "Dimension",
    "Findings",
    "Probe",
    "Proposal",
    "TrialRecord",
    "Views",
    "begin_trial",
    "changes_of",
    "draw",
    "end_trial",
    "found_recipe",
    "importances",
    "in_words",
    "list_trials",
    "look",
    "open_study",
    "plan_budget",
    "probe_sizes",
    "propose",
    "read_budget",
    "recipe_text",
    "report_rung",
    "search_space",
    "write_recipe",
]
