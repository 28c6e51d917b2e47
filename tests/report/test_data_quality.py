"""What the audit found, as sections of a report and as a page of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from holotype.report import DatasetData, ReportData, render_audit, render_report
from holotype.report import data_quality as soundness
from holotype.types import IMAGE_PROBLEMS, LABEL_COOCCURRENCE, TRAIN_TEST_FEATURES, TRAIN_TEST_SIMILARITY

Make = Callable[..., ReportData]


@pytest.fixture
def flawed(make: Make) -> DatasetData:
    """Contents with something to say in every section."""
    contents = make(classes=5, kind="multilabel")
    names = contents.classes
    problems = pl.DataFrame(
        [
            (number, f"img_{number:05d}", "train", kind, f"detail {number}", "reported")
            for number, kind in enumerate(["empty"] * 3 + ["saturated"] * 70 + ["unreadable"])
        ],
        schema=IMAGE_PROBLEMS,
        orient="row",
    )
    class_links = pl.DataFrame(
        [(names[0], names[1], 40, 30, 0.75, 3.0), (names[1], names[0], 60, 30, 0.5, 3.0)],
        schema=LABEL_COOCCURRENCE,
        orient="row",
    )
    values = np.linspace(0.05, 0.95, 90)
    likeness = pl.DataFrame(
        [(f"img_{number:05d}", value, value > 0.7) for number, value in enumerate(values)],
        schema=TRAIN_TEST_SIMILARITY,
        orient="row",
    )
    separating = pl.DataFrame([("mean.0", 12.0, 0.81), ("<width>", 3.0, 0.6)], schema=TRAIN_TEST_FEATURES, orient="row")
    audit = replace(contents.audit, image_problems=problems, label_cooccurrence=class_links)
    warnings = ("An AUC of 0.64 tells them apart.",)
    folds = replace(contents.folds, train_test_similarity=likeness, train_test_features=separating, warnings=warnings)
    return replace(contents, audit=audit, folds=folds)


class Ids(HTMLParser):
    """The sections of a page, and what its navigation points at."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if given.get("id"):
            self.ids.add(str(given["id"]))
        if tag == "a" and str(given.get("href")).startswith("#"):
            self.targets.add(str(given["href"])[1:])


def only_the_data(contents: DatasetData) -> DatasetData:
    return DatasetData(**{part.name: getattr(contents, part.name) for part in fields(DatasetData)})


def test_an_audit_has_a_page_of_its_own_that_asks_nobody_for_anything(flawed: DatasetData) -> None:
    page = render_audit(only_the_data(flawed))
    seen = Ids(page)
    assert {"summary", "image-problems", "cooccurrence", "train-test", "duplicates", "folds"} <= seen.ids
    assert seen.targets <= seen.ids
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)
    assert "&lt;width&gt;" in page
    assert "An AUC of 0.64 tells them apart." in page


def test_a_report_shows_the_same_sections(flawed: DatasetData) -> None:
    page = render_report(flawed)  # type: ignore[arg-type]
    seen = Ids(page)
    assert {"score", "image-problems", "cooccurrence", "train-test", "duplicates", "run"} <= seen.ids
    assert seen.targets <= seen.ids


def test_sections_without_anything_to_say_are_left_out(make: Make) -> None:
    page = render_report(make())
    assert Ids(page).ids.isdisjoint({"image-problems", "cooccurrence", "train-test"})


def test_the_unreadable_come_first_and_the_rest_is_counted(flawed: DatasetData) -> None:
    found = soundness.image_problems(flawed)
    assert found["rows"][0]["problem"] == "unreadable"
    assert (len(found["rows"]), found["count"]) == (60, 74)
    assert dict(found["kinds"]) == {"saturated": 70, "empty": 3, "unreadable": 1}


def test_links_keep_the_order_of_the_classes_and_their_direction(flawed: DatasetData) -> None:
    found = soundness.label_cooccurrence(flawed)
    first, second = flawed.classes[:2]
    assert [(row["name"], row["other"], row["share"]) for row in found["strongest"]] == [
        (first, second, 0.75),
        (second, first, 0.5),
    ]
    assert f"{first} → {second}\n30 samples" in found["matrix"]
    assert (found["shown"], found["left_out"]) == (2, 0)


def test_a_histogram_keeps_its_order(flawed: DatasetData) -> None:
    found = soundness.train_test_likeness(flawed)
    assert found is not None
    spans = re.findall(r"<title>([0-9.]+) to", found["columns"])
    assert spans == sorted(spans)
    assert "samples of the holdout: 0.8" in found["words"]


def test_kinds_of_duplicates_are_told_by_the_roles_they_lie_across(make: Make) -> None:
    contents = make()
    clusters = pl.DataFrame(
        {
            "cluster": [0, 0, 1, 1, 2, 2, 2],
            "row": list(range(7)),
            "id": list("abcdefg"),
            "role": ["train", "train", "external", "test", "train", "train", "train"],
            "action": ["grouped", "grouped", "dropped", "reported", "grouped", "grouped", "kept"],
        }
    )
    audit = type(contents.audit)(clusters, contents.audit.conflicts, contents.audit.left_out)
    rows = soundness.duplicate_kinds(make(audit=audit))
    assert [(row["between"], row["sets"], row["images"], row["actions"]) for row in rows] == [
        ("external and test images", 1, 2, "dropped, reported"),
        ("training images", 2, 5, "grouped, kept"),
    ]
