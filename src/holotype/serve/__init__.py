"""Prediction server: a REST API and a web page around a `Predictor`; needs the extra `serve`."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
