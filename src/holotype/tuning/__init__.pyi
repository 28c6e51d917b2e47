from holotype.tuning.space import SPACE as SPACE
from holotype.tuning.space import Categorical as Categorical
from holotype.tuning.space import NumericRange as NumericRange
from holotype.tuning.space import search_space as search_space
from holotype.tuning.space import to_overrides as to_overrides
from holotype.tuning.study import importances as importances
from holotype.tuning.tuned_recipe import tuned_recipe_text as tuned_recipe_text
