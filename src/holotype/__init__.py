"""Holotype: from labelled scientific images to a classifier that can be trusted.

The names below are imported when they are first used, so that `import holotype` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["load_recipe", "open_run", "run"]

_ROOMS = (
    "audit", "augment", "data", "decide", "ensemble", "feed", "losses", "metrics",
    "nets", "plan", "predict", "report", "retrieval", "score", "split", "train",
)  # fmt: skip
_HOMES = {"load_recipe": "holotype.recipe", "open_run": "holotype.finished.opened", "run": "holotype.face"}


def __getattr__(name: str) -> Any:
    if name in _HOMES or name in _ROOMS:
        import_module("holotype.runtime").do_without_temporary_folder()  # before any of them loads PyTorch
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return import_module(f"holotype.{name}")
    raise AttributeError(f"module 'holotype' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_ROOMS])
