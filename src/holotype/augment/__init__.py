"""Data augmentation and test-time views: pure functions of a batch and its random numbers."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
