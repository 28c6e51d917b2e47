"""Means of models' scores: of logits, of probabilities, of ranks; and votes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit, softmax

from holotype.types import Floats, Kind

__all__ = ["mean_ranks", "mean_scores", "rank_quantiles", "votes"]

EPSILON = 1e-7
QUANTILE_STEPS = 201


def mean_scores(models: Sequence[Floats], weights: Sequence[float], space: str, kind: Kind) -> Floats:
    """The weighted mean of several arrays of logits.

    Args:
        models: One array a model, shape (n, classes) each.
        weights: One a model, summing to 1.
        space: `logit` averages as they are; `probability` averages what they say and turns it back.
        kind: `multiclass` (softmax) or `multilabel` (sigmoid).

    Returns:
        Logits, shape (n, classes).
    """
    if len(models) == 1:
        return models[0]
    if space == "logit":
        return np.asarray(
            sum(weight * scores for weight, scores in zip(weights, models, strict=True)), dtype=np.float32
        )
    probabilities = [expit(scores) if kind == "multilabel" else softmax(scores, axis=1) for scores in models]
    mean = np.clip(
        sum(weight * scores for weight, scores in zip(weights, probabilities, strict=True)), EPSILON, 1 - EPSILON
    )
    return np.asarray(logit(mean) if kind == "multilabel" else np.log(mean), dtype=np.float32)


def rank_quantiles(models: Sequence[Floats], kind: Kind) -> NDArray[np.float64]:
    """What ranks are read from: quantiles of each model's scores a class, and last of their mean.

    Args:
        models: Out-of-fold logits, one array a model, shape (n, classes) each.
        kind: `multiclass` or `multilabel`.

    Returns:
        Shape (models + 1, steps, classes).
    """
    comparable = [_comparable_scores(scores, kind) for scores in models]
    mean = np.mean(comparable, axis=0)
    steps = np.linspace(0, 1, QUANTILE_STEPS)
    return np.stack([np.quantile(scores, steps, axis=0) for scores in [*comparable, mean]])


def mean_ranks(models: Sequence[Floats], quantiles: NDArray[np.float64], kind: Kind) -> Floats:
    """The mean rank of each score among the out-of-fold scores, turned back into a logit of their mean.

    A model whose scores are too bold or too shy counts no more for it.

    Args:
        models: Logits, one array a model, shape (n, classes) each.
        quantiles: From `rank_quantiles`.
        kind: `multiclass` or `multilabel`.

    Returns:
        Shape (n, classes).
    """
    steps = np.linspace(0, 1, quantiles.shape[1])
    comparable = [_comparable_scores(scores, kind) for scores in models]
    logits = np.empty(comparable[0].shape, np.float32)
    for number in range(comparable[0].shape[1]):
        ranks = [
            np.interp(scores[:, number], quantiles[index, :, number], steps) for index, scores in enumerate(comparable)
        ]
        logits[:, number] = np.interp(np.mean(ranks, axis=0), steps, quantiles[-1, :, number])
    return logits


def votes(models: Sequence[Floats], kind: Kind) -> Floats:
    """How many models give a class, as a logit; their mean probability decides between equals.

    Args:
        models: Logits, one array a model, shape (n, classes) each.
        kind: `multiclass`: a model gives its likeliest class; `multilabel`: all above one half.

    Returns:
        Shape (n, classes); above nought where more than half of the models give the class.
    """
    probabilities = [expit(scores) if kind == "multilabel" else softmax(scores, axis=1) for scores in models]
    voted = [
        scores > 0.5 if kind == "multilabel" else scores == scores.max(axis=1, keepdims=True)
        for scores in probabilities
    ]
    share, mean = np.mean(voted, axis=0), np.mean(probabilities, axis=0)
    blended = (len(models) * share + mean) / (len(models) + 1)
    blended = np.clip(blended, EPSILON, 1 - EPSILON)
    return np.asarray(logit(blended) if kind == "multilabel" else np.log(blended), dtype=np.float32)


def _comparable_scores(logits: Floats, kind: Kind) -> NDArray[np.float64]:
    doubles = np.asarray(logits, np.float64)
    return np.asarray(log_softmax(doubles, axis=1) if kind == "multiclass" else doubles)
