"""How little a decision hangs on."""

from __future__ import annotations

import numpy as np
import pytest

from holotype.postprocessing.decision import confident_errors, decision_margin
from holotype.types import keep_top_k


def test_of_one_label_the_margin_lies_between_the_two_likeliest_classes() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.2], [0.1, 0.44, 0.46]], np.float32))
    margin, classes, sure = decision_margin(logits, "multiclass", ())
    np.testing.assert_allclose(margin, [0.2, 0.02], atol=1e-6)
    assert classes.tolist() == [[0, 1], [2, 1]]
    np.testing.assert_allclose(sure, [[0.5, 0.3], [0.46, 0.44]], atol=1e-6)


def test_of_many_labels_the_nearest_threshold_counts_by_log_odds() -> None:
    chances = np.array([[0.5, 0.02], [0.9, 0.03]])
    logits = np.log(chances / (1 - chances)).astype(np.float32)
    margin, classes, sure = decision_margin(logits, "multilabel", (0.7, 0.01))
    assert classes.tolist() == [
        [1],
        [1],
    ]  # 0.02 is further from 0.01 than 0.5 from 0.7 by odds, and nearer by difference
    assert sure[:, 0] == pytest.approx([0.02, 0.03])
    assert margin == pytest.approx(
        [np.log(0.02 / 0.98) - np.log(0.01 / 0.99), np.log(0.03 / 0.97) - np.log(0.01 / 0.99)]
    )


def test_scores_of_very_many_classes_give_the_same() -> None:
    logits = np.random.default_rng(2).normal(size=(5, 3000)).astype(np.float32) * 3
    for whole, few in zip(
        decision_margin(logits, "multiclass", ()), decision_margin(keep_top_k(logits), "multiclass", ()), strict=True
    ):
        np.testing.assert_allclose(whole, few, atol=1e-5)


def test_certainty_itself_is_no_error() -> None:
    margin, _, _ = decision_margin(np.array([[1000.0, -1000.0]], np.float32), "multilabel", (0.0, 1.0))
    assert np.isfinite(margin).all()


def test_one_class_alone_has_no_second() -> None:
    margin, classes, _ = decision_margin(np.zeros((2, 1), np.float32), "multiclass", ())
    assert classes.shape == (2, 1)
    assert margin.tolist() == [0.0, 0.0]


def test_a_mistake_is_as_sure_as_the_class_that_was_decided() -> None:
    chances = np.array([[0.34, 0.05, 0.33, 0.28], [0.1, 0.6, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1]])
    truth, decided = np.eye(4, dtype=bool)[[1, 0, 0]], np.eye(4, dtype=bool)[[0, 1, 0]]
    logits = np.log(chances).astype(np.float32)
    sure = confident_errors(truth, decided, logits, "multiclass")
    assert sure == pytest.approx(
        [0.34, 0.6, -1], abs=1e-6
    )  # 0.95 is how sure it is of "not class 1", which nobody decided
    assert confident_errors(truth, decided, keep_top_k(logits), "multiclass") == pytest.approx(sure, abs=1e-6)


def test_of_many_labels_the_added_one_counts_and_a_missed_one_where_none_was_added() -> None:
    chances = np.array([[0.9, 0.55, 0.02], [0.9, 0.55, 0.02], [0.4, 0.3, 0.1]])
    truth = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 0]], bool)
    decided = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]], bool)
    logits = np.log(chances / (1 - chances)).astype(np.float32)
    assert confident_errors(truth, decided, logits, "multilabel") == pytest.approx([0.55, 0.98, -1], abs=1e-6)
