"""The data of the charts inside the page: what is true of them, and what no name can do to them."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re

import numpy as np
import pytest

from holotype.report import render_report
from holotype.report.threshold_curves import curve_data, embedded_json

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "a\"b'\n\u202e\u2028\udc80",
    "]]>&amp;{{ 7 * 7 }}",
)


def data_of(text: str) -> dict:
    return json.loads(
        re.search(r'<script type="application/json" id="class-curves">(.*?)</script>', text, re.DOTALL)[1]
    )


def test_the_page_holds_the_curves_of_every_class_that_has_a_sample(make_charted):
    contents = make_charted(classes=5, models=1)
    data = data_of(render_report(contents))
    assert sorted(data["classes"]) == list("01234")
    own, one = contents.curves.of_class[2], data["classes"]["2"]
    np.testing.assert_allclose(np.array(one["t"]) / 100, own.threshold, atol=0.006)
    np.testing.assert_allclose(np.array(one["p"]) / 1000, own.precision, atol=0.0006)
    np.testing.assert_allclose(np.array(one["r"]) / 1000, own.recall, atol=0.0006)
    assert (one["yes"], one["no"]) == (own.positives.tolist(), own.others.tolist())
    assert one["decided"] == [round(contents.scorecard.classes[2][key], 4) for key in ("precision", "recall")]
    assert [data["classes"][number]["threshold"] for number in "01"] == [0.4, None]


def test_a_class_without_a_sample_has_no_curve_and_its_row_is_plain(make_charted):
    contents = make_charted(classes=3, models=1)
    contents.scorecard.classes[1].update(support=0, f1=None, recall=None)
    curves = list(contents.curves.of_class)
    nothing = np.empty(0)
    curves[1] = dataclasses.replace(
        curves[1], threshold=nothing, precision=nothing, recall=nothing, average_precision=np.nan
    )
    contents = dataclasses.replace(contents, curves=dataclasses.replace(contents.curves, of_class=tuple(curves)))
    text = render_report(contents)
    assert sorted(data_of(text)["classes"]) == ["0", "2"]
    assert '<tr data-class="1" class="faint">' in text


def test_every_script_of_the_page_is_allowed_by_its_digest_and_nothing_else_is(make_charted, make):
    text = render_report(make_charted(classes=3, models=1))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    assert len(scripts) == 3
    policy = re.search(r"script-src([^;]*);", text)[1]
    assert policy.split() == [f"'sha256-{digest}'" for digest in digests]
    assert len(re.findall("<script>", render_report(make(classes=3)))) == 1  # no library where nothing needs one


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_ends_the_data_or_begins_an_element(name):
    text = str(embedded_json({"name": name}))
    assert not set(text) & {"<", ">", "&"}
    assert text.isascii()
    assert json.loads(text) == {"name": name}


def test_hostile_classes_come_out_as_text_in_every_chart(make_charted):
    text = render_report(make_charted(classes=len(HOSTILE), classes_named=HOSTILE, kind="multilabel", models=1))
    assert text.count("<script") == 4  # ours, Vega's, that of the curves, and the data
    assert "<img src=x" not in text
    assert data_of(text)["classes"]["0"]["name"] == HOSTILE[0]
    assert "\u202e" not in text
    text.encode("utf-8")


def test_curves_of_other_classes_than_the_scores_are_not_shown(make_charted):
    contents = make_charted(classes=4, models=1)
    assert curve_data(contents.curves, contents.scorecard.classes[:3], [0, 1, 2]) is None
    assert curve_data(None, contents.scorecard.classes, [0]) is None
