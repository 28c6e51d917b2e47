"""Metrics drawn sample by sample, against scikit-learn and their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import top_k_accuracy_score

from holotype.evaluation.metrics import (
    ScoredSamples,
    bootstrap_intervals,
    calibration_error,
    calibration_table,
    resample_groups,
    top_5_accuracy,
)

RANDOM = np.random.default_rng(1)
LOGITS = RANDOM.normal(0, 2, (600, 8)).astype(np.float32)
LABELS = RANDOM.integers(0, 8, 600)
TRUTH = np.eye(8, dtype=bool)[LABELS]


def test_the_five_likeliest_are_scikit_learns() -> None:
    expected = top_k_accuracy_score(LABELS, LOGITS, k=5)
    assert top_5_accuracy(TRUTH, LOGITS, "multiclass")[0] == pytest.approx(expected)


def test_weights_are_repetitions() -> None:
    weights = RANDOM.integers(0, 3, (4, 600))
    for metric in (top_5_accuracy, calibration_error):
        drawn = metric(TRUTH, LOGITS, "multiclass", weights)
        for draw, row in zip(drawn, weights, strict=True):
            again = np.repeat(np.arange(600), row)
            assert draw == pytest.approx(metric(TRUTH[again], LOGITS[again], "multiclass")[0])


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_the_calibration_error_is_the_mean_distance_of_the_reliability_plot(kind: str) -> None:
    said, true, number = calibration_table(TRUTH, LOGITS, kind).T
    known = number > 0
    expected = (np.abs(said - true)[known] * number[known]).sum() / number.sum()
    assert calibration_error(TRUTH, LOGITS, kind)[0] == pytest.approx(expected)


def test_honest_scores_have_hardly_an_error() -> None:
    logits = RANDOM.normal(0, 2, (20_000, 2)).astype(np.float32)
    truth = RANDOM.random(logits.shape) < expit(logits)
    assert calibration_error(truth, logits, "multilabel")[0] < 0.01
    assert calibration_error(truth, 3 * logits, "multilabel")[0] > 0.05


def test_intervals_hold_the_value() -> None:
    judged = ScoredSamples(TRUTH, TRUTH, LOGITS, "multiclass")
    draws = resample_groups(TRUTH, np.arange(600) // 10, 1)
    found = bootstrap_intervals(["top_5_accuracy", "calibration_error"], judged, draws)
    for metric in found.values():
        assert metric.low <= metric.value <= metric.high
        assert metric.prediction_interval["low"] <= metric.low
