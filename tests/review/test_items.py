"""Who is near the decision, and who comes first."""

from __future__ import annotations

import numpy as np
import pytest

from holotype.review.items import decision_margins, likeliest_classes
from holotype.types import Decision, keep_top_k


def test_with_one_label_the_margin_of_the_two_likeliest_counts() -> None:
    scores = np.log(np.array([[0.5, 0.4, 0.1], [0.34, 0.33, 0.33], [0.9, 0.05, 0.05]], np.float32))
    distance = decision_margins(scores, Decision("argmax", ("a", "b", "c"), "multiclass"))
    assert distance == pytest.approx(np.log([0.5 / 0.4, 0.34 / 0.33, 18]), abs=1e-5)
    of_few = decision_margins(keep_top_k(scores, 2), Decision("argmax", ("a", "b", "c"), "multiclass"))
    assert of_few == pytest.approx(distance, abs=1e-5)


def test_a_prior_moves_the_decision() -> None:
    scores = np.log(np.array([[0.6, 0.4]], np.float32))
    decision = Decision("prior", ("a", "b"), "multiclass", thresholds=(0.0, float(np.log(1.5))))
    assert decision_margins(scores, decision) == pytest.approx([0], abs=1e-6)


def test_with_many_labels_the_nearest_threshold_counts() -> None:
    scores = np.array([[0.0, 3.0], [-2.0, 2.0]], np.float32)
    assert decision_margins(scores, Decision("threshold", ("a", "b"), "multilabel")).tolist() == [0, 2]
    moved = Decision("per-class", ("a", "b"), "multilabel", thresholds=(0.5, 1 / (1 + np.exp(-2.0))))
    assert decision_margins(scores, moved) == pytest.approx([0, 0], abs=1e-6)


def test_the_likeliest_classes_hold_the_label_however_unlikely() -> None:
    scores = np.array([np.linspace(3, -3, 20)], np.float32)
    named = likeliest_classes(scores, 0, "multiclass", also=[19])
    assert [number for number, _ in named] == [0, 1, 2, 3, 4, 5, 19]
    of_few = dict(likeliest_classes(keep_top_k(scores, 8), 0, "multiclass", also=[3]))
    assert of_few[3] == pytest.approx(dict(named)[3], abs=1e-6)
    assert dict(likeliest_classes(scores, 0, "multilabel"))[0] == pytest.approx(1 / (1 + np.exp(-3)))
