"""Tables, labels, images, image statistics and the pixel cache."""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
