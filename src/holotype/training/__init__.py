"""Training of networks: jobs, phases, schedules, optimizers and the training loop."""

from typing import TYPE_CHECKING

from holotype.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from holotype.training.device import find_device, launch_fabric
    from holotype.training.device_types import device_type
    from holotype.training.fit import fit_model
    from holotype.training.halt import TrainingPaused
    from holotype.training.job import ALL_ROWS, OTHER_CLASSES, FitJob, plan_fit, refit_model, specialist_job
    from holotype.training.optimizers import OPTIMIZERS
    from holotype.training.phases import check_phase
    from holotype.training.pseudo_labels import confident_labels, join_pseudo_labels
    from holotype.training.schedules import SCHEDULES, schedule
    from holotype.training.step import StepOptions, train_step
    from holotype.training.taxonomy import model_taxonomy
    from holotype.training.throughput import Throughput, measure_throughput
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "device": ("find_device", "launch_fabric"),
            "device_types": ("device_type",),
            "fit": ("fit_model",),
            "halt": ("TrainingPaused",),
            "job": ("ALL_ROWS", "OTHER_CLASSES", "FitJob", "plan_fit", "refit_model", "specialist_job"),
            "optimizers": ("OPTIMIZERS",),
            "phases": ("check_phase",),
            "pseudo_labels": ("confident_labels", "join_pseudo_labels"),
            "schedules": ("SCHEDULES", "schedule"),
            "step": ("StepOptions", "train_step"),
            "taxonomy": ("model_taxonomy",),
            "throughput": ("Throughput", "measure_throughput"),
        },
    )

__all__ = [
    "ALL_ROWS",
    "OPTIMIZERS",
    "OTHER_CLASSES",
    "SCHEDULES",
    "FitJob",
    "StepOptions",
    "Throughput",
    "TrainingPaused",
    "check_phase",
    "confident_labels",
    "device_type",
    "find_device",
    "fit_model",
    "join_pseudo_labels",
    "launch_fabric",
    "measure_throughput",
    "model_taxonomy",
    "plan_fit",
    "refit_model",
    "schedule",
    "specialist_job",
    "train_step",
]
