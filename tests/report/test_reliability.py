"""Reliability and the models, as the report shows them."""

from __future__ import annotations

import re

import numpy as np

from holotype.report import EnsembleData, render_report
from holotype.report.reliability import ensemble_table, reliability

PARTS = np.array([[0.1, 0.05, 40.0], [np.nan, np.nan, 0.0], [0.9, 0.6, 160.0]])


def test_scores_that_are_too_sure_are_called_too_high(make):
    shown = reliability(make(reliability=PARTS))
    assert shown["count"] == 200
    assert shown["words"] == "On average, the probabilities are 25 percentage points too high"
    assert shown["error"] == "0.250"
    assert shown["plot"].count("<circle") == 2  # a part without a score is not drawn


def test_a_larger_dot_rests_on_more_scores_and_right_is_up(make):
    plot = reliability(make(reliability=PARTS))["plot"]
    dots = [tuple(map(float, found)) for found in re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', plot)]
    (left, low, small), (right, high, large) = dots
    assert left < right
    assert low > high
    assert small < large


def test_nothing_is_shown_of_no_scores_and_of_one_model(make):
    assert reliability(make()) is None
    assert ensemble_table(make()) is None
    assert ensemble_table(make(ensemble=EnsembleData("mean", {"alone": 1.0}))) is None
    page = render_report(make())
    assert "How models become one" not in page
    assert "<h2>Calibration</h2>" not in page


def test_weights_parts_pairs_and_columns_stand_on_the_page(make):
    pair = {
        "first": "a",
        "second": "<b>",
        "disagreement": 0.25,
        "correlation": 0.5,
        "loss_first": 0.4,
        "loss_second": 0.6,
        "loss_mean": 0.35,
    }
    importance = {f"column {number}": (20 - number) / 210 for number in range(20)}
    made = EnsembleData("weighted", {"a": 0.75, "<b>": 0.25}, {"HeLa": {"a": 1.0, "<b>": 0.0}}, importance, (pair,))
    page = render_report(make(ensemble=made))
    for words in ("75 %", "HeLa", "0.350", "column 11", "8 smaller ones are left out", "&lt;b&gt;"):
        assert words in page
    assert "column 12" not in page
    assert "<b>," not in page.split('id="models"')[1].split("</section>")[0].replace("<bdi>", "")
