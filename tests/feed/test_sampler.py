"""The order of rows: a permutation, keyed, cut into batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from holotype.feed import batches, shuffled

rows = st.lists(st.integers(0, 10_000), max_size=50, unique=True).map(lambda them: np.array(them, np.int64))


@given(rows, st.integers(0, 2**63 - 1))
def test_a_shuffle_is_a_permutation_that_its_key_decides(rows, key):
    order = shuffled(rows, key)
    assert sorted(order) == sorted(rows)
    np.testing.assert_array_equal(order, shuffled(rows, key))


@given(rows, st.integers(0, 2**63 - 1))
def test_a_shuffle_does_not_depend_on_the_order_before(rows, key):
    np.testing.assert_array_equal(shuffled(rows[::-1], key), shuffled(rows, key))
    np.testing.assert_array_equal(
        shuffled(rows, key)[np.isin(shuffled(rows, key), rows[::2])], shuffled(rows[::2], key)
    )


def test_every_place_is_as_likely():
    places = np.array([np.flatnonzero(shuffled(np.arange(6), key) == 2)[0] for key in range(3000)])
    assert stats.chisquare(np.bincount(places, minlength=6)).pvalue > 1e-3
    firsts = np.array([shuffled(np.arange(6), key)[0] for key in range(3000)])
    assert stats.chisquare(np.bincount(firsts, minlength=6)).pvalue > 1e-3


@given(rows, st.integers(1, 20))
def test_batches_in_their_order_are_the_rows(rows, size):
    cut = list(batches(rows, size, whole=False))
    np.testing.assert_array_equal(np.concatenate([*cut, rows[:0]]), rows)
    assert all(len(batch) == size for batch in cut[:-1])


@given(rows, st.integers(1, 20))
def test_whole_batches_leave_out_a_last_one_that_is_not_full_unless_it_is_the_only_one(rows, size):
    cut = list(batches(rows, size, whole=True))
    full = [batch for batch in batches(rows, size, whole=False) if len(batch) == size]
    expected = full or ([rows] if len(rows) else [])
    assert len(cut) == len(expected)
    for one, other in zip(cut, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("whole", [True, False])
def test_no_rows_make_no_batch(whole):
    assert list(batches(np.empty(0, np.int64), 4, whole)) == []
