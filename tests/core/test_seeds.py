"""Randomness that depends on what it is for and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from holotype.core.seeds import derive_seed, keyed_generator, keyed_uniforms

rows = st.lists(st.integers(0, 2**40), min_size=1, max_size=20, unique=True).map(lambda them: np.array(them, np.int64))


@given(st.integers(0, 2**63 - 1), st.lists(st.text() | st.integers(), max_size=4))
def test_a_seed_is_63_bits_wide_and_the_same_each_time(seed, purpose):
    derived = derive_seed(seed, *purpose)
    assert 0 <= derived < 2**63
    assert derived == derive_seed(seed, *purpose)


def test_seeds_of_different_purposes_differ():
    purposes = [(), ("a",), ("a", "b"), ("b", "a"), ("ab",), ("a", 1), ("a", "1"), ("a", 11), ("a", 1, 1)]
    seeds = {derive_seed(seed, *purpose) for seed in (1, 2) for purpose in purposes}
    assert len(seeds) == 2 * len(purposes)


def test_a_seed_stays_the_same_between_versions():
    assert derive_seed(17, "main", 0, "weights") == 5201988662601725291


def test_the_numbers_are_those_of_splitmix64():
    def finalised(bits: int) -> int:
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            bits = (bits ^ (bits >> shift)) * factor % 2**64
        return bits

    golden, key = 0x9E3779B97F4A7C15, derive_seed(3, "augmentation")
    for row in (0, 1, 65_537):
        stream = finalised(finalised((row * golden + key) % 2**64))
        expected = [(finalised((stream + draw * golden) % 2**64) >> 11) / 2**53 for draw in range(1, 5)]
        assert keyed_uniforms(key, np.array([row]), 4)[0].tolist() == expected


def test_a_generator_is_that_of_its_purpose():
    first, again, other = (keyed_generator(3, *purpose).random(4) for purpose in (("folds",), ("folds",), ("rest",)))
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, other).any()


@given(rows, st.integers(0, 2**63 - 1), st.integers(1, 9), st.randoms(use_true_random=False))
def test_the_numbers_of_a_row_do_not_depend_on_the_rows_beside_it(rows, key, draws, random):
    whole = keyed_uniforms(key, rows, draws)
    assert whole.shape == (len(rows), draws)
    order = random.sample(range(len(rows)), len(rows))
    np.testing.assert_array_equal(keyed_uniforms(key, rows[order], draws), whole[order])
    np.testing.assert_array_equal(keyed_uniforms(key, rows[:1], draws), whole[:1])
    np.testing.assert_array_equal(keyed_uniforms(key, rows, draws + 3)[:, :draws], whole)


@pytest.mark.parametrize("key", [0, 1, derive_seed(1, "augmentation"), 2**63 - 1])
def test_the_numbers_are_uniform_over_rows_over_draws_and_over_keys(key):
    by_row, by_draw = keyed_uniforms(key, np.arange(20_000), 2), keyed_uniforms(key, np.arange(2), 20_000)
    by_key = np.concatenate([keyed_uniforms(key // 2 + step, np.arange(1), 1)[:, 0] for step in range(5_000)])
    for numbers in (by_row[:, 0], by_row[:, 1], by_draw[0], by_draw[1], by_key):
        assert (numbers.min() >= 0, numbers.max() < 1) == (True, True)
        assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    for one, other in (by_row.T, by_draw, (by_row[1:, 0], by_row[:-1, 0]), (by_key[1:], by_key[:-1])):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_another_key_draws_other_numbers():
    one, other = (keyed_uniforms(key, np.arange(1000), 5) for key in (7, 8))
    assert not np.isin(one, other).any()
