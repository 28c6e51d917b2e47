"""K-nearest neighbors on features: votes weighted by a softmax of the cosine similarity (Caron et al. 2021, "DINO")."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from holotype.classifiers.fitted import FittedClassifier
from holotype.classifiers.linear import standardize
from holotype.classifiers.training_rows import TrainingRows
from holotype.core.seeds import keyed_generator
from holotype.neighbors.cosine import Neighbors
from holotype.neighbors.nearest import nearest
from holotype.neighbors.votes import fit_temperature, neighbor_logits
from holotype.recipe.sections.classifier import KnnClassifierSpec
from holotype.types import Floats, Integers

__all__ = ["NeighborClassifier", "fit_knn"]

DEFAULT_TEMPERATURE = 0.07  # of DINO
MAX_QUERIES = 2_000  # training rows that the temperature is fitted on


@dataclass(frozen=True, eq=False)
class NeighborClassifier(FittedClassifier):
    """Nearest-neighbor classifier.

    Args:
        keys: Features of the training rows after centering and scaling, shape (n, width).
        labels: Class numbers, shape (n,), or a mask of shape (n, classes).
        weights: Factor on the vote of each key, shape (n,).
        prior: Share of each class among the keys, shape (classes,).
        center: Subtracted from features, shape (width,).
        scale: Divisor of features, shape (width,); infinite for those that are not used.
    """

    method: ClassVar[str] = "neighbors"

    keys: Floats
    labels: NDArray[Any]
    weights: NDArray[np.float64]
    prior: Floats
    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store, by name."""
        names = ("keys", "labels", "weights", "prior", "center", "scale")
        return {name: getattr(self, name) for name in names}

    def _logits(self, features: Floats) -> Floats:
        queries = ((features - self.center) / self.scale).astype(np.float32)
        temperature = float(self.summary["temperature"])
        neighbors = _weigh_votes(nearest(queries, self.keys, int(self.summary["k"])), self.weights, temperature)
        return neighbor_logits(neighbors, self.labels, self.kind, self.prior, temperature)


def fit_knn(rows: TrainingRows, spec: KnnClassifierSpec) -> NeighborClassifier:
    """Keep the training rows as keys, and fit the temperature on up to 2,000 of them, whose own group does not vote.

    A weight of 2 doubles the vote of a row, but the row is still one of the k.
    """
    targets = rows.targets
    keys, width = rows.features, rows.features.shape[1]
    center, scale = np.zeros(width), np.ones(width)
    if spec.standardize:
        standardized = standardize(rows.features, targets.weights, scale=True)
        keys, center = standardized.values, standardized.center
        scale = np.where(standardized.is_used, standardized.scale, np.inf)  # unused features are 0 in queries too
    labels: NDArray[Any] = targets.numbers if targets.kind == "multiclass" else targets.dense()
    prior = (targets.class_totals / targets.total).astype(np.float32)
    summary: dict[str, Any] = {"kind": "knn", "solver": "cosine", "k": spec.k, "selected": False}
    weights = targets.weights / targets.weights.mean()
    fitted = NeighborClassifier(
        targets.kind, targets.classes, width, summary, keys, labels, weights, prior, center, scale
    )
    temperature, groups = spec.temperature, np.unique(rows.groups, return_inverse=True)[1].astype(np.int64)
    if temperature == "auto" and groups.max() > 0:
        order = keyed_generator(rows.seed, "classifier", "temperature").permutation(len(keys))
        queries: Integers = np.sort(order[:MAX_QUERIES]).astype(np.int64)
        neighbors = nearest(keys[queries], keys, spec.k, forbidden=(groups[queries], groups))
        temperature = fit_temperature(neighbors, labels, queries, targets.kind, prior)
        summary |= {"selected": True, "inner_unit": "groups"}
    return replace(
        fitted, summary=summary | {"temperature": DEFAULT_TEMPERATURE if temperature == "auto" else temperature}
    )


def _weigh_votes(neighbors: Neighbors, weights: NDArray[np.float64], temperature: float) -> Neighbors:
    """Multiply votes by the weights of their keys: a vote is exp(similarity / temperature)."""
    if (weights == 1).all():
        return neighbors
    bonus = temperature * np.log(weights[neighbors.rows])
    similarity = np.where(neighbors.valid, neighbors.similarity + bonus, -np.inf)
    return Neighbors(neighbors.rows, similarity.astype(np.float32))
