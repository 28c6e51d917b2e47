"""Data audit: image and label checks, duplicates, and label errors."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
