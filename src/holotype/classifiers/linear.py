"""Linear classifiers, and the standardization and rotation of their training rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from holotype.classifiers.fitted import FittedClassifier
from holotype.classifiers.targets import Targets, absent_log_odds
from holotype.types import Floats, Integers

__all__ = ["LinearClassifier", "Rotation", "Standardized", "make_constant", "make_linear", "rotate", "standardize"]

Doubles = NDArray[np.float64]
BLOCK_VALUES = 2**22
MIN_VARIANCE_ROWS = 2.0
MIN_EIGENVALUE = 1e-10  # relative to the largest; directions below it hold rounding errors


@dataclass(frozen=True, eq=False)
class LinearClassifier(FittedClassifier):
    """Linear classifier: logits = (clip(features, lower, upper) - center) @ weight.T + bias.

    A feature that is nearly constant in the training rows has a large weight once it is standardized, and a new row
    may exceed it a thousandfold. So features are clipped at a distance of the training rows' range from that range. The
    center is kept, because a bias at zero would lose digits where a feature's mean is large.

    Args:
        weight: Shape (classes, width), in the scale of the features.
        bias: Logits at the center, shape (classes,).
        center: Mean of each feature, shape (width,).
        deviation: Standard deviation of each feature, shape (width,).
        lower: Smallest value that counts as such, shape (width,).
        upper: Largest value that counts as such, shape (width,).
    """

    method: ClassVar[str] = "linear"

    weight: Floats
    bias: Doubles
    center: Doubles
    deviation: Doubles
    lower: Floats
    upper: Floats

    def as_linear(self) -> tuple[Floats, Floats]:
        """Weight, shape (classes, width), and bias, shape (classes,), for features between `lower` and `upper`."""
        bias = self.bias - self.weight.astype(np.float64) @ self.center
        return self.weight, bias.astype(np.float32)

    def feature_importances(self) -> Floats:
        """Mean absolute weight over classes, times the standard deviation of the feature, shape (width,)."""
        return np.asarray(np.abs(self.weight).mean(axis=0) * self.deviation, np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store, by name."""
        names = ("weight", "bias", "center", "deviation", "lower", "upper")
        return {name: getattr(self, name) for name in names}

    def _logits(self, features: Floats) -> NDArray[np.floating]:
        centered = (np.clip(features, self.lower, self.upper) - self.center).astype(np.float32)
        return centered @ self.weight.T + self.bias.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Standardized:
    """Centered training rows, scaled to standard deviation 1 if the recipe says so.

    Args:
        values: Shape (n, width).
        center: Weighted mean of each feature, shape (width,).
        deviation: Weighted standard deviation, shape (width,); 0 for constant features.
        scale: Divisor of each feature, shape (width,).
        lower: Smallest value of the training rows less their range, shape (width,).
        upper: Largest value of the training rows plus their range, shape (width,).
        is_used: Mask of the features that are not set to 0, shape (width,).
    """

    values: Floats
    center: Doubles
    deviation: Doubles
    scale: Doubles
    lower: Floats
    upper: Floats
    is_used: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rotation:
    """Training rows in the coordinates of their principal components, without those of variance 0.

    An L2 penalty is the same in every rotation, and directions without variance get no weight.

    Args:
        values: Shape (n, rank), with rank at most min(n, width).
        basis: Orthonormal columns, shape (width, rank).
        variances: Weighted variance of each component, shape (rank,).
    """

    values: Doubles
    basis: Doubles
    variances: Doubles


