"""Labels without a column for every class: the same matrix, held by its places."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from holotype.types import LabelMatrix, concatenate

MATRICES = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))


@given(MATRICES, st.data())
@settings(deadline=None)
def test_rows_counts_and_lists_are_those_of_the_array(known: NDArray[np.bool_], data: st.DataObject) -> None:
    labels = LabelMatrix.from_dense(known)
    rows = np.array(data.draw(st.lists(st.integers(0, len(known) - 1), max_size=12)), np.int64)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(known), max_size=len(known))), bool)
    for chosen in (rows, mask, slice(None)):
        np.testing.assert_array_equal(labels[chosen], known[chosen])
        np.testing.assert_array_equal(labels.rows(chosen)[:], known[chosen])
    np.testing.assert_array_equal(labels.counts(), known.sum(axis=0))
    np.testing.assert_array_equal(labels.flat_indices, np.flatnonzero(known))
    assert labels.lists() == [np.flatnonzero(row).tolist() for row in known]
    assert labels.any() == known.any()
    counts = known.sum(axis=0)
    np.testing.assert_array_equal(labels.rarest_class_count(counts, 99), np.where(known, counts, 99).min(axis=1))


@given(MATRICES)
@settings(deadline=None)
def test_the_digest_tells_matrices_apart_by_content_and_shape(known: NDArray[np.bool_]) -> None:
    labels, other = LabelMatrix.from_dense(known), known.copy()
    other[0, 0] = ~other[0, 0]
    assert labels.digest() == LabelMatrix.from_dense(known.copy()).digest()
    assert labels.digest() != LabelMatrix.from_dense(other).digest()
    assert labels.digest() != LabelMatrix.from_dense(np.pad(known, ((0, 0), (0, 1)))).digest()
    assert labels.equals(concatenate([labels.rows(slice(0, 1)), labels.rows(slice(1, None))]))


def test_places_may_come_in_any_order_and_more_than_once() -> None:
    labels = LabelMatrix.from_pairs(np.array([1, 0, 1, 1]), np.array([2, 0, 1, 2]), (3, 4))
    assert labels.lists() == [[0], [1, 2], []]
    assert labels.shape == LabelMatrix.empty(3, 4).shape
