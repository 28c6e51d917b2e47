"""What the audit found, as pictures: pairs, likely wrong labels, scores apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from holotype.report import LabelError, Pair, render_report

PIXELS = np.random.default_rng(1).integers(0, 256, (1, 40, 40)).astype(np.uint8)


def test_pairs_and_suspects_are_shown_and_escaped(make):
    contents = make()
    pair = Pair(("<a>", "b"), ("train", "test"), (("x",), ("y",)), "near", 0.93, "reported", (PIXELS, PIXELS))
    suspect = LabelError("<s>", ("x",), ("y",), 0.02, PIXELS)
    metrics = contents.scorecard.metrics
    card = replace(contents.scorecard, subsets={"without duplicates": metrics})
    page = render_report(replace(contents, pairs=(pair,), label_errors=(suspect,), scorecard=card))
    assert "&lt;a&gt;" in page
    assert "&lt;s&gt;" in page
    assert "<a>" not in page
    assert "near, reported" in page
    assert "Label errors" in page
    assert "without duplicates" in page


def test_the_number_of_label_errors_is_that_of_all_and_not_of_those_shown(make):
    contents = replace(make(), label_errors=(LabelError("s", ("x",), ("y",), 0.02, PIXELS),), label_error_count=1234)
    page = render_report(contents)
    assert "1,234 probable label errors (the first 1 are shown)" in page.replace("\u2009", ",").replace("&#8201;", ",")
    assert "1,234 in all; the first 1 are shown" in page
    page = render_report(replace(contents, label_error_count=1))
    assert "1 probable label error and" in page
    assert "are shown" not in page


def test_a_prediction_interval_names_the_size_of_its_test_set(make):
    contents = make()
    name, metric = next(iter(contents.scorecard.metrics.items()))

    def page_of(rows):
        interval = {**metric.prediction_interval, "rows": rows}
        metrics = {**contents.scorecard.metrics, name: replace(metric, prediction_interval=interval)}
        return render_report(replace(contents, scorecard=replace(contents.scorecard, metrics=metrics)))

    assert "A new test set of the same size like these" in page_of(metric.samples)
    assert "A new test set of 77 samples like these" in page_of(77)
    assert "It is at least as wide" in page_of(77)


def test_without_them_nothing_is_said(make):
    page = render_report(make())
    assert "Label errors" not in page
    assert "leaks into the test rows first" not in page
    assert "Score without some samples" not in page
