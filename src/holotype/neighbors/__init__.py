"""Nearest-neighbor retrieval: the most similar training images, and predictions from their labels.

Conventions: embeddings have shape (rows, width); `queries` are compared with the `keys` of an index.
"""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
