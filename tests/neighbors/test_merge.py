from __future__ import annotations

import numpy as np
import pytest

from holotype.core.errors import DataError, HolotypeError
from holotype.neighbors import Neighbors, merge_neighbors, nearest


def test_specimens_are_pooled_by_hand() -> None:
    # model 0 knows specimens 10, 11, 12; model 1 knows 11, 12, 13
    first = Neighbors(np.array([[1, 0]]), np.float32([[0.8, 0.6]]))  # 11, 10
    second = Neighbors(np.array([[2, 1]]), np.float32([[0.9, 0.5]]))  # 13, 12
    pooled = merge_neighbors([first, second], [np.array([10, 11, 12]), np.array([11, 12, 13])])
    # 13: 0.9 by the one that knows it; 11: 0.8 and at most 0.5; 10: 0.6; 12: at most 0.6 and 0.5
    assert pooled.rows.tolist() == [[13, 11]]
    assert pooled.similarity[0] == pytest.approx([0.9, 0.65])


def test_equal_specimens_come_by_their_number_and_missing_places_say_nothing() -> None:
    first = Neighbors(np.array([[0, -1, -1], [-1, -1, -1]]), np.float32([[0.5, -np.inf, -np.inf], [-np.inf] * 3]))
    second = Neighbors(np.array([[0], [0]]), np.float32([[0.5], [0.25]]))
    pooled = merge_neighbors([first, second], [np.array([7, 8, 3]), np.array([3])])
    assert pooled.rows.tolist() == [[3, 7, -1], [3, -1, -1]]
    assert pooled.similarity[1].tolist() == [0.25, -np.inf, -np.inf]


def test_models_that_see_alike_name_what_one_index_of_all_names() -> None:
    generator = np.random.default_rng(1)
    keys, queries = (generator.standard_normal((count, 8)).astype(np.float32) for count in (90, 20))
    fold = np.arange(90) % 3
    known = [np.flatnonzero(fold != left_out) for left_out in range(3)]
    named = [nearest(queries, keys[own], 9) for own in known]
    whole = nearest(queries, keys, 4)
    pooled = merge_neighbors(named, known)
    assert np.array_equal(pooled.rows[:, :4], whole.rows)
    assert pooled.similarity[:, :4] == pytest.approx(whole.similarity, abs=1e-6)


def test_nobody_names_anything() -> None:
    empty = nearest(
        np.ones((2, 3), np.float32), np.ones((1, 3), np.float32), 2, forbidden=(np.zeros(2, int), np.zeros(1, int))
    )
    assert (merge_neighbors([empty, empty], [np.array([4]), np.array([5])]).rows == -1).all()


def test_lists_that_do_not_belong_together_are_refused() -> None:
    one = Neighbors(np.array([[0, 1]]), np.float32([[0.8, 0.6]]))
    with pytest.raises(DataError, match="do not match the keys"):
        merge_neighbors([one], [np.array([1, 2]), np.array([3])])
    with pytest.raises(DataError, match="do not match the keys"):
        merge_neighbors([], [])
    with pytest.raises(DataError, match="has no row 1"):
        merge_neighbors([one], [np.array([5])])
    with pytest.raises(DataError, match=r"2 keys \(1 distinct"):
        merge_neighbors([one], [np.array([5, 5])])
    with pytest.raises(HolotypeError, match="same shape"):
        Neighbors(np.zeros((1, 2), np.int64), np.zeros((1, 3), np.float32))
