"""What the labels of the most similar specimens say of a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from holotype.errors import DataError, HolotypeError, listing
from holotype.retrieval.cosine import Neighbours
from holotype.types import AnyScores, Floats, Integers, Kind, as_scores, with_rows

__all__ = ["TEMPERATURES", "fit_temperature", "neighbour_logits", "take_over"]

TEMPERATURES = tuple(float(value) for value in np.geomspace(0.003, 1.0, 26))
PRIOR_COUNT = 1.0  # how many neighbours the prior counts for
RAREST = 1e-6  # a class that no training sample has is unlikely, not impossible
SMALLEST = 1e-12  # keeps certainty finite where the prior counts for almost nothing
MOST_SCORES = 2**22  # in double precision at once
LISTED = 5


def neighbour_logits(
    neighbours: Neighbours, truth: NDArray[np.bool_] | Integers, kind: Kind, prior: Floats, temperature: float,
    prior_count: float = PRIOR_COUNT,
) -> Floats:  # fmt: skip
    """Votes of the neighbours' labels, the more similar ones counting more.

    The weights are a softmax of similarity / temperature. Their effective number, 1 / sum of squares (Kish 1965,
    "Survey sampling"), is how many specimens speak; the prior joins them as `prior_count` more, so that one specimen
    alone is never certain. A sample without neighbours gets the prior.

    Args:
        neighbours: Of n samples.
        truth: Of the keys: classes they have, shape (keys, classes), or their class numbers, shape (keys,).
        kind: `multiclass` or `multilabel`.
        prior: Share of the keys that have each class, shape (classes,).
        temperature: Difference of similarity by which a weight falls to 1/e; above 0.
        prior_count: How many neighbours the prior counts for, above 0.

    Returns:
        Log-probabilities (multiclass) or log-odds of each class (multilabel), finite, shape (n, classes).

    Raises:
        DataError: The temperature is not above 0, or labels, classes and neighbours do not belong together.
    """
    _check(neighbours, truth, kind, len(prior))
    if not (temperature > 0 and prior_count > 0):
        raise DataError(
            f"temperature {temperature} and prior count {prior_count} must both be above 0",
            field="neighbours.temperature",
            remedy="take what fit_temperature chooses",
        )
    logits = np.empty((len(neighbours), len(prior)), np.float32)
    for part, likely in _probabilities(neighbours, truth, prior, temperature, prior_count):
        if kind == "multiclass":
            logits[part] = np.log(likely / likely.sum(axis=1, keepdims=True))
        else:
            logits[part] = np.log(likely) - np.log1p(-likely)
    return logits


def fit_temperature(
    neighbours: Neighbours, truth: NDArray[np.bool_] | Integers, own: Integers, kind: Kind, prior: Floats,
    temperatures: Sequence[float] = TEMPERATURES,
) -> float:  # fmt: skip
    """The temperature by which the keys' own labels are best told by the other keys: log loss, leaving each out.

    Needs no other evidence than the index: search for keys with their own tie numbers forbidden.

    Args:
        neighbours: Of some keys among the others.
        truth: Of all keys, as in `neighbour_logits`.
        own: Which keys they are the neighbours of, shape (n,).
        kind: `multiclass` or `multilabel`.
        prior: Share of the keys that have each class, shape (classes,).
        temperatures: Candidates; of equally good ones the first.

    Raises:
        HolotypeError: A key is its own neighbour, so that its label would tell itself.
        DataError: Labels, classes and neighbours do not belong together, or there are no rows to choose on.
    """
    itself = own[(neighbours.rows == own[:, None]).any(axis=1)]
    if len(itself):
        raise HolotypeError(
            f"{len(itself):,} keys are neighbours of themselves: rows {listing(itself, LISTED)}",
            field="neighbours",
            remedy="search with forbidden=(ties[own], ties), where every key has a number of its own or its cluster's",
        )
    if not len(own) or not len(temperatures):
        raise DataError(
            f"a temperature is to be chosen among {len(temperatures):,} by {len(own):,} keys", field="neighbours",
            remedy="give at least one of each",
        )  # fmt: skip
    losses = [
        _log_loss(neighbour_logits(neighbours, truth, kind, prior, temperature), truth[own], kind)
        for temperature in temperatures
    ]
    return float(temperatures[int(np.argmin(losses))])


def take_over(own_logits: AnyScores, neighbour_logits: AnyScores, similarity: Floats, above: float) -> AnyScores:
    """The neighbours' scores for samples that have a very similar specimen, the network's own for the others.

    Bestfitting's first place in the Human Protein Atlas contest of 2018 did so with its metric learning's nearest
    training images (Ouyang et al. 2019, "Analysis of the Human Protein Atlas Image Classification competition").

    Args:
        own_logits: Shape (n, classes).
        neighbour_logits: Shape (n, classes).
        similarity: To the nearest specimen, shape (n,), or to all neighbours, the nearest first, shape (n, k).
        above: From which similarity on the neighbours' scores are taken.

    Returns:
        Shape (n, classes).

    Raises:
        DataError: The shapes do not belong together.
    """
    nearest = similarity[:, 0] if similarity.ndim == 2 else similarity
    if own_logits.shape != neighbour_logits.shape or nearest.shape != own_logits.shape[:1]:
        raise DataError(
            f"own scores of shape {own_logits.shape}, the neighbours' of shape {neighbour_logits.shape} and "
            f"similarities of shape {similarity.shape} do not belong together",
            field="neighbours",
            remedy="give one row a sample to each, in one order",
        )
    similar = np.flatnonzero(nearest >= above)
    return as_scores(with_rows(own_logits, similar, neighbour_logits[similar]))


def _probabilities(
    neighbours: Neighbours, truth: NDArray[np.bool_] | Integers, prior: Floats, temperature: float, prior_count: float
) -> Iterator[tuple[slice, NDArray[np.float64]]]:  # fmt: skip
    """Smoothed shares of the votes, some rows at a time."""
    expected = np.clip(np.asarray(prior, np.float64), RAREST, 1 - RAREST) * prior_count
    step = max(1, MOST_SCORES // len(prior))
    for start in range(0, len(neighbours), step):
        part = slice(start, start + step)
        rows, similarity = neighbours.rows[part], neighbours.similarity[part].astype(np.float64)
        nearest = np.where(rows[:, 0] >= 0, similarity[:, 0], 0)
        weights = np.exp((similarity - nearest[:, None]) / temperature)  # the missing ones weigh exp(-inf)
        total = weights.sum(axis=1)
        speaking = np.divide(total**2, (weights**2).sum(axis=1), out=np.zeros_like(total), where=total > 0)
        weights /= np.where(total > 0, total, 1)[:, None]
        votes = np.zeros((len(rows), len(prior)))
        for place in range(rows.shape[1]):  # one place after another: an array of all would be k times as large
            if truth.ndim == 2:
                votes += weights[:, place, None] * truth[rows[:, place]]
            else:
                votes[np.arange(len(rows)), truth[rows[:, place]]] += weights[:, place]
        likely = (votes * speaking[:, None] + expected) / (speaking + prior_count)[:, None]
        yield part, np.clip(likely, SMALLEST, 1 - SMALLEST)


def _log_loss(logits: Floats, truth: NDArray[np.bool_] | Integers, kind: Kind) -> float:
    if kind == "multilabel":
        return float(np.logaddexp(0, np.where(truth, -logits, logits)).mean(dtype=np.float64))
    label = truth.argmax(axis=1) if truth.ndim == 2 else truth
    return float(-logits[np.arange(len(logits)), label].mean(dtype=np.float64))


def _check(neighbours: Neighbours, truth: NDArray[np.bool_] | Integers, kind: Kind, classes: int) -> None:
    if kind not in {"multiclass", "multilabel"}:
        raise DataError(f"there are no labels of kind {kind!r}", value=kind, allowed=("multiclass", "multilabel"))
    if truth.ndim == 2:
        fits = truth.shape[1] == classes
    else:
        inside = truth.min(initial=0) >= 0 and truth.max(initial=0) < classes
        fits = kind == "multiclass" and truth.ndim == 1 and bool(inside)
    if not fits or neighbours.rows.max(initial=-1) >= len(truth):
        raise DataError(
            f"labels of shape {truth.shape} do not belong to {classes:,} classes of {kind} and to neighbours whose "
            f"rows reach {neighbours.rows.max(initial=-1):,}",
            field="neighbours",
            remedy="give one row of labels a key (class numbers from 0 for multiclass), and the share of every class",
        )
