"""Scores by rank, against scikit-learn and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from holotype.evaluation.metrics import (
    accuracy,
    accuracy_by_coverage,
    hierarchical_f1,
    hierarchical_scores,
    macro_f1,
    rank_labels,
    rank_scores,
)

# Four species, of which the first two are of one genus and the first three of one family.
GENUS, FAMILY = np.array([0, 0, 1, 2]), np.array([0, 0, 0, 1])
SPECIES = np.eye(4, dtype=bool)


def levels(side: np.ndarray) -> list[np.ndarray]:
    return [side, rank_labels(side, GENUS), rank_labels(side, FAMILY)]


def test_scores_of_taxa_are_sums_and_their_truth_is_that_of_their_classes():
    probability = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    np.testing.assert_allclose(rank_scores(probability, GENUS), [[0.3, 0.3, 0.4], [0.8, 0.1, 0.1]])
    np.testing.assert_allclose(rank_scores(probability, FAMILY), [[0.6, 0.4], [0.9, 0.1]])
    assert rank_labels(SPECIES, GENUS).tolist() == [
        [True, False, False],
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_scores_of_a_rank_are_those_of_scikit_learn_on_genera(pairs):
    truth, decided = (np.array(side) for side in zip(*pairs, strict=True))
    known, said = (rank_labels(SPECIES[side], GENUS) for side in (truth, decided))
    assert accuracy(known, said) == pytest.approx(accuracy_score(GENUS[truth], GENUS[decided]))
    present = np.unique(GENUS[truth])
    expected = f1_score(GENUS[truth], GENUS[decided], labels=present, average="macro", zero_division=0)
    assert macro_f1(known, said) == pytest.approx(expected)


def test_ancestors_of_a_near_miss_are_mostly_right():
    # Species 0 taken for 1: genus and family are right, 2 of 3. Species 2 taken for 0: the family is right, 1 of 3.
    # Species 3 taken for 0: nothing of 3. Species 1 found: 3 of 3. Together 6 of 12.
    truth, decided = SPECIES[[0, 2, 3, 1]], SPECIES[[1, 0, 0, 1]]
    assert hierarchical_scores(levels(truth), levels(decided)) == pytest.approx((0.5, 0.5, 0.5))
    assert hierarchical_f1(truth, decided, [GENUS, FAMILY]) == pytest.approx(0.5)


def test_an_answer_at_the_genus_is_precise_and_recalls_less():
    # Species 0 answered with its genus: two ancestors given, both right, of three. Species 3 without an answer.
    truth = levels(SPECIES[[0, 3]])
    given_taxa = [np.zeros((2, 4), bool), np.zeros((2, 3), bool), np.zeros((2, 2), bool)]
    given_taxa[1][0, 0] = given_taxa[2][0, 0] = True
    precision, recall, f1 = hierarchical_scores(truth, given_taxa)
    assert (precision, recall) == pytest.approx((1, 2 / 6))
    assert f1 == pytest.approx(2 * 2 / (2 + 6))


def test_shared_ancestors_count_once():
    # Two species of one genus and family are four ancestors, not six: the genus and the family are given once.
    given_both = levels(SPECIES[[0]] | SPECIES[[1]])
    precision, recall, _ = hierarchical_scores(levels(SPECIES[[0]]), given_both)
    assert (precision, recall) == pytest.approx((3 / 4, 1))


def test_nothing_given_has_a_recall_and_no_precision():
    precision, recall, f1 = hierarchical_scores(levels(SPECIES), levels(np.zeros((4, 4), bool)))
    assert np.isnan(precision)
    assert (recall, f1) == (0, 0)


def test_the_surest_are_answered_first_and_equals_together():
    steps = accuracy_by_coverage(np.array([0.5, 0.9, 0.5, 0.7]), np.array([True, True, False, False]))
    np.testing.assert_allclose(steps, [[0.25, 1, 0.9], [0.5, 0.5, 0.7], [1, 0.5, 0.5]])
    assert accuracy_by_coverage(np.empty(0), np.empty(0, bool)).shape == (0, 3)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=50))
def test_all_answered_is_the_plain_accuracy(answers):
    sure, right = np.array([one for one, _ in answers]) / 10, np.array([one for _, one in answers])
    steps = accuracy_by_coverage(sure, right)
    assert steps[-1, :2] == pytest.approx([1, right.mean()])
    assert (np.diff(steps[:, 0]) > 0).all()
    for coverage, accurate, least in steps:
        answered = sure >= least
        assert (answered.mean(), right[answered].mean()) == pytest.approx((coverage, accurate))
