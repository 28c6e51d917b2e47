"""The section by rank: rows, lines and rings."""

from __future__ import annotations

import re
from dataclasses import replace

from holotype.report import render_report
from holotype.report.taxonomy import by_rank

CURVE = [{"coverage": 0.5, "accuracy": 1.0, "confidence": 0.9}, {"coverage": 1.0, "accuracy": 0.75, "confidence": 0.2}]
LEVELS = [
    {
        "rank": name,
        "classes": count,
        "accuracy": 0.75,
        "low": 0.6,
        "high": 0.85,
        "macro_f1": 0.7,
        "hierarchical_f1": 0.8,
        "curve": CURVE,
    }
    for name, count in (("class", 99), ("<genus>", 34))
]
BACKS = [
    {
        "rank": "class",
        "target": 0.9,
        "share": 0.6,
        "right": 0.95,
        "coverage": 0.6,
        "accuracy": 0.95,
        "low": 0.9,
        "high": 0.98,
    },
    {
        "rank": "<genus>",
        "target": 0.9,
        "share": 0.0,
        "right": None,
        "coverage": 0.6,
        "accuracy": 0.95,
        "low": None,
        "high": None,
    },
]


def with_ranks(make, backs=()):
    contents = make()
    return replace(contents, scorecard=replace(contents.scorecard, ranks=LEVELS, back_off=list(backs)))


def test_there_is_no_section_without_a_taxonomy(make):
    assert by_rank(make()) is None
    assert 'id="ranks"' not in render_report(make())


def test_each_rank_has_a_row_and_a_line(make):
    shown = by_rank(with_ranks(make))
    assert [row["name"] for row in shown["rows"]] == ["class", "<genus>"]
    assert shown["rows"][0]["between"] == "0.600 to 0.850"
    assert shown["plot"].count('class="line line-') == 2
    assert "ring" not in shown["plot"]


def test_the_surest_stand_left_and_more_accuracy_higher(make):
    plot = by_rank(with_ranks(make))["plot"]
    (left, high), (right, low) = [
        tuple(map(float, point.split())) for point in re.search(r' d="M([^"]+)"', plot)[1].split("L")
    ]
    assert left < right
    assert high < low


def test_answers_that_back_off_are_rings_and_rows(make):
    contents = with_ranks(make, BACKS)
    shown = by_rank(contents)
    assert shown["plot"].count('class="ring line-') == 1  # nobody was answered at the genus
    assert (shown["target"], shown["answered"][1]["right"], shown["answered"][1]["between"]) == ("90 %", "–", "")
    section = render_report(contents).split('id="ranks"')[1].split("</section>")[0]
    assert "Back-off to higher ranks" in section
    assert "&lt;genus&gt;" in section
    assert "<genus>" not in section
