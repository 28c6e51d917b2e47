"""Ensembles of top-k scores, for very many classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holotype.postprocessing.ensemble.weights import fit_weights
from holotype.types import AnyLabels, Integers, LabelMatrix, TopKScores, average_rows, concatenate

CANDIDATES_PER_MODEL = 50  # for fitting weights; lower classes do not change the loss


def mean_of_top_k(models: Sequence[TopKScores], weights: Sequence[float], space: str) -> TopKScores:
    """Average the log-probabilities or probabilities of several models.

    A class that is not among a model's top k gets the average of that model's remaining classes.
    """
    if len(models) == 1:
        return models[0]
    rows, rule = len(models[0]), "mean-probability" if space == "probability" else "mean-logit"
    owners = np.tile(np.arange(rows), len(models))
    return average_rows(concatenate(models), owners, rows, np.repeat(np.asarray(weights, np.float64), rows), rule)


def fit_top_k_weights(
    models: Sequence[TopKScores], truth: AnyLabels, space: str, shrink_to_equal: float
) -> tuple[float, ...]:
    """Fit weights on the simplex by log loss."""
    numbers, scores = union_of_top_k([_truncate(model, CANDIDATES_PER_MODEL) for model in models])
    is_true_class = numbers == LabelMatrix.from_dense(truth).numbers[:, None]
    is_other_class = ~is_true_class.any(axis=1, keepdims=True)
    labels = np.hstack([is_true_class, is_other_class])
    return fit_weights(scores, labels, space, "multiclass", shrink_to_equal)


def union_of_top_k(models: Sequence[TopKScores]) -> tuple[Integers, list[NDArray[np.float32]]]:
    """Collect the classes in the top k of any model, with every model's log-probability of them.

    Returns class numbers, padded with -1, shape (n, m); and per model the log-probabilities, the last column those of
    all other classes together, shape (n, m + 1).
    """
    all_classes = np.sort(np.hstack([model.top_classes for model in models]).astype(np.int64), axis=1)
    repeated = np.zeros(all_classes.shape, bool)
    repeated[:, 1:] = all_classes[:, 1:] == all_classes[:, :-1]
    numbers = np.where(repeated, -1, all_classes)
    others = models[0].classes - (~repeated).sum(axis=1)
    return numbers, [_log_probabilities_of(model, numbers, others) for model in models]


def _log_probabilities_of(model: TopKScores, numbers: Integers, others: Integers) -> NDArray[np.float32]:
    """Log-probabilities of some classes per row and of all others together; -1e4 for padding."""
    rows = np.arange(len(model))[:, None] * model.classes
    order = np.argsort(model.top_classes, axis=1)
    codes = (rows + np.take_along_axis(model.top_classes, order, axis=1)).ravel()
    values = np.take_along_axis(model.top_logits, order, axis=1).ravel()
    target_codes = rows + numbers
    index = np.minimum(np.searchsorted(codes, target_codes), len(codes) - 1)
    floor = model.floor[:, None]
    log_probs = np.where(codes[index] == target_codes, values[index], floor) - model.total[:, None]
    log_probs[numbers < 0] = -1e4
    with np.errstate(divide="ignore"):
        other_log_probs = np.maximum(model.floor - model.total + np.log(others), -1e4)
    return np.hstack([log_probs, other_log_probs[:, None]]).astype(np.float32)


def _truncate(model: TopKScores, k: int) -> TopKScores:
    if k >= model.top_classes.shape[1]:
        return model
    dropped = np.logaddexp.reduce(model.top_logits[:, k:].astype(np.float64), axis=1)
    rest_logsumexp = np.logaddexp(model.rest_logsumexp, dropped).astype(np.float32)
    return TopKScores(model.classes, model.top_classes[:, :k], model.top_logits[:, :k], rest_logsumexp)
