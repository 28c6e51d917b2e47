"""A recipe for data that nobody has described yet: look, propose, write.

`write_recipe(propose(look(Path("my_images"))), Path("recipe.yaml"))`
"""

from holotype.plan.look import Findings, look
from holotype.plan.propose import Proposal, propose
from holotype.plan.write import recipe_text, write_recipe

__all__ = ["Findings", "Proposal", "look", "propose", "recipe_text", "write_recipe"]
