"""The chance level against scikit-learn's dummy classifiers, and what a page says of a model that only guesses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score, f1_score

from holotype.report import LabelError, ReportData, render_report
from holotype.report.chance import chance_level, chance_warning, is_chance

Make = Callable[..., ReportData]
LABELS = np.repeat([0, 1, 2], [6000, 3000, 1000])
PIXELS = np.zeros((1, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        ("accuracy", accuracy_score),
        ("micro_f1", lambda truth, decided: f1_score(truth, decided, average="micro")),
        ("macro_f1", lambda truth, decided: f1_score(truth, decided, average="macro")),
        ("balanced_accuracy", balanced_accuracy_score),
    ],
)
def test_the_chance_level_is_the_better_of_two_dummy_classifiers(metric: str, score: Any) -> None:
    images = np.zeros((len(LABELS), 1))
    dummies = [DummyClassifier(strategy=name, random_state=3) for name in ("most_frequent", "stratified")]
    best = max(score(LABELS, dummy.fit(images, LABELS).predict(images)) for dummy in dummies)
    assert chance_level(metric, "multiclass", [6000, 3000, 1000, 0], len(LABELS)) == pytest.approx(best, abs=0.015)


def test_the_chance_level_of_several_labels_is_that_of_predicting_all() -> None:
    truth = np.random.default_rng(1).random((4000, 3)) < [0.6, 0.3, 0.05]
    supports, everything = truth.sum(axis=0).tolist(), np.ones_like(truth)
    for metric, average in (("macro_f1", "macro"), ("micro_f1", "micro")):
        expected = f1_score(truth, everything, average=average)
        assert chance_level(metric, "multilabel", supports, len(truth)) == pytest.approx(expected)
    expected = average_precision_score(truth, np.zeros(truth.shape), average="macro")
    assert chance_level("map", "multilabel", supports, len(truth)) == pytest.approx(expected)
    assert chance_level("log_loss", "multilabel", supports, len(truth)) is None


def with_low(contents: ReportData, low: float) -> ReportData:
    metrics = contents.scorecard.metrics
    metric = replace(metrics["macro_f1"], low=low)
    return replace(contents, scorecard=replace(contents.scorecard, metrics={**metrics, "macro_f1": metric}))


def test_a_model_that_only_guesses_is_called_so_and_its_label_errors_are_few(make: Make) -> None:
    suspects = tuple(LabelError(f"suspect{n}", ("x",), ("y",), 0.02, PIXELS) for n in range(20))
    good = replace(with_low(make(classes=4), 0.26), label_errors=suspects)
    assert not is_chance(good)
    assert chance_warning(good) is None
    page = render_report(good)
    assert (page.count('alt="suspect'), "not better than chance" in page) == (20, False)
    assert "Check the 20 probable label errors" in page
    page = render_report(with_low(good, 0.25))
    assert page.count('alt="suspect') == 6
    assert "There are 20 in all; the first 6 are shown." in page
    assert "includes 0.250, which guessing by class frequency reaches." in page
    assert "most of these suspicions are probably wrong" in page
    assert "Check the 20 probable label errors" not in page


def test_two_intervals_that_read_the_same_are_shown_once(make: Make) -> None:
    contents = make(classes=4)
    metrics = contents.scorecard.metrics
    metric = metrics["macro_f1"]
    same = replace(metric, prediction_interval={"low": metric.low + 1e-5, "high": metric.high, "rows": 12})
    page = render_report(
        replace(contents, scorecard=replace(contents.scorecard, metrics={**metrics, "macro_f1": same}))
    )
    assert "<dt>95&nbsp;% confidence and prediction interval <b>" in page
    assert "the score of a new test set of 12 samples." in page
    assert page.count("<dt>95") == 1
    assert render_report(contents).count("<dt>95") == 2
