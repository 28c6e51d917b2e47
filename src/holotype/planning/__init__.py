"""Time-budget planning and dry-run forecasts.

`plan_budget(size, speed, read_budget("10m"), ...)`
"""

from holotype.planning.budget import BudgetPlan, format_duration, plan_budget, read_budget
from holotype.planning.candidates import MAX_NEIGHBOR_IMAGES, probe_sizes
from holotype.planning.costs import DatasetSize, MeasuredSpeed, Views

__all__ = [
    "MAX_NEIGHBOR_IMAGES",
    "BudgetPlan",
    "DatasetSize",
    "MeasuredSpeed",
    "Views",
    "format_duration",
    "plan_budget",
    "probe_sizes",
    "read_budget",
]
