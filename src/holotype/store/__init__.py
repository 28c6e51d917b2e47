"""The store: artefacts by content, written whole, explained by `why`."""

from holotype.store.codec import read_value, write_value
from holotype.store.files import translated_disk_errors
from holotype.store.stages import Forecast, NotForeseenError, RunLog, Stages
from holotype.store.store import StageKey, Store
from holotype.store.tidy import damaged, held, prune, size_of

__all__ = [
    "Forecast",
    "NotForeseenError",
    "RunLog",
    "StageKey",
    "Stages",
    "Store",
    "damaged",
    "held",
    "prune",
    "read_value",
    "size_of",
    "translated_disk_errors",
    "write_value",
]
