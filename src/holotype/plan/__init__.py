"""A recipe for data that nobody has described yet, and the best of it in a given time.

`write_recipe(propose(look(Path("my_images"))), Path("recipe.yaml"))`; `plan_budget(facts, probe, read_budget("10m"))`
"""

from holotype.plan.budget import BudgetPlan, in_words, plan_budget, read_budget
from holotype.plan.costs import DataFacts, Probe
from holotype.plan.ladder import probe_sizes
from holotype.plan.look import Findings, look
from holotype.plan.propose import Proposal, propose
from holotype.plan.write import recipe_text, write_recipe

__all__ = [
    "BudgetPlan",
    "DataFacts",
    "Findings",
    "Probe",
    "Proposal",
    "in_words",
    "look",
    "plan_budget",
    "probe_sizes",
    "propose",
    "read_budget",
    "recipe_text",
    "write_recipe",
]
