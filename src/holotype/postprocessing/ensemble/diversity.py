"""Ensemble diversity: pairwise disagreement, correlation and gain of the models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from holotype.postprocessing.ensemble.mean import mean_scores
from holotype.postprocessing.ensemble.topk_mean import mean_of_top_k
from holotype.postprocessing.ensemble.weights import mean_log_loss
from holotype.types import AnyLabels, AnyScores, Floats, Kind, LabelMatrix, TopKScores


def diversity_table(
    models: Sequence[AnyScores], names: Sequence[str], truth: AnyLabels, kind: Kind
) -> list[dict[str, Any]]:
    """Compare every pair of models.

    Returns one entry per pair: `first`, `second`; `disagreement`: share of samples (multiclass) or labels (multilabel)
    decided differently; `correlation` of the logits, averaged over classes (for top-k scores, of the log-probability of
    the true class); `loss_first`, `loss_second`, `loss_mean`: log loss of each and of their mean.
    """
    comparable = [_comparable_scores(scores, truth, kind) for scores in models]
    decided = [_decisions(scores, kind) for scores in models]
    losses = [mean_log_loss(scores, truth, kind) for scores in models]
    table = []
    for first, second in combinations(range(len(models)), 2):
        mean = _mean_of_pair(models[first], models[second], kind)
        table.append(
            {
                "first": names[first],
                "second": names[second],
                "disagreement": float((decided[first] != decided[second]).mean()),
                "correlation": _correlation(comparable[first], comparable[second]),
                "loss_first": losses[first],
                "loss_second": losses[second],
                "loss_mean": mean_log_loss(mean, truth, kind),
            }
        )
    return table


def _comparable_scores(model: AnyScores, truth: AnyLabels, kind: Kind) -> Floats:
    """Scores to compare, shape (n, classes), or (n, 1) of the true class for top-k scores."""
    if isinstance(model, TopKScores):
        return model.log_probability(LabelMatrix.from_dense(truth).numbers)[:, None].astype(np.float32)
    return np.asarray(log_softmax(model, axis=1) if kind == "multiclass" else model)


def _decisions(model: AnyScores, kind: Kind) -> NDArray[Any]:
    if isinstance(model, TopKScores):
        return model.top_classes[:, 0]
    return np.asarray(model.argmax(axis=1) if kind == "multiclass" else model > 0)


def _mean_of_pair(first: AnyScores, second: AnyScores, kind: Kind) -> AnyScores:
    if isinstance(first, TopKScores) and isinstance(second, TopKScores):
        return mean_of_top_k([first, second], (0.5, 0.5), "logit")
    return mean_scores([np.asarray(first), np.asarray(second)], (0.5, 0.5), "logit", kind)


def _correlation(first: Floats, second: Floats) -> float:
    left, right = first - first.mean(axis=0), second - second.mean(axis=0)
    spread = np.sqrt((left**2).sum(axis=0) * (right**2).sum(axis=0))
    has_spread = spread > 0
    return float(((left * right).sum(axis=0)[has_spread] / spread[has_spread]).mean()) if has_spread.any() else 0.0
