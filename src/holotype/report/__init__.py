"""HTML reports of runs, audits, comparisons and tuning: one file each, readable offline."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
