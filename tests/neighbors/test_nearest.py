from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics.pairwise import cosine_similarity

from holotype.core.errors import DataError
from holotype.neighbors import nearest

FEW_VALUES = st.integers(-2, 2).map(float)  # many ties, and vectors of zeros


@st.composite
def searches(draw):
    """Queries, keys, k and tie numbers, small and full of ties."""
    width, count, asked = draw(st.integers(1, 4)), draw(st.integers(1, 40)), draw(st.integers(0, 8))
    keys = draw(arrays(np.float32, (count, width), elements=FEW_VALUES))
    queries = draw(arrays(np.float32, (asked, width), elements=FEW_VALUES))
    ties = [draw(arrays(np.int64, rows, elements=st.integers(-1, 3))) for rows in (asked, count)]
    return queries, keys, draw(st.integers(1, 12)), (ties[0], ties[1])


def brute_force(queries, keys, k, forbidden):
    """Every pair in double precision, sorted by similarity in steps of 2^-24, then by row."""
    rows, similarity = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    for number, query in enumerate(queries):
        cosines = np.rint(cosine_similarity(query[None].astype(float), keys.astype(float))[0] * 2**24) / 2**24
        allowed = [
            row for row in range(len(keys)) if forbidden[0][number] < 0 or forbidden[0][number] != forbidden[1][row]
        ]
        best = sorted(allowed, key=lambda row: (-cosines[row], row))[:k]
        rows[number, : len(best)], similarity[number, : len(best)] = best, cosines[best]
    return rows, similarity


@given(searches(), st.sampled_from([1, 2_000, 2**28]))
def test_neighbours_are_those_of_a_brute_force_sort_with_ties_by_row(search, most_bytes) -> None:
    queries, keys, k, forbidden = search
    found = nearest(queries, keys, k, forbidden=forbidden, max_bytes=most_bytes)
    rows, similarity = brute_force(queries, keys, k, forbidden)
    assert np.array_equal(found.rows, rows)
    assert np.array_equal(found.similarity, similarity)
    assert (found.rows.dtype, found.similarity.dtype) == (np.int64, np.float32)


@given(searches())
def test_a_forbidden_key_is_never_returned(search) -> None:
    queries, keys, k, forbidden = search
    found = nearest(queries, keys, k, forbidden=forbidden)
    ties = np.where(found.valid, forbidden[1][found.rows], -1)
    assert not ((ties == forbidden[0][:, None]) & (ties >= 0)).any()


@pytest.mark.parametrize("alike", [0.0, 3.0, 1e4], ids=["spread", "close", "nearly one point"])
def test_the_size_of_the_blocks_changes_nothing(alike: float) -> None:
    generator = np.random.default_rng(5)
    keys = (generator.standard_normal((3000, 24)) + alike).astype(np.float32)
    keys[2000:] = keys[:1000] * np.float32(2)  # the same directions again
    queries, ties = keys[:150], np.arange(3000) % 1000
    whole = nearest(queries, keys, 7, forbidden=(ties[:150], ties))
    for most_bytes in (20_000, 300_000):
        part = nearest(queries, keys, 7, forbidden=(ties[:150], ties), max_bytes=most_bytes)
        assert np.array_equal(part.rows, whole.rows)
        assert np.array_equal(part.similarity, whole.similarity)
    rows, similarity = brute_force(queries[:20], keys, 7, (ties[:20], ties))
    assert np.array_equal(whole.rows[:20], rows)
    assert np.array_equal(whole.similarity[:20], similarity)


def test_keys_that_come_nearer_and_nearer_are_all_seen() -> None:
    angle = np.linspace(1.5, 0.1, 50_000)
    keys = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    found = nearest(np.float32([[1, 0]]), keys, 3, max_bytes=200_000)
    assert found.rows.tolist() == [[49_999, 49_998, 49_997]]
    assert found.similarity[0, 0] == pytest.approx(np.cos(0.1), abs=1e-6)


def test_equal_keys_come_in_the_order_of_their_rows_across_blocks() -> None:
    found = nearest(np.ones((3, 8), np.float32), np.ones((5000, 8), np.float32), 4, max_bytes=50_000)
    assert found.rows.tolist() == [[0, 1, 2, 3]] * 3
    assert (found.similarity == 1).all()


def test_a_query_of_more_neighbours_than_there_are_gets_free_places() -> None:
    found = nearest(
        np.float32([[1, 0]]), np.float32([[1, 1], [0, 1], [1, 0]]), 5, forbidden=(np.int64([4]), np.int64([-1, -1, 4]))
    )
    assert found.rows.tolist() == [[0, 1, -1, -1, -1]]
    assert found.similarity[0].tolist() == [pytest.approx(0.5**0.5), 0, -np.inf, -np.inf, -np.inf]


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1.0, 1e25, 3e37])
def test_the_length_of_an_embedding_does_not_count(scale: float) -> None:
    keys = np.float32([[3, 4], [4, 3], [0, 0]]) * np.float32(scale)
    found = nearest(np.float32([[1, 0]]), keys, 3)
    assert found.rows.tolist() == [[1, 0, 2]]
    assert found.similarity[0] == pytest.approx([0.8, 0.6, 0], abs=1e-4 if scale < 1e-38 else 1e-7)


def test_embeddings_of_half_precision_are_compared_as_they_are() -> None:
    keys = np.random.default_rng(2).standard_normal((50, 6)).astype(np.float16)
    assert nearest(keys, keys, 1).rows[:, 0].tolist() == list(range(50))


def test_memory_stays_within_what_was_allowed() -> None:
    import tracemalloc

    keys = np.random.default_rng(3).standard_normal((60_000, 32), dtype=np.float32)
    tracemalloc.start()
    nearest(keys[:2000], keys, 3, max_bytes=2**23)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 2**23


BAD = {
    "widths": ({"keys": np.ones((4, 5), np.float32)}, r"\(2, 3\) cannot be compared with keys of shape \(4, 5\)"),
    "no keys": ({"keys": np.ones((0, 3), np.float32)}, "no keys to search"),
    "one vector": ({"queries": np.ones(3, np.float32)}, "cannot be compared"),
    "k": ({"k": 0}, "k: the number of neighbors must be at least 1"),
    "a key of nan": ({"keys": np.float32([[1, 2, 3], [1, np.nan, 2]])}, "keys: 1 embeddings .* rows 1;"),
    "a query of inf": ({"queries": np.float32([[np.inf, 1, 2], [1, 2, 3]])}, "queries: 1 embeddings .* rows 0;"),
    "too few ties": ({"forbidden": (np.zeros(2, int), np.zeros(3, int))}, "4 keys need one integer"),
    "ties of floats": ({"forbidden": (np.zeros(2), np.zeros(4, int))}, "2 queries need one integer"),
    "ties below -1": ({"forbidden": (np.zeros(2, int), np.full(4, -2))}, "4 keys need one integer >= -1"),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_searched_is_refused_in_words(change, words: str) -> None:
    given = {"queries": np.ones((2, 3), np.float32), "keys": np.ones((4, 3), np.float32), "k": 2} | change
    with pytest.raises(DataError, match=words):
        nearest(given.pop("queries"), given.pop("keys"), given.pop("k"), **given)
