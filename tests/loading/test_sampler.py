"""The order of rows: a permutation, keyed, cut into batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from holotype.loading import add_pseudo_labeled, batches, sample_epoch, shuffle

rows = st.lists(st.integers(0, 10_000), max_size=50, unique=True).map(lambda them: np.array(them, np.int64))


@given(rows, st.integers(0, 2**63 - 1))
def test_a_shuffle_is_a_permutation_that_its_key_decides(rows, key):
    order = shuffle(rows, key)
    assert sorted(order) == sorted(rows)
    np.testing.assert_array_equal(order, shuffle(rows, key))


@given(rows, st.integers(0, 2**63 - 1))
def test_a_shuffle_does_not_depend_on_the_order_before(rows, key):
    np.testing.assert_array_equal(shuffle(rows[::-1], key), shuffle(rows, key))
    np.testing.assert_array_equal(shuffle(rows, key)[np.isin(shuffle(rows, key), rows[::2])], shuffle(rows[::2], key))


def test_every_place_is_as_likely():
    places = np.array([np.flatnonzero(shuffle(np.arange(6), key) == 2)[0] for key in range(3000)])
    assert stats.chisquare(np.bincount(places, minlength=6)).pvalue > 1e-3
    firsts = np.array([shuffle(np.arange(6), key)[0] for key in range(3000)])
    assert stats.chisquare(np.bincount(firsts, minlength=6)).pvalue > 1e-3


@given(rows, st.integers(1, 20))
def test_batches_in_their_order_are_the_rows(rows, size):
    cut = list(batches(rows, size, drop_last=False))
    np.testing.assert_array_equal(np.concatenate([*cut, rows[:0]]), rows)
    assert all(len(batch) == size for batch in cut[:-1])


@given(rows, st.integers(1, 20))
def test_whole_batches_leave_out_a_last_one_that_is_not_full_unless_it_is_the_only_one(rows, size):
    cut = list(batches(rows, size, drop_last=True))
    full = [batch for batch in batches(rows, size, drop_last=False) if len(batch) == size]
    expected = full or ([rows] if len(rows) else [])
    assert len(cut) == len(expected)
    for one, other in zip(cut, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("whole", [True, False])
def test_no_rows_make_no_batch(whole):
    assert list(batches(np.empty(0, np.int64), 4, whole)) == []


# ---- rows of rare classes more often


def labels_of(counts: list[int]) -> np.ndarray:
    """One label a row, in blocks of classes."""
    return np.repeat(np.eye(len(counts), dtype=bool), counts, axis=0)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 2**63 - 1))
def test_a_balanced_epoch_has_every_class_equally_often_and_is_as_long(counts, key):
    truth = labels_of(counts)
    drawn = sample_epoch(np.arange(len(truth)), truth, "balanced", key)
    assert len(drawn) == len(truth)
    seen = truth[drawn[:, 0]].sum(axis=0)
    assert np.abs(seen - len(truth) / len(counts)).max() <= max(counts) + 1e-9  # at most one more or less of each row
    assert np.abs(seen - len(truth) / len(counts)).mean() <= len(truth) / 4 + 1


def test_the_square_root_lies_between():
    truth = labels_of([900, 100])
    shares = {
        rule: truth[sample_epoch(np.arange(1000), truth, rule, 5)[:, 0], 1].mean()
        for rule in ("shuffle", "sqrt", "balanced")
    }
    assert shares == pytest.approx({"shuffle": 0.1, "sqrt": 0.25, "balanced": 0.5}, abs=0.02)


@given(rows, st.sampled_from(["shuffle", "balanced", "sqrt", {"cap": 3}]), st.integers(0, 2**63 - 1))
def test_a_row_drawn_again_knows_how_often_it_came(rows, rule, key):
    truth = np.eye(3, dtype=bool)[rows % 3]
    drawn = sample_epoch(rows, truth, rule, key)
    seen = {}
    for row, before in drawn.tolist():
        assert before == seen.get(row, 0)
        seen[row] = before + 1
    np.testing.assert_array_equal(drawn, sample_epoch(rows, truth, rule, key))


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(0, 2**63 - 1))
def test_a_cap_takes_no_row_twice_and_rare_classes_whole(seed, most, key):
    truth = np.random.default_rng(seed).random((60, 4)) < [0.7, 0.3, 0.1, 0.02]
    drawn = sample_epoch(np.arange(60), truth, {"cap": most}, key)
    assert drawn[:, 1].max(initial=0) == 0
    kept = truth[drawn[:, 0]].sum(axis=0)
    assert (kept >= np.minimum(truth.sum(axis=0), most)).all()
    one_label = labels_of([50, 20, 3])
    counts = one_label[sample_epoch(np.arange(73), one_label, {"cap": most}, key)[:, 0]].sum(axis=0)
    assert counts.tolist() == [min(most, count) for count in (50, 20, 3)]


@given(st.integers(1, 30), st.integers(0, 20), st.floats(0.1, 1.0), st.floats(0.0, 1.0), st.integers(0, 99))
def test_an_epoch_is_as_long_however_many_rows_have_joined(
    rows: int, others: int, weight: float, share: float, key: int
) -> None:
    labelled, pseudo = np.arange(rows), 100 + np.arange(others)
    most = round(weight * others)
    made = add_pseudo_labeled(labelled, pseudo, most, share, key)
    assert len(made) == rows + most
    assert np.array_equal(made[:rows], labelled)
    came = made[made >= 100]
    assert len(came) == len(np.unique(came)) == round(share * most)
    order = sample_epoch(made, np.zeros((len(made), 1), bool), "shuffle", key)
    assert sorted(order[:, 0].tolist()) == sorted(made.tolist())
    assert len(np.unique(order, axis=0)) == len(made)  # a second time is drawn anew
