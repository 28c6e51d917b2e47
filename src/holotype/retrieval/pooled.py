"""One list of neighbours out of those that several fold models name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holotype.errors import DataError
from holotype.retrieval.cosine import Neighbours, most_similar
from holotype.types import Floats, Integers

__all__ = ["pooled_neighbours"]


def pooled_neighbours(named: Sequence[Neighbours], keys: Sequence[Integers]) -> Neighbours:
    """The specimens that are most similar by the mean over the models whose index holds them.

    Each model names neighbours of the same samples among its own training rows. Where a model knows a specimen that
    others name and does not name it itself, it is at most as similar as the last one that it names, and counts so.

    Args:
        named: One a model, of the same n samples; rows are those of the model's own index.
        keys: One a model: the common number of each row of its index, shape (its keys,), none twice.

    Returns:
        Common numbers and mean similarities, the largest first, shape (n, the largest k).

    Raises:
        DataError: The models do not name neighbours of the same samples, or an index has another length.
    """
    _check(named, keys)
    samples = len(named[0])
    query, number, similarity = (np.concatenate(part) for part in zip(*map(_pairs, named, keys), strict=True))
    if not len(query):
        return most_similar(query, number, similarity, named[0].rows.shape)
    # One entry a sample and specimen; each model adds what it says of it.
    pairs, place = np.unique(np.stack([query, number], axis=1), axis=0, return_inverse=True)
    place = place.reshape(-1)
    total, models = np.zeros(len(pairs)), np.zeros(len(pairs))
    start = 0
    for neighbours, known in zip(named, keys, strict=True):
        stop = start + int(neighbours.found.sum())
        own = place[start:stop]
        total[own] += similarity[start:stop]
        models[own] += 1
        least = neighbours.similarity[pairs[:, 0], -1]
        silent = np.isin(pairs[:, 1], known) & np.isfinite(least)  # a list that is not full left nothing out
        silent[own] = False
        total[silent] += least[silent]
        models[silent] += 1
        start = stop
    widest = max(neighbours.rows.shape[1] for neighbours in named)
    mean = (total / models).astype(np.float32)
    return most_similar(pairs[:, 0], pairs[:, 1], mean, (samples, widest))


def _pairs(neighbours: Neighbours, keys: Integers) -> tuple[Integers, Integers, Floats]:
    query, place = np.nonzero(neighbours.found)
    return query, np.asarray(keys)[neighbours.rows[query, place]], neighbours.similarity[query, place]


def _check(named: Sequence[Neighbours], keys: Sequence[Integers]) -> None:
    if not named or len(named) != len(keys) or len({len(neighbours) for neighbours in named}) > 1:
        raise DataError(
            f"neighbours by {len(named)} models of {[len(neighbours) for neighbours in named]} samples and the keys of "
            f"{len(keys)} indexes do not belong together",
            field="neighbours",
            remedy="give one of each a model, all of the same samples",
        )
    for neighbours, own in zip(named, keys, strict=True):
        if neighbours.rows.max(initial=-1) >= len(own) or len(np.unique(own)) < len(own):
            raise DataError(
                f"an index of {len(own):,} keys, {len(np.unique(own)):,} of them different, does not hold the row "
                f"{neighbours.rows.max(initial=-1):,} that its model names",
                field="neighbours",
                remedy="give each model's own keys, in the order of its index",
            )
