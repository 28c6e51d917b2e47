"""Training: one step, schedules, optimisers, phases, and the loop over them."""

from holotype.train.device import find_device, launch_fabric
from holotype.train.fit import fit_member
from holotype.train.halt import HaltedError
from holotype.train.job import ALL_ROWS, REST, FitJob, plan_fit, refit_member, specialist_job
from holotype.train.levels import member_levels
from holotype.train.optimisers import OPTIMISERS
from holotype.train.pace import Pace, measure_pace
from holotype.train.phases import check_phase
from holotype.train.pseudo import confident_labels, join_pseudo_labels
from holotype.train.schedules import SCHEDULES, schedule
from holotype.train.step import StepRules, train_step

__all__ = [
    "ALL_ROWS",
    "OPTIMISERS",
    "REST",
    "SCHEDULES",
    "FitJob",
    "HaltedError",
    "Pace",
    "StepRules",
    "check_phase",
    "confident_labels",
    "find_device",
    "fit_member",
    "join_pseudo_labels",
    "launch_fabric",
    "measure_pace",
    "member_levels",
    "plan_fit",
    "refit_member",
    "schedule",
    "specialist_job",
    "train_step",
]
