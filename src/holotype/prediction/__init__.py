"""Prediction: one inference loop, pooling of test-time augmentation, embeddings and heat maps.

Conventions: `rows` are image rows of the dataset, shape (n,); networks are in evaluation mode and on the device.
"""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
