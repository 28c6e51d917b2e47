"""Classifiers on frozen features and on tables of measurements: logistic and ridge regression, LDA, kNN, LightGBM.

Pure functions on arrays: features have shape (n, width), logits (n, classes). Importing the package loads none of
scikit-learn, LightGBM and PyTorch.
"""

from typing import TYPE_CHECKING

from holotype.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from holotype.classifiers.files import load_classifier
    from holotype.classifiers.fit import fit_classifier, importances
    from holotype.classifiers.fitted import FittedClassifier
    from holotype.classifiers.knn import NeighborClassifier
    from holotype.classifiers.linear import LinearClassifier
    from holotype.classifiers.trees import TreeClassifier
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "files": ("load_classifier",),
            "fit": ("fit_classifier", "importances"),
            "fitted": ("FittedClassifier",),
            "knn": ("NeighborClassifier",),
            "linear": ("LinearClassifier",),
            "trees": ("TreeClassifier",),
        },
    )

__all__ = [
    "FittedClassifier",
    "LinearClassifier",
    "NeighborClassifier",
    "TreeClassifier",
    "fit_classifier",
    "importances",
    "load_classifier",
]
