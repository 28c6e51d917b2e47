"""Links between classes against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from holotype.evaluation import confused_pairs, cooccurring_pairs


def test_two_classes_are_linked_by_the_larger_share_of_either_that_went_to_the_other():
    counts = np.array([[90, 4, 1], [10, 5, 0], [0, 0, 20]])
    links = confused_pairs(counts, counts.sum(axis=1))
    assert [(one.first, one.second, one.forward, one.backward) for one in links] == [(0, 1, 4, 10)]
    assert links[0].strength == pytest.approx(10 / (15 + 5))  # five samples are added, against classes of one or two


def test_single_samples_and_classes_that_nobody_counted_are_no_link():
    assert confused_pairs(np.array([[9, 1], [0, 9]]), np.array([10, 9])) == []
    assert confused_pairs(np.zeros((0, 0), np.int64), np.empty(0, np.int64)) == []


def test_only_so_many_links_are_given_and_the_strongest_of_them():
    draw = np.random.default_rng(3)
    counts = draw.integers(0, 30, (50, 50))
    links = confused_pairs(counts, counts.sum(axis=1), max_pairs=20)
    every = confused_pairs(counts, counts.sum(axis=1), max_pairs=10_000)
    assert links == every[:20]
    assert [one.strength for one in every] == sorted((one.strength for one in every), reverse=True)


def test_labels_that_come_together_are_linked_by_their_correlation():
    draw = np.random.default_rng(5)
    truth = draw.random((4000, 4)) < 0.2
    truth[:, 1] |= truth[:, 0] & (draw.random(4000) < 0.6)
    links = cooccurring_pairs(truth)
    assert (links[0].first, links[0].second) == (0, 1)
    assert links[0].strength == pytest.approx(np.corrcoef(truth[:, 0], truth[:, 1])[0, 1])
    assert links[0].forward == links[0].backward == int((truth[:, 0] & truth[:, 1]).sum())
    assert links[0].expected == pytest.approx(truth[:, 0].sum() * truth[:, 1].sum() / 4000)


def test_labels_that_know_nothing_of_each_other_are_hardly_ever_linked():
    truth = np.random.default_rng(8).random((3000, 30)) < 0.1
    assert len(cooccurring_pairs(truth)) < 0.06 * 30 * 29 / 2
