"""Learning rates and rate finders as drawings, and what was run as a table."""

from __future__ import annotations

from xml.etree import ElementTree

import polars as pl
import pytest

from holotype.report import Provenance, StepFacts, render_report
from holotype.report.learning_rate import finder_charts, rate_chart
from holotype.report.provenance import duration, provenance


def paths(drawing: str) -> list[str]:
    return [node.get("d") for node in ElementTree.fromstring(drawing).iter() if node.tag.endswith("path")]


def test_the_rate_is_drawn_step_by_step_where_the_history_holds_the_steps():
    history = pl.DataFrame({"lr": [0.1, 0.2], "rates": [[0.05, 0.1, 0.1, 0.1], [0.2, 0.3, 0.2, 0.2]]})
    assert paths(rate_chart({"fold0": history}, "rate"))[0].count("L") == 7
    assert paths(rate_chart({"fold0": history.drop("rates")}, "rate"))[0].count("L") == 1  # of a run before that
    assert rate_chart({"fold0": pl.DataFrame({"epoch": [1]})}, "rate") == ""


def test_a_rate_finder_shows_its_curve_and_what_it_chose(make_charted):
    contents = make_charted(classes=3)
    chart = finder_charts(contents.finders, "b0")[0]
    assert (chart["label"], chart["rates"], chart["folds"]) == ("Rate finder, phase 1", "0.002", ["fold0"])
    assert len(paths(str(chart["svg"]))) == 2
    assert finder_charts(contents.finders, "b1") == []
    text = render_report(contents)
    assert "Rate finder, phase 1" in text
    assert ">rate<" in text
    assert ">epoch<" in text


def test_what_was_run_names_the_command_and_each_step_with_time_and_memory(make_charted):
    text = render_report(make_charted(classes=3))
    for words in (
        "holotype run &#39;a b.yaml&#39;",
        "fit b0 0",
        "from cache",
        "900 MB",
        "2.0 s",
        "1 min 30 s",
        "a1b2a1b2",
    ):
        assert words in text


def test_steps_that_nobody_measured_are_still_named():
    shown = provenance(Provenance({}, (StepFacts("images", "reused", 0.0), StepFacts("fit", "resumed", 5.0))))
    assert [(row["state"], row["time"], row["memory"]) for row in shown["rows"]] == [
        ("from cache", "", ""),
        ("resumed", "5.0 s", ""),
    ]
    assert (shown["made"], shown["reused"], shown["largest"]) == (1, 1, "")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (42.4, "42 s"), (100, "1 min 40 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_times_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words
