"""Ensemble weights fitted on out-of-fold scores: on the simplex, or by greedy selection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from holotype.evaluation.metrics import log_loss, probabilities
from holotype.types import AnyLabels, AnyScores, Booleans, Floats, Kind

EPSILON = 1e-7


def mean_log_loss(logits: AnyScores, truth: AnyLabels, kind: Kind) -> float:
    """Compute the log loss, the mean over samples (softmax) or labels (sigmoid)."""
    return log_loss(truth, None, logits, kind)


def fit_weights(
    models: Sequence[Floats], truth: Booleans, space: str, kind: Kind, shrink_to_equal: float
) -> tuple[float, ...]:
    """Fit weights on the simplex by log loss; convex for logits and for probabilities.

    Args:
        models: Out-of-fold logits.
        space: What is averaged, `logit` or `probability`.
        shrink_to_equal: L2 penalty on the distance from equal weights.
    """
    from scipy.optimize import minimize

    count = len(models)
    if count == 1:
        return (1.0,)
    stacked = np.stack(
        [np.asarray(scores, np.float64) if space == "logit" else probabilities(scores, kind) for scores in models]
    )

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mean = np.tensordot(weights, stacked, axes=1)
        value, mean_gradient = _loss_and_gradient(mean, truth, space, kind)
        offset = weights - 1 / count
        gradient = np.tensordot(stacked, mean_gradient, axes=([1, 2], [0, 1]))
        return value + shrink_to_equal * float(offset @ offset), gradient + 2 * shrink_to_equal * offset

    result = minimize(
        loss,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"maxiter": 200, "ftol": 1e-9},
    )
    weights = np.clip(result.x, 0, None)
    return tuple((weights / weights.sum()).tolist())


def _loss_and_gradient(
    mean: NDArray[np.float64], truth: Booleans, space: str, kind: Kind
) -> tuple[float, NDArray[np.float64]]:
    if space == "logit":
        scale = len(truth) if kind == "multiclass" else truth.size
        return log_loss(truth, None, mean, kind), (probabilities(mean, kind) - truth) / scale  # type: ignore[arg-type]
    mean = np.clip(mean, EPSILON, 1 - EPSILON)
    if kind == "multiclass":
        return float(-np.log(mean[truth]).mean()), np.where(truth, -1 / mean, 0) / len(truth)
    value = -np.where(truth, np.log(mean), np.log1p(-mean)).mean()
    return float(value), np.where(truth, -1 / mean, 1 / (1 - mean)) / truth.size


def greedy_weights(
    models: Sequence[Floats], score: Callable[[NDArray[np.float64]], float], rounds: int
) -> tuple[float, ...]:
    """Greedy ensemble selection with replacement (Caruana et al. 2004, "Ensemble selection from libraries of models").

    `models`: what is averaged, one array per model, shape (n, classes) each. Returns one per model, summing to 1: how
    often it was added up to the best round.
    """
    counts = np.zeros(len(models))
    summed = np.zeros(models[0].shape)
    best, best_counts = -np.inf, counts
    for size in range(1, rounds + 1):
        values = [score((summed + scores) / size) for scores in models]
        best_index = int(np.argmax(values))
        counts[best_index] += 1
        summed += models[best_index]
        if values[best_index] > best + 1e-12:
            best, best_counts = values[best_index], counts.copy()
    return tuple((best_counts / best_counts.sum()).tolist())
