"""What the audit found, as sections of a report and as a page of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from holotype.report import DataContents, ReportContents, render_audit, render_report, soundness
from holotype.types import CLASS_LINKS, LIKENESS, PROBLEMS, SEPARATING

Make = Callable[..., ReportContents]


@pytest.fixture
def flawed(make: Make) -> DataContents:
    """Contents with something to say in every section."""
    contents = make(classes=5, kind="multilabel")
    names = contents.classes
    problems = pl.DataFrame(
        [(number, f"img_{number:05d}", "train", kind, f"detail {number}", "reported")
         for number, kind in enumerate(["empty"] * 3 + ["saturated"] * 70 + ["unreadable"])],
        schema=PROBLEMS, orient="row",
    )  # fmt: skip
    class_links = pl.DataFrame(
        [(names[0], names[1], 40, 30, 0.75, 3.0), (names[1], names[0], 60, 30, 0.5, 3.0)],
        schema=CLASS_LINKS, orient="row",
    )  # fmt: skip
    values = np.linspace(0.05, 0.95, 90)
    likeness = pl.DataFrame(
        [(f"img_{number:05d}", value, value > 0.7) for number, value in enumerate(values)],
        schema=LIKENESS,
        orient="row",
    )
    separating = pl.DataFrame([("mean.0", 12.0, 0.81), ("<width>", 3.0, 0.6)], schema=SEPARATING, orient="row")
    audit = replace(contents.audit, problems=problems, class_links=class_links)
    warnings = ("An AUC of 0.64 tells them apart.",)
    folds = replace(contents.folds, likeness=likeness, separating=separating, warnings=warnings)
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


def only_the_data(contents: DataContents) -> DataContents:
    return DataContents(**{part.name: getattr(contents, part.name) for part in fields(DataContents)})


def test_an_audit_has_a_page_of_its_own_that_asks_nobody_for_anything(flawed: DataContents) -> None:
    page = render_audit(only_the_data(flawed))
    seen = Ids(page)
    assert {"found", "faults", "links", "likeness", "duplicates", "folds"} <= seen.ids
    assert seen.targets <= seen.ids
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)
    assert "&lt;width&gt;" in page
    assert "An AUC of 0.64 tells them apart." in page


def test_a_report_shows_the_same_sections(flawed: DataContents) -> None:
    page = render_report(flawed)  # type: ignore[arg-type]
    seen = Ids(page)
    assert {"score", "faults", "links", "likeness", "duplicates", "run"} <= seen.ids
    assert seen.targets <= seen.ids


def test_sections_without_anything_to_say_are_left_out(make: Make) -> None:
    page = render_report(make())
    assert Ids(page).ids.isdisjoint({"faults", "links", "likeness"})


def test_the_unreadable_come_first_and_the_rest_is_counted(flawed: DataContents) -> None:
    found = soundness.faults(flawed)
    assert found["rows"][0]["problem"] == "unreadable"
    assert (len(found["rows"]), found["count"]) == (60, 74)
    assert dict(found["kinds"]) == {"saturated": 70, "empty": 3, "unreadable": 1}


def test_links_keep_the_order_of_the_classes_and_their_direction(flawed: DataContents) -> None:
    found = soundness.links(flawed)
    first, second = flawed.classes[:2]
    assert [(row["name"], row["other"], row["share"]) for row in found["strongest"]] == [
        (first, second, 0.75), (second, first, 0.5),
    ]  # fmt: skip
    assert f"{first} → {second}\n30 samples" in found["heat"]
    assert (found["shown"], found["left_out"]) == (2, 0)


def test_a_histogram_keeps_its_order(flawed: DataContents) -> None:
    found = soundness.likeness(flawed)
    assert found is not None
    spans = re.findall(r"<title>([0-9.]+) to", found["columns"])
    assert spans == sorted(spans)
    assert "samples have a median of 0.8" in found["words"]


def test_kinds_of_duplicates_are_told_by_the_roles_they_lie_across(make: Make) -> None:
    contents = make()
    clusters = pl.DataFrame({
        "cluster": [0, 0, 1, 1, 2, 2, 2], "row": list(range(7)), "id": list("abcdefg"),
        "role": ["train", "train", "external", "test", "train", "train", "train"],
        "action": ["grouped", "grouped", "dropped", "reported", "grouped", "grouped", "kept"],
    })  # fmt: skip
    audit = type(contents.audit)(clusters, contents.audit.conflicts, contents.audit.left_out)
    rows = soundness.duplicate_kinds(make(audit=audit))
    assert [(row["between"], row["sets"], row["images"], row["actions"]) for row in rows] == [
        ("external and test images", 1, 2, "dropped, reported"), ("training images", 2, 5, "grouped, kept"),
    ]  # fmt: skip
