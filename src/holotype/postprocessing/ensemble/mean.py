"""Averaging of model scores: logits, probabilities, ranks or votes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax

from holotype.evaluation.metrics import ranking_scores
from holotype.types import Floats, Kind

EPSILON = 1e-7
QUANTILE_STEPS = 201


def mean_scores(models: Sequence[Floats], weights: Sequence[float], space: str, kind: Kind) -> Floats:
    """Average logits with weights.

    `space`: `logit` averages logits; `probability` averages probabilities and converts back; `kind`: `multiclass`
    (softmax) or `multilabel` (sigmoid).
    """
    if len(models) == 1:
        return models[0]
    averaged = models if space == "logit" else _probabilities(models, kind)
    mean = sum(weight * scores for weight, scores in zip(weights, averaged, strict=True))
    return np.asarray(mean, np.float32) if space == "logit" else _mean_to_logits(np.asarray(mean), kind)


def rank_quantiles(models: Sequence[Floats], kind: Kind) -> NDArray[np.float64]:
    """Compute the quantiles of each model's scores by class, and of their mean, for `mean_ranks`.

    Returns shape (models + 1, steps, classes).
    """
    comparable = [ranking_scores(scores, kind) for scores in models]
    mean = np.mean(comparable, axis=0)
    steps = np.linspace(0, 1, QUANTILE_STEPS)
    return np.stack([np.quantile(scores, steps, axis=0) for scores in [*comparable, mean]])


def mean_ranks(models: Sequence[Floats], quantiles: NDArray[np.float64], kind: Kind) -> Floats:
    """Average the ranks of scores among the out-of-fold scores, and convert back to logits.

    Over- or underconfident models get no larger or smaller weight.
    """
    steps = np.linspace(0, 1, quantiles.shape[1])
    comparable = [ranking_scores(scores, kind) for scores in models]
    logits = np.empty(comparable[0].shape, np.float32)
    for number in range(comparable[0].shape[1]):
        ranks = [
            np.interp(scores[:, number], quantiles[index, :, number], steps) for index, scores in enumerate(comparable)
        ]
        logits[:, number] = np.interp(np.mean(ranks, axis=0), steps, quantiles[-1, :, number])
    return logits


def votes(models: Sequence[Floats], kind: Kind) -> Floats:
    """Majority vote as a logit; ties are decided by the mean probability.

    `kind`: `multiclass`: a model votes for its top class; `multilabel`: for all classes above 0.5. Returns shape (n,
    classes); for multilabel, above 0 if more than half of the models vote for the class.
    """
    probabilities = _probabilities(models, kind)
    voted = [
        scores > 0.5 if kind == "multilabel" else scores == scores.max(axis=1, keepdims=True)
        for scores in probabilities
    ]
    share, mean = np.mean(voted, axis=0), np.mean(probabilities, axis=0)
    return _mean_to_logits((len(models) * share + mean) / (len(models) + 1), kind)


def _probabilities(models: Sequence[Floats], kind: Kind) -> list[Floats]:
    return [expit(scores) if kind == "multilabel" else softmax(scores, axis=1) for scores in models]


def _mean_to_logits(mean: NDArray[Any], kind: Kind) -> Floats:
    clipped = np.clip(mean, EPSILON, 1 - EPSILON)
    return np.asarray(logit(clipped) if kind == "multilabel" else np.log(clipped), dtype=np.float32)
