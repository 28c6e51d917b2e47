"""Classifiers on frozen features and on tables of measurements: logistic and ridge regression, LDA, kNN, LightGBM.

Pure functions on arrays: features have shape (n, width), logits (n, classes). Importing the package loads none of
scikit-learn, LightGBM and PyTorch.
"""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
