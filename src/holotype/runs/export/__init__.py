"""Export of a finished run's networks as one graph that needs neither this library nor, as ONNX, torch."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
