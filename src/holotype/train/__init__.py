"""Training: one step, schedules, optimisers, phases, and the loop over them."""

from holotype.train.device import launch_fabric
from holotype.train.fit import fit_member
from holotype.train.job import ALL_ROWS, FitJob, plan_fit, refit_member
from holotype.train.levels import member_levels
from holotype.train.optimisers import OPTIMISERS
from holotype.train.phases import check_phase
from holotype.train.schedules import SCHEDULES, schedule
from holotype.train.step import StepRules, train_step

__all__ = [
    "ALL_ROWS",
    "OPTIMISERS",
    "SCHEDULES",
    "FitJob",
    "StepRules",
    "check_phase",
    "fit_member",
    "launch_fabric",
    "member_levels",
    "plan_fit",
    "refit_member",
    "schedule",
    "train_step",
]
