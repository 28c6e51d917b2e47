"""Labels of a model that learns some of the classes."""

from __future__ import annotations

import numpy as np

from holotype.core.errors import RecipeError
from holotype.recipe.sections import ModelSpec
from holotype.types import ImageTable, Integers, Kind, LabelMatrix

__all__ = ["model_classes", "model_labels"]


def model_classes(model: ModelSpec, images: ImageTable) -> Integers | None:
    """Class numbers that a model predicts; None means all.

    Raises:
        RecipeError: There is no such class.
    """
    if model.classes == "all":
        return None
    for name in model.classes:
        if name not in images.classes:
            raise RecipeError("there is no such class", field="models.classes", value=name, allowed=images.classes)
    return np.array([images.classes.index(name) for name in model.classes], np.int64)


def model_labels(truth: LabelMatrix, classes: Integers | None, kind: Kind) -> LabelMatrix:
    """Labels restricted to a model's own classes; for multiclass data an extra last column means none of them.

    Args:
        truth: Shape (n, classes).
        classes: Class numbers of the model; None means all.

    Returns:
        Shape (n, own classes).
    """
    if classes is None:
        return truth
    class_index = np.full(truth.classes, -1, np.int64)
    class_index[classes] = np.arange(len(classes))
    local_class, owners = class_index[truth.numbers], truth.row_indices
    if kind == "multiclass":
        return LabelMatrix.from_pairs(
            owners, np.where(local_class >= 0, local_class, len(classes)), (len(truth), len(classes) + 1)
        )
    return LabelMatrix.from_pairs(owners[local_class >= 0], local_class[local_class >= 0], (len(truth), len(classes)))
