"""Excel workbooks as tables."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import pandas
import polars as pl
import pytest
from openpyxl import Workbook

from holotype.core.errors import DataError
from holotype.core.table_files import write_table
from holotype.data.tables import read_noted_table, read_table


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    book = Workbook()
    book.remove(book.active)  # type: ignore[arg-type]
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


DAY = datetime.datetime(2024, 5, 31)
ROWS = [["id", "label"], ["007", "a"], ["b", "x"]]


def test_cells_become_text_as_a_person_sees_them(tmp_path: Path) -> None:
    path = tmp_path / "labels.xlsx"
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["id", "number", "share", "day", "time", "sure", "code", "none"])
    sheet.append(["007", 12, 0.25, DAY, DAY.replace(hour=8, minute=30), True, 7, "#N/A"])
    sheet["G2"].number_format = "000"
    sheet.append([])
    sheet.append([None, 3.0])
    book.save(path)
    table = read_table(path)
    assert table.columns == ["id", "number", "share", "day", "time", "sure", "code", "none"]
    assert table.row(0) == ("007", "12", "0.25", "2024-05-31", "2024-05-31 08:30:00", "TRUE", "007", "#N/A")
    assert table.row(1) == (None, "3", None, None, None, None, None, None)


def test_one_sheet_with_rows_is_the_table(tmp_path: Path) -> None:
    path = workbook(tmp_path / "labels.xlsx", About=[["Made by hand"]], Data=ROWS, Empty=[])
    assert read_noted_table(path).frame.rows() == [("007", "a"), ("b", "x")]
    assert read_noted_table(path).notes == ()


def test_of_several_sheets_with_rows_one_is_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "labels.xlsx", First=[["id"], ["wrong"]], Second=ROWS)
    with pytest.raises(DataError, match=r"2 sheets of .* have rows: 'First', 'Second'; .* as in labels.xlsx#First"):
        read_table(path)
    noted = read_noted_table(f"{path}#Second")
    assert noted.frame.rows() == [("007", "a"), ("b", "x")]
    assert noted.notes == ("labels.xlsx: the sheet 'Second' is read, and not 'First'.",)
    with pytest.raises(DataError, match=r"no sheet 'Secnd' in .*did you mean 'Second'\?; allowed: First, Second"):
        read_table(f"{path}#Secnd")


def test_empty_rows_and_columns_are_left_out_and_counted(tmp_path: Path) -> None:
    path = workbook(tmp_path / "labels.xlsx", Data=[[], ["id", None, "label"], ["a", None, "x"], [], ["b", None, "y"]])
    noted = read_noted_table(path)
    assert noted.frame.to_dict(as_series=False) == {"id": ["a", "b"], "label": ["x", "y"]}
    assert noted.notes == ("labels.xlsx: 1 row without content skipped.",)


def test_merged_cells_all_have_what_the_first_shows(tmp_path: Path) -> None:
    path = tmp_path / "labels.xlsx"
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [["id", "plate"], ["a", "P1"], ["b", None], ["c", "P2"]]:
        sheet.append(row)
    sheet.merge_cells("B2:B3")
    book.save(path)
    assert read_table(path)["plate"].to_list() == ["P1", "P1", "P2"]


def test_a_formula_without_a_result_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "labels.xlsx", Data=[["id", "label"], ["a", "=1+1"]])
    with pytest.raises(DataError, match=r"cell B2 .* holds a formula without a stored result"):
        read_table(path)


@pytest.mark.parametrize("content", [b"", b"no workbook", b"PK\x03\x04" + bytes(90)])
def test_a_damaged_workbook_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.xlsx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"the workbook .* cannot be read"):
        read_table(path)


def test_a_torn_workbook_is_one_sentence(tmp_path: Path) -> None:
    path = workbook(tmp_path / "labels.xlsx", Data=ROWS)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="cannot be read"):
            read_table(path)


@pytest.mark.parametrize("name", ["labels.xls", "labels.ods"])
def test_other_workbooks_are_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"save it as .xlsx, or as CSV"):
        read_table(tmp_path / name)


def test_what_pandas_writes_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    pandas.DataFrame({"id": ["007", "8"], "label": [1, 0], "plate": [1.0, None]}).to_excel(stream, index=False)
    (tmp_path / "labels.xlsx").write_bytes(stream.getvalue())
    assert read_table(tmp_path / "labels.xlsx").rows() == [("007", "1", "1"), ("8", "0", None)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    table = pl.DataFrame({"id": ["007", "=x"], "label": ["Größe", None]})
    write_table(table, tmp_path / "labels.xlsx")
    assert read_table(tmp_path / "labels.xlsx").equals(table)


@pytest.mark.parametrize(
    "above", [[["Plate 7"], []], [["Plate 7"]], [["Plate 7"], [], ["of May 2024"]]], ids=["blank", "wide", "two"]
)
def test_titles_above_the_header_are_passed_over_and_named(tmp_path: Path, above: list[list[Any]]) -> None:
    rows = [["file", "label", "plate"], ["a.png", "x", 1], ["b.png", "y", 2]]
    table = read_noted_table(workbook(tmp_path / "labels.xlsx", Data=[*above, *rows]))
    assert table.frame.to_dict(as_series=False) == {
        "file": ["a.png", "b.png"],
        "label": ["x", "y"],
        "plate": ["1", "2"],
    }
    assert "row 1 ('Plate 7') is skipped because it is above the header" in table.notes[0]


def test_a_header_with_one_name_above_files_stays_the_header(tmp_path: Path) -> None:
    path = workbook(tmp_path / "labels.xlsx", Data=[["file"], ["a.png", "x", "y"], ["b.png", "y", "z"]])
    assert read_table(path).height == 2
    path = workbook(tmp_path / "index.xlsx", Data=[[None, "label"], [1, "x"], [2, "y"]])
    assert read_table(path)["label"].to_list() == ["x", "y"]


DATA = [["a1.png", "x", "cat", 1.5, 0.25], ["a2.png", "y", "dog", 2.5, 0.5], ["a3.png", "x", "cat", 3.5, 0.75]]


@pytest.mark.parametrize(
    ("above", "merged", "named"),
    [
        (["Sample", None, "Label", "Measured", None], ["A1:B1", "D1:E1"], "'Sample' stands above 'file', 'plate'"),
        (["Sample", None, "Label", "Measured", None], [], "'Sample' stands above 'file', 'plate'"),
        ([None, None, None, "Measured", None], [], "'Measured' stands above 'mean', 'sd'"),
    ],
)
def test_a_header_of_two_rows_is_named_with_the_way_out(tmp_path: Path, above, merged, named: str) -> None:
    book = Workbook()
    for row in [above, ["file", "plate", "class", "mean", "sd"], *DATA]:
        book.active.append(row)
    for area in merged:
        book.active.merge_cells(area)
    book.save(tmp_path / "labels.xlsx")
    with pytest.raises(DataError, match=f"has a header of two rows: {named}") as caught:
        read_noted_table(tmp_path / "labels.xlsx")
    assert "write one row of names" in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        ["file", "plate", "class", "mean", None],
        ["file", "plate", "class", "value", "value"],
        [None, "plate", "class", "m", "s"],
    ],
)
def test_a_column_without_a_name_or_of_the_same_name_is_no_second_row(tmp_path: Path, header) -> None:
    assert read_noted_table(workbook(tmp_path / "labels.xlsx", Data=[header, *DATA])).frame.height == 3
    words = [["id", "class", None], ["a1", "cat", "checked"], ["a2", "dog", "again"], ["a3", "cat", None]]
    assert read_noted_table(workbook(tmp_path / "words.xlsx", Data=words)).frame.height == 3
