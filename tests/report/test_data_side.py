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


def test_without_them_nothing_is_said(make):
    page = render_report(make())
    assert "Label errors" not in page
    assert "leaks into the test rows first" not in page
    assert "Score without some samples" not in page
