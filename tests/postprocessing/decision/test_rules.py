"""From scores to labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import logit

from holotype.evaluation.metrics import probabilities
from holotype.postprocessing.decision import above_thresholds, argmax_labels, default_labels

SCORES = arrays.arrays(
    np.float32, st.tuples(st.integers(0, 6), st.integers(1, 5)), elements=st.floats(-30, 30, width=32)
)


def test_of_equals_the_first_is_the_likeliest() -> None:
    decided = argmax_labels(np.array([[1, 3, 3], [2, 2, 2], [0, 1, 5]], np.float32))
    assert decided.argmax(axis=1).tolist() == [1, 0, 2]
    assert decided.sum(axis=1).tolist() == [1, 1, 1]


@given(SCORES)
def test_one_label_a_sample_is_one_of_the_largest_scores(scores: np.ndarray) -> None:
    decided = argmax_labels(scores)
    assert decided.shape == scores.shape
    assert (decided.sum(axis=1) == 1).all()
    assert (scores[decided] == scores.max(axis=1, initial=-np.inf)).all()


def test_a_probability_must_lie_strictly_above_its_threshold() -> None:
    thresholds = np.array([0.5, 0.5, 0.2, 0.2])
    scores = np.array([[0.0, 1e-6, float(logit(0.2)) - 1e-3, float(logit(0.2)) + 1e-3]], np.float32)
    assert above_thresholds(scores, thresholds, "none").tolist() == [[False, True, False, True]]


def test_a_threshold_of_one_lets_nothing_in_and_of_zero_everything() -> None:
    scores = np.array([[-50.0, 50.0]], np.float32)
    assert above_thresholds(scores, np.array([1.0, 1.0]), "none").tolist() == [[False, False]]
    assert above_thresholds(scores, np.array([0.0, 0.0]), "none").tolist() == [[True, True]]


def test_the_fallback_is_for_samples_without_a_label_alone() -> None:
    scores = np.array([[-3, -1, -2], [-3, 2, 3], [-1, -1, -5]], np.float32)
    half = np.full(3, 0.5)
    assert above_thresholds(scores, half, "argmax").tolist() == [
        [False, True, False],
        [False, True, True],
        [True, False, False],
    ]
    assert above_thresholds(scores, half, "none").sum(axis=1).tolist() == [0, 2, 0]


def test_a_likeliest_class_below_its_own_threshold_is_not_added_to_others() -> None:
    scores, thresholds = np.array([[1.0, 0.5]], np.float32), np.array([0.9, 0.5])
    assert above_thresholds(scores, thresholds, "argmax").tolist() == [[False, True]]


@given(SCORES, st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_with_the_fallback_no_sample_is_left_without_a_label(scores: np.ndarray, limits: list[float]) -> None:
    thresholds = np.array(limits[: scores.shape[1]])
    with_fallback, without = (above_thresholds(scores, thresholds, rule) for rule in ("argmax", "none"))
    assert with_fallback.any(axis=1).all()
    assert (with_fallback >= without).all()
    assert (with_fallback == without)[without.any(axis=1)].all()


def test_where_nothing_was_fitted_one_label_is_the_likeliest_and_many_lie_above_one_half() -> None:
    scores = np.array([[-1, -2, -3], [1, 2, -3]], np.float32)
    assert default_labels(scores, "multiclass").tolist() == [[True, False, False], [False, True, False]]
    assert default_labels(scores, "multilabel").tolist() == [[True, False, False], [True, True, False]]


@given(SCORES)
def test_probabilities_of_one_label_sum_to_one_and_of_many_stand_alone(scores: np.ndarray) -> None:
    one, many = probabilities(scores, "multiclass"), probabilities(scores, "multilabel")
    assert one.sum(axis=1) == pytest.approx(np.ones(len(scores)))
    np.testing.assert_allclose(many, 1 / (1 + np.exp(-scores.astype(np.float64))), rtol=1e-9)
    assert one.dtype == many.dtype == np.float64
