"""Class-subset models: the classes that a model does not predict are filled in from the other models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import log_softmax, logsumexp

from holotype.evaluation.metrics.counts import nanmean
from holotype.types import Doubles, Floats, Integers, Kind


def fill_missing_classes(
    model_logits: Floats,
    model_classes: Integers,
    others: Sequence[tuple[Floats, Integers | None]],
    classes: int,
    kind: Kind,
) -> Floats:
    """Fill in the classes that a model does not predict.

    Multilabel: they get the mean log-odds of the other models. Multiclass: the probability of `none of these` is
    divided among them as the other models do.

    Args:
        model_logits: Shape (n, its classes), or (n, its classes + 1) with `none of these` last.
        others: Logits of the other models, and the numbers of their classes (None for all).

    Returns:
        Logits, shape (n, classes); 0, or an equal share, for a class that no model predicts.
    """
    missing = np.setdiff1d(np.arange(classes), model_classes)
    other_scores = [_expand_to_all_classes(logits, numbers, classes, kind) for logits, numbers in others]
    base = np.full((len(model_logits), classes), np.nan) if not other_scores else nanmean(other_scores, axis=0)
    base = np.where(np.isnan(base), 0.0, base)
    completed = np.empty((len(model_logits), classes))
    if kind == "multilabel":
        completed[:, model_classes], completed[:, missing] = model_logits, base[:, missing]
        return completed.astype(np.float32)
    log_probs = log_softmax(np.asarray(model_logits, np.float64), axis=1)
    completed[:, model_classes] = log_probs[:, : len(model_classes)]
    shares = base[:, missing]
    completed[:, missing] = log_probs[:, len(model_classes) :] + shares - logsumexp(shares, axis=1, keepdims=True)
    return completed.astype(np.float32)


def _expand_to_all_classes(logits: Floats, model_classes: Integers | None, classes: int, kind: Kind) -> Doubles:
    doubles = np.asarray(logits, np.float64)
    doubles = log_softmax(doubles, axis=1) if kind == "multiclass" else doubles
    if model_classes is None:
        return np.asarray(doubles)
    expanded = np.full((len(doubles), classes), np.nan)
    expanded[:, model_classes] = doubles[:, : len(model_classes)]
    return expanded
