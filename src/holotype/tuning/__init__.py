"""Hyperparameter search: its space, its study, and the recipe that it writes."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
