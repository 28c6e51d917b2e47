"""Cache of step results, addressed by the digest of their inputs."""

from holotype.cache.codec import read_value, write_value
from holotype.cache.files import translated_disk_errors
from holotype.cache.libraries import library_versions
from holotype.cache.prune import find_damaged, list_stored_artifacts, prune, size_of
from holotype.cache.steps import DryRun, Reads, RunLog, Step, StepOutput, StepResult, Steps, UnknownUntilRunError, step
from holotype.cache.store import StepKey, Store

__all__ = [
    "DryRun",
    "Reads",
    "RunLog",
    "Step",
    "StepKey",
    "StepOutput",
    "StepResult",
    "Steps",
    "Store",
    "UnknownUntilRunError",
    "find_damaged",
    "library_versions",
    "list_stored_artifacts",
    "prune",
    "read_value",
    "size_of",
    "step",
    "translated_disk_errors",
    "write_value",
]
