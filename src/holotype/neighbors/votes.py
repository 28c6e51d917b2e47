"""What the labels of the most similar specimens say of a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError, HolotypeError, join_names
from holotype.neighbors.cosine import Neighbors
from holotype.types import AnyScores, Floats, Integers, Kind, as_scores, replace_rows

__all__ = ["TEMPERATURES", "fit_temperature", "neighbor_logits", "override_scores"]

TEMPERATURES = tuple(float(value) for value in np.geomspace(0.003, 1.0, 26))
PRIOR_COUNT = 1.0  # how many neighbors the prior counts for
MIN_PRIOR = 1e-6  # a class that no training sample has is unlikely, not impossible
EPSILON = 1e-12  # keeps certainty finite where the prior counts for almost nothing
MAX_SCORES = 2**22  # in double precision at once
MAX_LISTED = 5


def neighbor_logits(
    neighbors: Neighbors,
    truth: NDArray[np.bool_] | Integers,
    kind: Kind,
    prior: Floats,
    temperature: float,
    prior_count: float = PRIOR_COUNT,
) -> Floats:
    """Votes of the neighbors' labels, the more similar ones counting more.

    The weights are a softmax of similarity / temperature. Their effective number, 1 / sum of squares (Kish 1965,
    "Survey sampling"), is how many specimens speak; the prior joins them as `prior_count` more, so that one specimen
    alone is never certain. A sample without neighbors gets the prior.

    Args:
        neighbors: Of n samples.
        truth: Of the keys: classes they have, shape (keys, classes), or their class numbers, shape (keys,).
        kind: `multiclass` or `multilabel`.
        prior: Share of the keys that have each class, shape (classes,).
        temperature: Difference of similarity by which a weight falls to 1/e; above 0.
        prior_count: How many neighbors the prior counts for, above 0.

    Returns:
        Log-probabilities (multiclass) or log-odds of each class (multilabel), finite, shape (n, classes).

    Raises:
        DataError: The temperature is not above 0, or labels, classes and neighbors do not belong together.
    """
    _validate_labels(neighbors, truth, kind, len(prior))
    if not (temperature > 0 and prior_count > 0):
        raise DataError(
            f"temperature {temperature} and prior count {prior_count} must both be above 0",
            field="neighbors.temperature",
            remedy="take what fit_temperature chooses",
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
    """The temperature by which the keys' own labels are best told by the other keys: log loss, leaving each out.

    Needs no other evidence than the index: search for keys with their own tie numbers forbidden.

    Args:
        neighbors: Of some keys among the others.
        truth: Of all keys, as in `neighbor_logits`.
        key_rows: Which keys they are the neighbors of, shape (n,).
        kind: `multiclass` or `multilabel`.
        prior: Share of the keys that have each class, shape (classes,).
        temperatures: Candidates; of equally good ones the first.

    Raises:
        HolotypeError: A key is its own neighbor, so that its label would tell itself.
        DataError: Labels, classes and neighbors do not belong together, or there are no rows to choose on.
    """
    self_neighbors = key_rows[(neighbors.rows == key_rows[:, None]).any(axis=1)]
    if len(self_neighbors):
        raise HolotypeError(
            f"{len(self_neighbors):,} keys are neighbors of themselves: rows {join_names(self_neighbors, MAX_LISTED)}",
            field="neighbors",
            remedy="search with forbidden=(ties[own], ties), where every key has a number of its own or its cluster's",
        )
    if not len(key_rows) or not len(temperatures):
        raise DataError(
            f"a temperature is to be chosen among {len(temperatures):,} by {len(key_rows):,} keys",
            field="neighbors",
            remedy="give at least one of each",
        )
    losses = [
        _log_loss(neighbor_logits(neighbors, truth, kind, prior, temperature), truth[key_rows], kind)
        for temperature in temperatures
    ]
    return float(temperatures[int(np.argmin(losses))])


def override_scores(
    network_logits: AnyScores, retrieved_logits: AnyScores, similarity: Floats, threshold: float
) -> AnyScores:
    """The neighbors' scores for samples that have a very similar specimen, the network's own for the others.

    Bestfitting's first place in the Human Protein Atlas contest of 2018 did so with its metric learning's nearest
    training images (Ouyang et al. 2019, "Analysis of the Human Protein Atlas Image Classification competition").

    Args:
        network_logits: Shape (n, classes).
        retrieved_logits: Shape (n, classes).
        similarity: To the nearest specimen, shape (n,), or to all neighbors, the nearest first, shape (n, k).
        threshold: From which similarity on the neighbors' scores are taken.

    Returns:
        Shape (n, classes).

    Raises:
        DataError: The shapes do not belong together.
    """
    nearest = similarity[:, 0] if similarity.ndim == 2 else similarity
    if network_logits.shape != retrieved_logits.shape or nearest.shape != network_logits.shape[:1]:
        raise DataError(
            f"own scores of shape {network_logits.shape}, the neighbors' of shape {retrieved_logits.shape} and "
            f"similarities of shape {similarity.shape} do not belong together",
            field="neighbors",
            remedy="give one row a sample to each, in one order",
        )
    similar = np.flatnonzero(nearest >= threshold)
    return as_scores(replace_rows(network_logits, similar, retrieved_logits[similar]))


def _probabilities(
    neighbors: Neighbors, truth: NDArray[np.bool_] | Integers, prior: Floats, temperature: float, prior_count: float
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Smoothed shares of the votes, some rows at a time."""
    expected = np.clip(np.asarray(prior, np.float64), MIN_PRIOR, 1 - MIN_PRIOR) * prior_count
    step = max(1, MAX_SCORES // len(prior))
    for start in range(0, len(neighbors), step):
        part = slice(start, start + step)
        rows, similarity = neighbors.rows[part], neighbors.similarity[part].astype(np.float64)
        nearest = np.where(rows[:, 0] >= 0, similarity[:, 0], 0)
        weights = np.exp((similarity - nearest[:, None]) / temperature)  # the missing ones weigh exp(-inf)
        total = weights.sum(axis=1)
        effective_count = np.divide(total**2, (weights**2).sum(axis=1), out=np.zeros_like(total), where=total > 0)
        weights /= np.where(total > 0, total, 1)[:, None]
        votes = np.zeros((len(rows), len(prior)))
        for column in range(rows.shape[1]):  # one place after another: an array of all would be k times as large
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
        raise DataError(f"there are no labels of kind {kind!r}", value=kind, allowed=("multiclass", "multilabel"))
    if truth.ndim == 2:
        is_valid = truth.shape[1] == classes
    else:
        in_range = truth.min(initial=0) >= 0 and truth.max(initial=0) < classes
        is_valid = kind == "multiclass" and truth.ndim == 1 and bool(in_range)
    if not is_valid or neighbors.rows.max(initial=-1) >= len(truth):
        raise DataError(
            f"labels of shape {truth.shape} do not belong to {classes:,} classes of {kind} and to neighbors whose "
            f"rows reach {neighbors.rows.max(initial=-1):,}",
            field="neighbors",
            remedy="give one row of labels a key (class numbers from 0 for multiclass), and the share of every class",
        )
