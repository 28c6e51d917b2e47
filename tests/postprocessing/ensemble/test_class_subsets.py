"""Models that answer for some classes: what they know stands, the rest is what the others say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from holotype.postprocessing.ensemble import fill_missing_classes


def drawn(seed: int, rows: int, classes: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (rows, classes)).astype(np.float32)


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3))
def test_one_label_keeps_what_is_known_and_sums_to_one(seed: int, known: int, models: int) -> None:
    served = np.random.default_rng(seed).permutation(6)[:known]
    own = drawn(seed, 5, known + 1)
    others = [(drawn(seed + number + 1, 5, 6), None) for number in range(models)]
    whole = fill_missing_classes(own, served, others, 6, "multiclass")
    assert np.allclose(np.exp(whole).sum(axis=1), 1, atol=1e-5)
    assert np.allclose(whole[:, served], log_softmax(own, axis=1)[:, :known], atol=1e-5)


def test_the_share_of_none_of_these_is_divided_as_the_others_would() -> None:
    own = np.log(np.array([[0.2, 0.8]], np.float32))
    other = np.log(np.array([[0.5, 0.3, 0.2]], np.float32))
    whole = fill_missing_classes(own, np.array([0]), [(other, None)], 3, "multiclass")
    assert np.allclose(np.exp(whole), [[0.2, 0.8 * 0.6, 0.8 * 0.4]], atol=1e-6)


def test_many_labels_take_the_mean_of_those_who_know() -> None:
    own = np.array([[3.0]], np.float32)
    whole_model = np.array([[1.0, 2.0, 4.0]], np.float32)
    other_part = np.array([[6.0]], np.float32)
    others = [(whole_model, None), (other_part, np.array([2]))]
    whole = fill_missing_classes(own, np.array([1]), others, 3, "multilabel")
    assert np.allclose(whole, [[1.0, 3.0, 5.0]])


def test_a_class_that_nobody_knows_is_even() -> None:
    lone = fill_missing_classes(np.array([[2.0]], np.float32), np.array([0]), [], 3, "multilabel")
    assert lone.tolist() == [[2.0, 0.0, 0.0]]
    one = fill_missing_classes(np.zeros((1, 2), np.float32), np.array([1]), [], 3, "multiclass")
    assert np.allclose(softmax(one, axis=1), [[0.25, 0.5, 0.25]])