def standardize(features: Floats, weights: Doubles, *, scale: bool) -> Standardized:
    """Center features by their weighted means, and divide them by their deviations if `scale`.

    A feature whose variance comes from a single row says nothing about other rows, and in a new image it may be a
    thousand times larger (a channel of the backbone that is nearly dead). Like a constant one, it is set to 0.
    """
    total = weights.sum()
    center = np.zeros(features.shape[1])
    for part in _blocks(features):
        center += weights[part] @ features[part].astype(np.float64) / total
    lowest, largest = features.min(axis=0).astype(np.float64), features.max(axis=0).astype(np.float64)
    is_constant = lowest == largest
    center[is_constant] = features[0, is_constant]  # exactly, so that nothing is left of such a feature
    variance, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for part in _blocks(features):
        shares = np.square(features[part] - center) * (weights[part] / total)[:, None]
        variance += shares.sum(axis=0)
        squares += np.square(shares).sum(axis=0)
    deviation = np.sqrt(variance)
    # Effective number of rows that the variance comes from (Kish 1965).
    row_counts = np.divide(np.square(variance), squares, out=np.zeros_like(squares), where=squares > 0)
    is_used = row_counts >= min(MIN_VARIANCE_ROWS, len(features) / 10)
    is_used &= ~is_constant & (deviation > 0)
    divisor = np.where(is_used & scale, deviation, 1.0)
    values = np.empty_like(features)
    for part in _blocks(features):
        values[part] = np.where(is_used, (features[part] - center) / divisor, 0)
    lower, upper = _to_float32(2 * lowest - largest), _to_float32(2 * largest - lowest)
    return Standardized(values, center, deviation, divisor, lower, upper, is_used)


def rotate(values: Floats, weights: Doubles) -> Rotation:
    """Rotate centered rows to their principal components, by the smaller of the two Gram matrices."""
    from scipy.linalg import eigh

    exact = values.astype(np.float64)
    scaled = exact * np.sqrt(weights / weights.sum())[:, None]
    wide = scaled.shape[0] < scaled.shape[1]
    eigenvalues, vectors = eigh(scaled @ scaled.T if wide else scaled.T @ scaled, driver="evd")
    is_kept = eigenvalues > MIN_EIGENVALUE * max(float(eigenvalues[-1]), 0.0)
    eigenvalues, vectors = eigenvalues[is_kept], vectors[:, is_kept]
    basis = scaled.T @ (vectors / np.sqrt(eigenvalues)) if wide else vectors
    return Rotation(exact @ basis, basis, eigenvalues)


def make_linear(
    standardized: Standardized,
    targets: Targets,
    learned: Integers,
    weight: Doubles,
    bias: Doubles,
    summary: Mapping[str, Any],
) -> LinearClassifier:
    """Make the classifier of all classes from the weights of those that were learned.

    A class that no row has gets the constant logit `absent_log_odds`, relative to the mean logit of the learned classes
    (multiclass) or as its log-odds; a label that all rows have gets the opposite.

    Args:
        learned: Numbers of the learned classes, shape (k,).
        weight: In the scale of the standardized features, shape (k, width).
        bias: Shape (k,).
    """
    if targets.kind == "multiclass" and len(learned):  # shifts all logits of a row alike
        weight, bias = weight - weight.mean(axis=0), bias - bias.mean()
    width = len(standardized.center)
    all_weights, all_biases = np.zeros((targets.classes, width), np.float32), np.zeros(targets.classes)
    floor = absent_log_odds(targets.total)
    all_biases[:] = np.where(targets.class_totals > 0, -floor, floor)
    all_weights[learned], all_biases[learned] = weight * standardized.is_used / standardized.scale, bias
    return LinearClassifier(
        targets.kind,
        targets.classes,
        width,
        {**summary, "unused_features": int((~standardized.is_used).sum())},
        all_weights,
        all_biases,
        standardized.center,
        standardized.deviation,
        standardized.lower,
        standardized.upper,
    )


def make_constant(features: Floats, targets: Targets, kind: str) -> LinearClassifier:
    """Make the classifier of labels that are all alike: weights of 0.

    Args:
        kind: Kind of the recipe, for the summary.
    """
    learned = targets.learnable_classes()
    zero = np.zeros((len(learned), features.shape[1]))
    summary = {"kind": kind, "solver": "constant", "selected": False}
    standardized = standardize(features, targets.weights, scale=True)
    return make_linear(standardized, targets, learned, zero, np.zeros(len(learned)), summary)


def _to_float32(values: Doubles) -> Floats:
    limit = np.finfo(np.float32).max
    return np.clip(values, -limit, limit).astype(np.float32)


def _blocks(features: Floats) -> Iterator[slice]:
    step = max(1, BLOCK_VALUES // features.shape[1])
    for start in range(0, len(features), step):
        yield slice(start, start + step)
