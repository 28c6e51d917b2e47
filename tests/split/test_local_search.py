"""The exchange of units: never worse, and exact where the answer is known."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from holotype.core.seeds import keyed_generator
from holotype.split.local_search import Balance, improve_balance


def uneven(balance: Balance, fold: np.ndarray) -> float:
    return balance.cost(balance.sums(fold))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_exchanging_never_makes_folds_less_even(seed, folds):
    generator = np.random.default_rng(seed)
    balance = Balance(sp.csr_array(generator.integers(0, 4, (40, 6)).astype(float)), generator.random(6), folds)
    before = generator.integers(0, folds, 40)
    after = improve_balance(balance, before, keyed_generator(seed, "test"))
    assert uneven(balance, after) <= uneven(balance, before) + 1e-9


def test_what_can_be_divided_evenly_is():
    sizes = np.array([8.0, 7, 6, 5, 4, 3, 2, 1])
    balance = Balance(sp.csr_array(sizes[:, None]), np.ones(1), 2)
    fold = improve_balance(balance, np.zeros(8, np.int64), keyed_generator(1, "test"))
    assert balance.sums(fold).ravel().tolist() == [18.0, 18.0]


def test_the_result_is_a_local_optimum_of_single_moves():
    generator = np.random.default_rng(4)
    balance = Balance(sp.csr_array(generator.integers(0, 9, (12, 3)).astype(float)), np.ones(3), 3)
    fold = improve_balance(balance, generator.integers(0, 3, 12), keyed_generator(1, "test"))
    for unit in range(12):
        for other in range(3):
            moved = fold.copy()
            moved[unit] = other
            assert uneven(balance, moved) >= uneven(balance, fold) - 1e-9
