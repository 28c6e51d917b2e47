"""Labels as people write them: one-hot columns with -1 and blanks, lists in cells, sheets of Excel."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from openpyxl import Workbook
from tests.inspect.conftest import Bench

from holotype.core.errors import DataError
from holotype.data import read_images
from holotype.inspect.inspect_folder import inspect_folder
from holotype.inspect.propose import propose
from holotype.recipe.load import load_recipe

FINDINGS = ("No Finding", "Lung Opacity", "Lung Lesion", "Edema")


def chexpert(bench: Bench, values: tuple[str, ...]) -> None:
    """Rows as CheXpert's: Path, Sex, Age, view, then a column for each finding with 1, 0, -1 or nothing."""
    rows = []
    for number in range(24):
        flags = [values[(number * 7 + column * 3 + number * column) % len(values)] for column in range(len(FINDINGS))]
        view = "Frontal,AP" if number % 3 else "Lateral,"
        rows.append(
            f"images/i{number}.png,{'Female' if number % 2 else 'Male'},{40 + number % 9},{view},{','.join(flags)}"
        )
    bench.images(*(f"images/i{number}.png" for number in range(24)))
    bench.table("train.csv", f"Path,Sex,Age,Frontal/Lateral,AP/PA,{','.join(FINDINGS)}", rows)


def test_columns_of_findings_are_many_labels_and_uncertain_and_blank_cells_are_asked_about(bench: Bench) -> None:
    chexpert(bench, ("1.0", "0.0", "-1.0", "", "1.0"))
    proposal, _, path = bench.written()
    assert proposal.content["data"]["labels"]["kind"] == "multilabel"
    questions = " ".join(proposal.questions)
    assert "4 columns of 0 and 1 (No Finding, Lung Opacity, Lung Lesion, Edema) the classes?" in questions
    assert "Does -1 mean that a finding is uncertain" in questions
    assert "Do blank cells mean 0" in questions
    images = read_images(load_recipe(path).data)
    assert set(images.classes) == set(FINDINGS)
    table = pl.read_csv(bench.folder / "train.csv", infer_schema=False)
    expected = [{name for name in FINDINGS if row[name] == "1.0"} for row in table.iter_rows(named=True)]
    found = [{images.classes[number] for number in labels} for labels in images.frame["labels"]]
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_exactly_one_in_every_row_is_one_label_and_blanks_alone_are_no_uncertainty(bench: Bench) -> None:
    bench.images(*(f"i{number}.png" for number in range(12)))
    rows = [f"i{n},{'mf'[n % 2]},{','.join('1' if n % 3 == k else '' for k in range(3))}" for n in range(12)]
    bench.table("train.csv", "id,sex,mel,nv,bcc", rows)
    proposal, _, _ = bench.written()
    assert proposal.content["data"]["labels"] == {"column": "labels", "kind": "multiclass"}
    assert not any("uncertain" in question for question in proposal.questions)


@pytest.mark.parametrize("name", ["diagnosis", "species", "target", "cell_class"])
def test_a_column_called_as_labels_are_wins_over_sex_age_and_side(bench: Bench, name: str) -> None:
    bench.images(*(f"i{number}.png" for number in range(12)))
    bench.table(
        "train.csv",
        f"id,Sex,Age,side,{name}",
        [f"i{n},{'MF'[n % 2]},{n % 4},{'LR'[n % 2]},{'abc'[n % 3]}" for n in range(12)],
    )
    proposal, _, _ = bench.written()
    assert proposal.content["data"]["labels"]["column"] == name


def test_a_label_that_no_name_tells_of_is_a_question(bench: Bench) -> None:
    bench.images(*(f"i{number}.png" for number in range(12)))
    bench.table("train.csv", "id,Sex,outcome", [f"i{n},{'MF'[n % 2]},{'abc'[n % 3]}" for n in range(12)])
    proposal, _, _ = bench.written()
    assert proposal.content["data"]["labels"]["column"] == "outcome"
    assert any("Is 'outcome' the label?" in question for question in proposal.questions)


@pytest.mark.parametrize(
    ("write", "kind"), [(str, "multilabel"), (json.dumps, "multilabel"), (lambda labels: str(labels[:1]), "multiclass")]
)
def test_lists_in_cells_are_labels_and_not_classes(bench: Bench, write, kind: str) -> None:
    names = ["nucleus", "cytosol", "golgi"]
    bench.images(*(f"i{number}.png" for number in range(12)))
    cells = [write([names[n % 3]] + ([names[(n + 1) % 3]] if n % 2 else [])) for n in range(12)]
    pl.DataFrame({"id": [f"i{n}" for n in range(12)], "labels": cells}).write_csv(bench.folder / "train.csv")
    proposal, _, path = bench.written()
    assert proposal.content["data"]["labels"]["kind"] == kind
    assert any("lists such as" in question for question in proposal.questions)
    assert set(read_images(load_recipe(path).data).classes) == set(names)


def book(bench: Bench, **sheets: list[list[object]]) -> Path:
    workbook = Workbook()
    workbook.remove(workbook.active)
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(row)
    workbook.save(bench.folder / "labels.xlsx")
    return bench.folder / "labels.xlsx"


LABELS = [["id", "label"], *([f"i{n}", "ab"[n % 2]] for n in range(10))]


def test_a_workbook_is_the_table_and_its_sheet_is_named_and_asked_about(bench: Bench) -> None:
    bench.images(*(f"i{number}.png" for number in range(10)))
    path = book(bench, Notes=[["who", "when"], ["me", "now"]], Scores=LABELS, Empty=[])
    proposal, _, recipe = bench.written()
    assert proposal.content["data"]["train"] == f"{path.resolve()}#Scores"
    assert any(
        "Is 'Scores' the right sheet of labels.xlsx? Its other sheets are not used: 'Notes'" in question
        for question in proposal.questions
    )
    assert len(read_images(load_recipe(recipe).data)) == 10
    assert propose(inspect_folder(path)).content["data"]["train"] == proposal.content["data"]["train"]
    assert propose(inspect_folder(Path(f"{path}#Scores"))).content["data"]["train"].endswith("#Scores")


def test_sheets_called_train_and_test_are_those_and_a_single_sheet_needs_no_name(bench: Bench) -> None:
    bench.images(*(f"i{number}.png" for number in range(12)))
    path = book(bench, train=LABELS, test=[["id"], ["i10"], ["i11"]])
    data = bench.written()[0].content["data"]
    assert (data["train"], data["test"]) == (f"{path.resolve()}#train", f"{path.resolve()}#test")
    path = book(bench, Only=LABELS)
    assert propose(inspect_folder(bench.folder)).content["data"]["train"] == str(path.resolve())


def test_a_workbook_that_names_no_images_is_refused_by_sheet(bench: Bench) -> None:
    bench.images("x1.png", "x2.png")
    with pytest.raises(DataError, match=r"no sheet names the images: labels\.xlsx#A: .*labels\.xlsx#B: "):
        inspect_folder(book(bench, A=LABELS, B=LABELS))
