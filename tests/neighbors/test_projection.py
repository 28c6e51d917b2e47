"""Embeddings on a plane: what is alike lies close, on every machine in the same place."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from holotype.neighbors import project


def clusters(each: int, groups: int = 3, width: int = 40) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(4)
    middle = draw.normal(size=(groups, width))
    own = np.repeat(np.arange(groups), each)
    return (middle[own] + 0.3 * draw.normal(size=(groups * each, width))).astype(np.float32), own


@pytest.mark.parametrize("each", [2, 30])
def test_what_is_alike_lies_close(each: int) -> None:
    embeddings, own = clusters(each)
    places, how = project(embeddings, 1)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 10 * np.eye(len(places))
    assert (own[apart.argmin(axis=1)] == own).mean() > 0.95
    assert ("t-SNE" in how) is (each > 3)
    assert np.abs(places).max() == pytest.approx(1.0)


def test_places_hang_on_the_seed_and_the_embeddings_alone() -> None:
    embeddings, _ = clusters(40)
    first, _ = project(embeddings, 1)
    with threadpool_limits(2):
        again, _ = project(embeddings, 1)
    assert first.tobytes() == again.tobytes()
    assert project(4 * embeddings, 1)[0].tobytes() == first.tobytes()  # lengths do not count


@pytest.mark.parametrize("embeddings", [np.ones((1, 4)), np.ones((30, 4)), np.zeros((12, 1)), np.empty((0, 4))])
def test_what_cannot_be_told_apart_lies_in_one_place(embeddings: np.ndarray) -> None:
    places, _ = project(embeddings, 1)
    assert places.shape == (len(embeddings), 2)
    assert np.isfinite(places).all()
    assert np.abs(places).max(initial=0) == 0
