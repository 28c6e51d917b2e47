"""Data loading: order of rows, and batches from cached pixels."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
