"""Fit of a classifier on features: the kinds of the recipe, and importances of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from holotype.classifiers.closed_form import fit_lda, fit_ridge
from holotype.classifiers.custom import fit_custom
from holotype.classifiers.fitted import FittedClassifier, check_features
from holotype.classifiers.knn import fit_knn
from holotype.classifiers.logistic import fit_logistic
from holotype.classifiers.targets import make_targets
from holotype.classifiers.training_rows import TrainingRows
from holotype.classifiers.trees import fit_trees
from holotype.core.errors import DataError
from holotype.recipe.sections.classifier import (
    ClassifierSpec,
    CustomClassifierSpec,
    KnnClassifierSpec,
    LdaClassifierSpec,
    LightgbmClassifierSpec,
    RidgeClassifierSpec,
)
from holotype.types import Floats, Integers, Kind, LabelMatrix

if TYPE_CHECKING:
    import polars as pl

__all__ = ["fit_classifier", "importances"]


def fit_classifier(
    features: Floats,
    truth: NDArray[np.bool_] | Integers | LabelMatrix,
    spec: ClassifierSpec,
    *,
    classes: int,
    kind: Kind,
    groups: Integers,
    sample_weight: Floats | None = None,
    seed: int = 1,
    threads: int = 1,
) -> FittedClassifier:
    """Fit a classifier on frozen features or measurements.

    The same arguments give the same bytes on one machine. Whatever is selected (strength, temperature, rounds) is
    selected on inner folds of these rows, which divide no group; then all rows are fitted.

    Args:
        features: Shape (n, width); NaN is a missing value, which only LightGBM allows.
        truth: Class numbers, shape (n,) (multiclass), or a mask of shape (n, classes).
        classes: Number of classes; those without a row get a finite logit far below the others.
        groups: Independent group of each row, shape (n,).
        sample_weight: At least 0, shape (n,). A weight of 2 counts as the row twice, except in LightGBM's limits on the
            rows of a leaf and among the k nearest neighbors. Rows of weight 0 are left out.
        threads: Threads of matrix products and trees.

    Raises:
        DataError: Features, labels, groups or weights do not match or are not valid, or the kind does not fit them.
    """
    from threadpoolctl import threadpool_limits

    checked = check_features(features, allow_missing=spec.kind == "lightgbm")
    targets = make_targets(truth, kind=kind, classes=classes, rows=len(checked), sample_weight=sample_weight)
    groups = np.asarray(groups)
    if groups.shape != (len(checked),):
        raise DataError(
            f"{len(checked):,} rows need one group each, got groups of shape {groups.shape}",
            field="groups",
            remedy="pass the number of the independent group of each row",
        )
    if not targets.weights.any():
        raise DataError(
            f"there is nothing to fit: {len(checked):,} rows, none of a weight above 0",
            field="features",
            remedy="pass at least one labeled row",
        )
    if not targets.weights.all():
        index = np.flatnonzero(targets.weights).astype(np.int64)
        checked, targets, groups = checked[index], targets.rows(index), groups[index]
    rows = TrainingRows(checked, targets, groups, seed, threads)
    with threadpool_limits(threads):
        if isinstance(spec, RidgeClassifierSpec):
            return fit_ridge(rows, spec)
        if isinstance(spec, LdaClassifierSpec):
            return fit_lda(rows, spec)
        if isinstance(spec, KnnClassifierSpec):
            return fit_knn(rows, spec)
        if isinstance(spec, LightgbmClassifierSpec):
            return fit_trees(rows, spec)
        if isinstance(spec, CustomClassifierSpec):
            return fit_custom(rows, spec)
        return fit_logistic(rows, spec)


def importances(fitted: FittedClassifier, feature_names: Sequence[str]) -> pl.DataFrame | None:
    """Feature importances as a share of their sum: gain of trees, or absolute weight times standard deviation.

    Returns:
        Columns `name` and `importance`, the largest first; None if the classifier has none (nearest neighbors).

    Raises:
        DataError: The number of names differs from the number of features.
    """
    import polars as pl

    if len(feature_names) != fitted.width:
        raise DataError(
            f"{len(feature_names):,} names do not match {fitted.width:,} features",
            field="feature_names",
            remedy="pass one name per feature, in the order of the fit",
        )
    values = fitted.feature_importances()
    if values is None:
        return None
    share = values.astype(np.float64) / max(float(values.sum(dtype=np.float64)), 1e-300)
    order = np.argsort(-share, kind="stable")
    return pl.DataFrame({"name": [str(feature_names[number]) for number in order], "importance": share[order]})
