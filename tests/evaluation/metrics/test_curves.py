"""Curves of a class's scores against scikit-learn's, and what is left of them after thinning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from holotype.evaluation.metrics import score_histogram, threshold_curve


def drawn(seed: int, samples: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    positive = draw.random(samples) < 0.2
    positive[0] = True
    return positive, np.round(draw.normal(positive * 1.5, 1.0), 6 if levels == 0 else 0)


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0, 1]))
def test_few_points_are_scikit_learns_own(seed, samples, levels):
    positive, score = drawn(seed, samples, levels)
    ours = threshold_curve(positive, score)
    precision, recall, threshold = precision_recall_curve(positive, score)
    np.testing.assert_allclose(ours.threshold, threshold)
    np.testing.assert_allclose(ours.precision, precision[:-1])  # the last is a point that no threshold has
    np.testing.assert_allclose(ours.recall, recall[:-1])
    assert ours.average_precision == pytest.approx(average_precision_score(positive, score))


@given(st.integers(0, 10_000), st.integers(2, 200))
def test_what_is_left_of_many_points_was_among_them_and_stays_close(seed, at_most):
    positive, score = drawn(seed, 3000, 0)
    ours = threshold_curve(positive, score, at_most)
    precision, recall, threshold = precision_recall_curve(positive, score)
    place = np.searchsorted(threshold, ours.threshold)
    np.testing.assert_allclose(threshold[place], ours.threshold)
    np.testing.assert_allclose(precision[place], ours.precision)
    np.testing.assert_allclose(recall[place], ours.recall)
    assert len(ours.threshold) <= at_most
    assert (place[0], place[-1]) == (0, len(threshold) - 1)
    assert ours.average_precision == pytest.approx(average_precision_score(positive, score))
    length = np.abs(np.diff(precision[:-1])).sum() + 2.0  # of recall and of rank at most one each
    nearest = place[np.clip(np.searchsorted(place, np.arange(len(threshold))), 0, len(place) - 1)]
    assert np.abs(precision[:-1] - precision[nearest]).max() <= length / (at_most - 1) + 1e-9


def test_a_class_without_a_sample_has_no_curve():
    ours = threshold_curve(np.zeros(5, bool), np.arange(5.0))
    assert len(ours.threshold) == 0
    assert np.isnan(ours.average_precision)


def test_a_histogram_counts_every_sample_once_also_those_outside():
    positive, score = np.array([True, True, False, False]), np.array([-9.0, 0.5, 0.5, 9.0])
    yes, no = score_histogram(positive, score, np.array([-1.0, 0.0, 1.0]))
    assert yes.tolist() == [1, 1]
    assert no.tolist() == [0, 2]
