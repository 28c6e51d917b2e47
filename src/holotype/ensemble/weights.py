"""Weights of members, learnt from out-of-fold scores: on the simplex, or one member after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, softmax

from holotype.metrics import log_loss
from holotype.types import AnyLabels, AnyScores, Floats, Kind

__all__ = ["fit_weights", "greedy_weights", "mean_log_loss"]

Booleans = NDArray[np.bool_]
SMALLEST = 1e-7


def mean_log_loss(logits: AnyScores, truth: AnyLabels, kind: Kind) -> float:
    """Negative log-likelihood a sample (softmax) or a label (sigmoid).

    Args:
        logits: Shape (n, classes).
        truth: Which classes each sample has, shape (n, classes).
        kind: `multiclass` or `multilabel`.
    """
    return log_loss(truth, None, logits, kind)


def fit_weights(members: Sequence[Floats], truth: Booleans, space: str, kind: Kind, even: float) -> tuple[float, ...]:
    """Weights on the simplex that make the log loss smallest; a convex problem in either space.

    Args:
        members: Out-of-fold logits, one array a member, shape (n, classes) each.
        truth: Which classes each sample has, shape (n, classes).
        space: `logit` or `probability`: what is averaged.
        kind: `multiclass` or `multilabel`.
        even: Times the squared distance from equal weights, added to the loss.

    Returns:
        One a member, at least 0, summing to 1.
    """
    count = len(members)
    if count == 1:
        return (1.0,)
    wide = [np.asarray(one, np.float64) for one in members]
    said = [expit(one) if kind == "multilabel" else softmax(one, axis=1) for one in wide] if space != "logit" else wide
    stacked = np.stack(said)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mean = np.tensordot(weights, stacked, axes=1)
        value, slope = _loss_and_slope(mean, truth, space, kind)
        away = weights - 1 / count
        gradient = np.tensordot(stacked, slope, axes=([1, 2], [0, 1]))
        return value + even * float(away @ away), gradient + 2 * even * away

    found = minimize(
        loss, np.full(count, 1 / count), jac=True, method="SLSQP", bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1}, options={"maxiter": 200, "ftol": 1e-9},
    )  # fmt: skip
    weights = np.clip(found.x, 0, None)
    return tuple((weights / weights.sum()).tolist())


def _loss_and_slope(
    mean: NDArray[np.float64], truth: Booleans, space: str, kind: Kind
) -> tuple[float, NDArray[np.float64]]:
    """The log loss of a mean of scores and its derivative by that mean."""
    if space == "logit":
        scale = len(truth) if kind == "multiclass" else truth.size
        said = softmax(mean, axis=1) if kind == "multiclass" else expit(mean)
        return mean_log_loss(mean.astype(np.float64), truth, kind), (said - truth) / scale  # type: ignore[arg-type]
    mean = np.clip(mean, SMALLEST, 1 - SMALLEST)
    if kind == "multiclass":
        return float(-np.log(mean[truth]).mean()), np.where(truth, -1 / mean, 0) / len(truth)
    value = -np.where(truth, np.log(mean), np.log1p(-mean)).mean()
    return float(value), np.where(truth, -1 / mean, 1 / (1 - mean)) / truth.size


def greedy_weights(
    members: Sequence[Floats], score: Callable[[NDArray[np.float64]], float], rounds: int
) -> tuple[float, ...]:
    """Selection with replacement (Caruana et al. 2004, "Ensemble selection from libraries of models").

    Args:
        members: What is averaged, one array a member, shape (n, classes) each.
        score: Of a mean, the larger the better.
        rounds: How many are added at most.

    Returns:
        One a member: how often each was taken up to the best number of rounds, summing to 1.
    """
    counts = np.zeros(len(members))
    summed = np.zeros(members[0].shape)
    best, kept = -np.inf, counts
    for taken in range(1, rounds + 1):
        values = [score((summed + one) / taken) for one in members]
        chosen = int(np.argmax(values))
        counts[chosen] += 1
        summed += members[chosen]
        if values[chosen] > best + 1e-12:
            best, kept = values[chosen], counts.copy()
    return tuple((kept / kept.sum()).tolist())
