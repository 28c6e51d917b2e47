"""Cross-validation folds that keep groups together, stratified by labels and domains."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
