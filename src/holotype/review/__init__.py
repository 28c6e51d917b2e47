"""Label review: the decisions file, the decisions in force, and their effect on the tables."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
