"""Sentences and words: what the numbers say, and how numbers are written."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from holotype.report import formatting as words
from holotype.report import render_report
from holotype.report.confusion_matrix import row_normalize
from holotype.report.folds_and_duplicates import fold_rows
from holotype.report.sections import score_by
from holotype.report.summary import frequent_confusions, next_steps, summarize


def test_the_most_frequent_confusion_stands_first_and_the_diagonal_is_none():
    counts = np.array([[50, 3, 0], [9, 40, 1], [0, 0, 60]])
    found = frequent_confusions(counts, row_normalize(counts), ("a", "b", "c"), 5)
    assert [(one.truth, one.decided, one.count) for one in found] == [("b", "a", 9), ("a", "b", 3), ("b", "c", 1)]
    assert found[0].share == pytest.approx(9 / 50)


def test_the_findings_name_the_weakest_class_the_confusion_and_the_spread(make):
    contents = make(classes=4)
    contents.scorecard.classes[2]["f1"] = 0.011
    groups = [
        {"column": "plate", "group": name, "samples": count, "value": value}
        for name, count, value in (("P1", 40, 0.5), ("P2", 40, 0.9), ("tiny", 1, 0.0))
    ]
    contents = dataclasses.replace(
        contents, scorecard=dataclasses.replace(contents.scorecard, groups=groups, domains=[])
    )
    shares = row_normalize(contents.counts)
    said = {
        one.question: " ".join(one.answers)
        for one in summarize(contents, frequent_confusions(contents.counts, shares, contents.classes, 3))
    }
    assert "Lowest F1: Phenotype 02 (F1 0.011)" in said["Weakest classes"]
    assert "is predicted as" in said["Weakest classes"]
    assert said["Variation between groups"] == "By plate: from 0.500 (P1, 40 samples) to 0.900 (P2, 40 samples)."
    assert "2 sets of duplicates with contradicting labels" in said["Worth checking"]


def test_next_steps_name_a_command_or_a_section_of_the_page(make):
    contents = make(classes=3)
    page = render_report(contents)
    steps = next_steps(
        contents, frequent_confusions(contents.counts, row_normalize(contents.counts), contents.classes, 3)
    )
    assert steps[-1].command == "holotype predict RUN IMAGES"
    assert any("most frequent confusion" in step.text for step in steps)
    assert all(f'id="{step.anchor}"' in page for step in steps if step.anchor)
    quiet = dataclasses.replace(
        contents, warnings=(), audit=dataclasses.replace(contents.audit, conflicts=contents.audit.conflicts.clear())
    )
    assert [step.command for step in next_steps(quiet, [])] == ["holotype predict RUN IMAGES"]


def test_groups_are_sorted_from_the_lowest_and_many_become_one_plot(make):
    contents = make(classes=3)
    domain, plate = score_by(contents)
    assert [row["name"] for row in domain["rows"]] == ["RPE1", "U2OS", "HeLa"]
    assert not domain["plot"]
    assert plate["plot"]
    assert plate["count"] == 67
    assert len(plate["rows"]) == 6
    assert [row["value"] for row in plate["rows"]] == sorted(row["value"] for row in plate["rows"])


def test_a_group_without_a_score_is_counted_and_not_drawn(make):
    contents = make(classes=3)
    groups = [
        {"column": "plate", "group": "a", "samples": 3, "value": None},
        {"column": "plate", "group": "b", "samples": 3, "value": 0.4},
    ]
    contents = dataclasses.replace(
        contents, scorecard=dataclasses.replace(contents.scorecard, groups=groups, domains=[])
    )
    (one,) = score_by(contents)
    assert (one["count"], one["left_out"]) == (1, 1)


def test_a_fold_names_the_class_that_differs_most(make):
    contents = make(classes=2, folds=2, fold_counts=np.array([[30, 10], [10, 30]]))
    rows = fold_rows(contents)
    assert [row["deviation"]["points"] for row in rows] == ["+25.0", "−25.0"]
    assert sum(row["images"] for row in rows) == contents.folds.frame["fold"].is_not_null().sum()


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.001, "<1 %"),
        (0.42, "42 %"),
        (0.9991, ">99 %"),
        (1.0, "100 %"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_a_percentage_never_rounds_to_certainty(share, text):
    assert words.percent(share) == text


@pytest.mark.parametrize(("value", "text"), [(0.73149, "0.731"), (None, "–"), (float("nan"), "–"), (-0.5, "−0.500")])
def test_scores_have_three_decimals_or_a_dash(value, text):
    assert words.format_score(value) == text


def test_unseen_characters_are_written_out_and_joiners_stay():
    assert words.escape_control("a\u202eb\nc\x07") == "a‹U+202E›b↵c‹U+0007›"
    assert words.escape_control("می\u200cخواهم") == "می\u200cخواهم"
    assert words.escape_control("a\nb", keep="\n") == "a\nb"
    assert words.truncate("abcdef", 4) == "abc…"
