"""Cache of step results, addressed by the digest of their inputs."""

from holotype.cache.codec import read_value, write_value
from holotype.cache.files import translated_disk_errors
from holotype.cache.prune import find_damaged, list_stored_artifacts, prune, size_of
from holotype.cache.steps import DryRun, RunLog, Steps, UnknownUntilRunError
from holotype.cache.store import StepKey, Store

__all__ = [
    "DryRun",
    "RunLog",
    "StepKey",
    "Steps",
    "Store",
    "UnknownUntilRunError",
    "find_damaged",
    "list_stored_artifacts",
    "prune",
    "read_value",
    "size_of",
    "translated_disk_errors",
    "write_value",
]
