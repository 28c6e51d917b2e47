"""Holotype: train classifiers of labeled scientific images, with scores that hold up."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["check", "compare", "embed", "init", "load_recipe", "open_run", "run", "score"]

_SUBPACKAGES = (
    "audit",
    "augment",
    "classifiers",
    "data",
    "evaluation",
    "inspect",
    "loading",
    "losses",
    "neighbors",
    "networks",
    "planning",
    "postprocessing",
    "prediction",
    "report",
    "simulate",
    "split",
    "training",
)
_PUBLIC_NAMES = {
    "check": "holotype.api",
    "compare": "holotype.api",
    "embed": "holotype.runs.embed",
    "init": "holotype.api",
    "load_recipe": "holotype.recipe.load",
    "open_run": "holotype.runs.fitted_run",
    "run": "holotype.api",
    "score": "holotype.api",
}


def __getattr__(name: str) -> Any:
    if name in _PUBLIC_NAMES or name in _SUBPACKAGES:
        import_module("holotype.core.runtime").do_without_temporary_folder()  # before PyTorch is loaded
    if name in _PUBLIC_NAMES:
        return getattr(import_module(_PUBLIC_NAMES[name]), name)
    if name in _SUBPACKAGES:
        return import_module(f"holotype.{name}")
    raise AttributeError(f"module 'holotype' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC_NAMES, *_SUBPACKAGES])
