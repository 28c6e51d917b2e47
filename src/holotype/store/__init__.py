"""The store: artefacts by content, written whole, explained by `why`."""

from holotype.store.codec import read_value, write_value
from holotype.store.files import disk_error
from holotype.store.stages import Forecast, NotForeseenError, RunLog, Stages
from holotype.store.store import StageKey, Store

__all__ = [
    "Forecast",
    "NotForeseenError",
    "RunLog",
    "StageKey",
    "Stages",
    "Store",
    "disk_error",
    "read_value",
    "write_value",
]
