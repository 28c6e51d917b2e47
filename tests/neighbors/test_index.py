from __future__ import annotations

import sys

import numpy as np
import pytest

from holotype.core.errors import DataError, RecipeError
from holotype.neighbors import ExactIndex, FaissIndex, index, make_index, nearest

needs_faiss = pytest.mark.usefixtures("faiss")


@pytest.fixture(scope="module")
def faiss():
    return pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def clusters() -> np.ndarray:
    """6,000 embeddings in 300 clusters of about 20."""
    generator = np.random.default_rng(8)
    centres = generator.standard_normal((300, 32))
    return (centres[generator.integers(0, 300, 6000)] + 0.5 * generator.standard_normal((6000, 32))).astype(np.float32)


def test_faiss_that_looks_everywhere_agrees_with_the_exact_search(faiss, clusters: np.ndarray) -> None:
    flat = faiss.IndexFlatIP(32)
    unit = clusters / np.linalg.norm(clusters, axis=1, keepdims=True)
    flat.add(unit)
    similarity, rows = flat.search(unit[:200], 5)
    found = nearest(clusters[:200], clusters, 5)
    assert np.array_equal(found.rows, rows)
    assert found.similarity == pytest.approx(similarity, abs=1e-6)


@needs_faiss
def test_cells_find_nearly_all_neighbours_with_the_exact_similarity(clusters: np.ndarray) -> None:
    ties = np.arange(6000)
    exact = nearest(clusters[:500], clusters, 5, forbidden=(ties[:500], ties))
    found = FaissIndex(clusters).search(clusters[:500], 5, (ties[:500], ties))
    both = (found.rows[:, :, None] == exact.rows[:, None]).any(axis=2)
    assert both.mean() > 0.95
    same = found.rows == exact.rows
    assert np.array_equal(found.similarity[same], exact.similarity[same])
    assert not (found.rows == ties[:500, None]).any()


@needs_faiss
@pytest.mark.parametrize("size", [3, 1500])
def test_all_cells_and_large_ties_give_what_the_exact_search_gives(clusters: np.ndarray, size: int) -> None:
    ties = np.argsort(np.argsort(clusters[:, 0])) // size
    ties[::7] = -1
    exact = nearest(clusters[:300], clusters, 5, forbidden=(ties[:300], ties))
    found = FaissIndex(clusters, cells=10, visited=10).search(clusters[:300], 5, (ties[:300], ties))
    assert np.array_equal(found.rows, exact.rows)
    assert np.array_equal(found.similarity, exact.similarity)


@needs_faiss
def test_few_keys_leave_places_free(capfd: pytest.CaptureFixture[str]) -> None:
    found = FaissIndex(np.eye(3, dtype=np.float32)).search(np.eye(3, dtype=np.float32), 5)
    assert found.rows[:, 0].tolist() == [0, 1, 2]
    assert (found.rows[:, 3:] == -1).all()
    assert np.isneginf(found.similarity[:, 3:]).all()
    assert capfd.readouterr().err == ""


@needs_faiss
def test_faiss_refuses_what_the_exact_search_refuses() -> None:
    keys = np.ones((4, 3), np.float32)
    with pytest.raises(DataError, match="no keys to search"):
        FaissIndex(keys[:0])
    with pytest.raises(DataError, match="not finite: rows 2"):
        FaissIndex(np.float32([[1, 2], [2, 1], [np.nan, 1]]))
    with pytest.raises(DataError, match="cannot be compared"):
        FaissIndex(keys).search(np.ones((2, 4), np.float32), 1)


@needs_faiss
def test_auto_is_exact_until_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    assert make_index(keys).kind == "exact"
    monkeypatch.setattr(index, "MAX_EXACT_KEYS", 49)
    assert isinstance(make_index(keys), FaissIndex)
    assert isinstance(make_index(keys, "exact"), ExactIndex)


def test_without_faiss_the_error_names_the_extra_and_auto_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(index, "MAX_EXACT_KEYS", 1)
    keys = np.ones((3, 2), np.float32)
    with pytest.raises(RecipeError, match=r"faiss is not installed.*holotype\[retrieval\]"):
        make_index(keys, "faiss")
    assert make_index(keys).search(keys, 1).rows.tolist() == [[0], [0], [0]]
    with pytest.raises(DataError, match="no keys to search"):
        make_index(keys[:0])
    with pytest.raises(RecipeError, match="did you mean 'exact'"):
        make_index(keys, "exakt")
