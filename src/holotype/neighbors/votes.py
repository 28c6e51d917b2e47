"""Neighbor votes: class scores from the labels of the nearest training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError, HolotypeError, join_names
from holotype.neighbors.cosine import Neighbors
from holotype.types import AnyScores, Floats, Integers, Kind, as_scores, replace_rows

TEMPERATURES = tuple(float(value) for value in np.geomspace(0.003, 1.0, 26))
PRIOR_COUNT = 1.0  # weight of the prior, in neighbors
MIN_PRIOR = 1e-6  # a class without a training sample is unlikely, not impossible
EPSILON = 1e-12  # keeps log-odds finite if the prior has almost no weight
MAX_SCORES = 2**22  # per block, in double precision
MAX_LISTED = 5


def neighbor_logits(
    neighbors: Neighbors,
    truth: NDArray[np.bool_] | Integers,
    kind: Kind,
    prior: Floats,
    temperature: float,
    prior_count: float = PRIOR_COUNT,
) -> Floats:
    """Predict from the neighbors' labels, weighted by similarity.

    The weights are a softmax of similarity / temperature. Their effective number, 1 / sum of squares (Kish 1965,
    "Survey sampling"), is the number of votes; the prior adds `prior_count` more, so that a single neighbor is never
    certain. A sample without neighbors gets the prior.

    Args:
        truth: Labels of the keys: a mask of shape (keys, classes), or class numbers of shape (keys,).
        prior: Frequency of each class among the keys, shape (classes,).
        temperature: Difference of similarity by which a weight falls to 1/e; above 0.

    Returns:
        Log-probabilities (multiclass) or log-odds (multilabel), finite, shape (n, classes).

    Raises:
        DataError: The temperature is not above 0, or labels, classes and neighbors do not match.
    """
    _validate_labels(neighbors, truth, kind, len(prior))
    if not (temperature > 0 and prior_count > 0):
        raise DataError(
            f"temperature and prior count must be above 0, got {temperature} and {prior_count}",
            field="neighbors.temperature",
            remedy="use the temperature of fit_temperature",
        )
    logits = np.empty((len(neighbors), len(prior)), np.float32)
    for part, probability in _probabilities(neighbors, truth, prior, temperature, prior_count):
        if kind == "multiclass":
            logits[part] = np.log(probability / probability.sum(axis=1, keepdims=True))
        else:
            logits[part] = np.log(probability) - np.log1p(-probability)
    return logits


def fit_temperature(
    neighbors: Neighbors,
    truth: NDArray[np.bool_] | Integers,
    key_rows: Integers,
    kind: Kind,
    prior: Floats,
    temperatures: Sequence[float] = TEMPERATURES,
) -> float:
    """Fit the temperature by leave-one-out log loss on the keys' own labels.

    It needs no other data than the index: search for the keys themselves, with their own group forbidden.

    `key_rows`: rows of these keys, shape (n,); `temperatures`: candidates; of equally good ones the first is taken.
    Raises HolotypeError if a key is its own neighbor, so its label would leak. Raises DataError if labels, classes and
    neighbors do not match, or there are no rows.
    """
    self_neighbors = key_rows[(neighbors.rows == key_rows[:, None]).any(axis=1)]
    if len(self_neighbors):
        raise HolotypeError(
            f"{len(self_neighbors):,} keys are neighbors of themselves: rows {join_names(self_neighbors, MAX_LISTED)}",
            field="neighbors",
            remedy="search with forbidden=(groups[key_rows], groups), where every key has the number of its cluster",
        )
    if not len(key_rows) or not len(temperatures):
        raise DataError(
            f"the temperature cannot be fitted: {len(temperatures):,} candidates, {len(key_rows):,} keys",
            field="neighbors",
            remedy="pass at least one of each",
        )
    losses = [
        _log_loss(neighbor_logits(neighbors, truth, kind, prior, temperature), truth[key_rows], kind)
        for temperature in temperatures
    ]
    return float(temperatures[int(np.argmin(losses))])


def override_scores(
    network_logits: AnyScores, retrieved_logits: AnyScores, similarity: Floats, threshold: float
) -> AnyScores:
    """Replace the network's scores by the neighbors' scores for samples that have a very similar training image.

    Bestfitting's first place in the Human Protein Atlas contest of 2018 did so with its metric learning's nearest
    training images (Ouyang et al. 2019, "Analysis of the Human Protein Atlas Image Classification competition").

    `similarity`: to the nearest neighbor, shape (n,), or to all neighbors, the nearest first, shape (n, k). Raises
    DataError if the shapes do not match.
    """
    nearest = similarity[:, 0] if similarity.ndim == 2 else similarity
    if network_logits.shape != retrieved_logits.shape or nearest.shape != network_logits.shape[:1]:
        raise DataError(
            f"scores of shape {network_logits.shape}, neighbors' scores of shape {retrieved_logits.shape} and "
            f"similarities of shape {similarity.shape} do not match",
            field="neighbors",
            remedy="pass one row per sample to each, in the same order",
        )
    similar = np.flatnonzero(nearest >= threshold)
    return as_scores(replace_rows(network_logits, similar, retrieved_logits[similar]))


def _probabilities(
    neighbors: Neighbors, truth: NDArray[np.bool_] | Integers, prior: Floats, temperature: float, prior_count: float
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    expected = np.clip(np.asarray(prior, np.float64), MIN_PRIOR, 1 - MIN_PRIOR) * prior_count
    step = max(1, MAX_SCORES // len(prior))
    for start in range(0, len(neighbors), step):
        part = slice(start, start + step)
        rows, similarity = neighbors.rows[part], neighbors.similarity[part].astype(np.float64)
        nearest = np.where(rows[:, 0] >= 0, similarity[:, 0], 0)
        weights = np.exp((similarity - nearest[:, None]) / temperature)  # empty entries get weight exp(-inf) = 0
        total = weights.sum(axis=1)
        effective_count = np.divide(total**2, (weights**2).sum(axis=1), out=np.zeros_like(total), where=total > 0)
        weights /= np.where(total > 0, total, 1)[:, None]
        votes = np.zeros((len(rows), len(prior)))
        for column in range(rows.shape[1]):  # one at a time: an array of all would be k times as large
            if truth.ndim == 2:
                votes += weights[:, column, None] * truth[rows[:, column]]
            else:
                votes[np.arange(len(rows)), truth[rows[:, column]]] += weights[:, column]
        probability = (votes * effective_count[:, None] + expected) / (effective_count + prior_count)[:, None]
        yield part, np.clip(probability, EPSILON, 1 - EPSILON)


def _log_loss(logits: Floats, truth: NDArray[np.bool_] | Integers, kind: Kind) -> float:
    if kind == "multilabel":
        return float(np.logaddexp(0, np.where(truth, -logits, logits)).mean(dtype=np.float64))
    label = truth.argmax(axis=1) if truth.ndim == 2 else truth
    return float(-logits[np.arange(len(logits)), label].mean(dtype=np.float64))


def _validate_labels(neighbors: Neighbors, truth: NDArray[np.bool_] | Integers, kind: Kind, classes: int) -> None:
    if kind not in {"multiclass", "multilabel"}:
        raise DataError(f"unknown kind of labels {kind!r}", value=kind, allowed=("multiclass", "multilabel"))
    if truth.ndim == 2:
        is_valid = truth.shape[1] == classes
    else:
        in_range = truth.min(initial=0) >= 0 and truth.max(initial=0) < classes
        is_valid = kind == "multiclass" and truth.ndim == 1 and bool(in_range)
    if not is_valid or neighbors.rows.max(initial=-1) >= len(truth):
        raise DataError(
            f"{kind} labels of shape {truth.shape} do not match {classes:,} classes and neighbors up to row "
            f"{neighbors.rows.max(initial=-1):,}",
            field="neighbors",
            remedy="pass one row of labels per key (class numbers from 0 for multiclass), and the prior of every class",
        )
