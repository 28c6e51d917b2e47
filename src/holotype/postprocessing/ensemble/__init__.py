"""Ensembles: combine the scores of several models."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
