"""The file of decisions: any text comes back, a spreadsheet may save it, a crash costs nothing that was confirmed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.core.errors import DataError
from holotype.review import COLUMNS, ReviewRow, parse_rows, read_rows, row_text

HEADER = ",".join(COLUMNS) + "\n"
HOSTILE = [
    "plain",
    "=1+1",
    "'=1+1",
    "''@x",
    "-5",
    "+3",
    "@SUM(A1)",
    "＝1",
    "[a",
    '["a"]',
    'say "hi"',
    "a,b;c\td",
    "two\nlines",
    "\r",
    " padded ",
    "\u202enidetrevni",
    "<img src=x onerror=alert(1)>",
    "\x00",
    "00365",
    "\ud800",
    "'",
    "🧫",
]
texts = st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(HOSTILE))
names = st.lists(texts, max_size=4).map(tuple)
rows = st.builds(
    ReviewRow,
    st.just("sample"),
    texts,
    st.sampled_from(["keep", "relabel", "drop", "undo"]),
    names,
    names,
    st.one_of(st.just(""), texts),
    st.just("2026-01-01T00:00:00+00:00"),
    texts,
)


@given(st.lists(rows, max_size=5), st.sampled_from([",", ";", "\t"]))
def test_any_text_comes_back_as_it_was(written: list[ReviewRow], delimiter: str) -> None:
    text = delimiter.join(COLUMNS) + "\n" + "".join(row_text(row, delimiter=delimiter) for row in written)
    read = parse_rows(text.encode("utf-8").decode("utf-8"))
    assert (read.rows, read.warnings, read.torn) == (tuple(written), (), "")


@given(rows)
def test_a_row_is_one_line_and_no_formula(row: ReviewRow) -> None:
    line = row_text(row)
    assert line.count("\n") == 1
    assert line.endswith("\n")
    (cells,) = csv.reader(io.StringIO(line))
    assert len(cells) == len(COLUMNS)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")) for cell in cells)


@given(st.lists(rows, min_size=1, max_size=4))
def test_a_spreadsheet_may_save_it_with_its_own_quotes_and_line_ends(written: list[ReviewRow]) -> None:
    ours = csv.reader(io.StringIO(HEADER + "".join(row_text(row) for row in written)))
    for delimiter, end in ((",", "\r\n"), (";", "\r\n"), ("\t", "\n")):
        saved = io.StringIO()
        ours = csv.reader(io.StringIO(HEADER + "".join(row_text(row) for row in written)))
        csv.writer(saved, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(ours)
        assert parse_rows(saved.getvalue()).rows == tuple(written)


@given(st.lists(rows, min_size=2, max_size=4), st.data())
def test_a_torn_last_line_costs_no_row_before_it(written: list[ReviewRow], data: st.DataObject) -> None:
    lines = [row_text(row) for row in written]
    cut = data.draw(st.integers(0, len(lines[-1]) - 1))
    whole = HEADER + "".join(lines[:-1])
    torn = parse_rows(whole + lines[-1][:cut])
    assert torn.rows[: len(written) - 1] == tuple(written[:-1])
    extra = torn.rows[len(written) - 1 :]
    # what was cut in its last cell alone is a decision already; nothing else may be made of half a row
    assert all(row.decides_same(written[-1]) and row.before == written[-1].before for row in extra)
    mended = parse_rows(whole + lines[-1][:cut] + torn.torn + row_text(written[0]))
    kept = [row for row in mended.rows if row != written[0]]
    assert mended.rows[-1] == written[0]
    assert all(row in [*written, *extra] for row in kept)


@pytest.mark.parametrize("after", [("catfish",), ("cat, and fish",), ("cat", "fish")])
def test_half_a_row_is_no_decision_wherever_it_was_cut(after: tuple[str, ...]) -> None:
    whole, row = HEADER + "x,sample,a,keep,,,,r\n", ReviewRow("sample", "b", "relabel", ("dog",), after, "n", "t", "r")
    for cut in range(len(row_text(row))):
        read = parse_rows(whole + row_text(row)[:cut])
        assert all(one.decides_same(row) and one.before == row.before for one in read.rows[1:])
        mended = parse_rows(whole + row_text(row)[:cut] + read.torn + row_text(row))
        assert mended.rows[-1] == row
        assert all(one.decides_same(row) for one in mended.rows[1:])


def test_rows_that_a_person_wrote_by_hand_are_understood() -> None:
    text = "ID;Action;after\nA1;relabel;round cell\nA2;DROP\n\nA3;keep;\n"
    assert [(row.id, row.action, row.after) for row in parse_rows(text).rows] == [
        ("A1", "relabel", ("round cell",)),
        ("A2", "drop", ()),
        ("A3", "keep", ()),
    ]


def test_a_row_that_says_nothing_known_is_passed_over_with_its_line() -> None:
    read = parse_rows("kind,id,action,after\nsample,a,burn,\ncluster,b,relabel,c\nsample,,keep,\nsample,d,keep,[oops\n")
    assert read.rows == ()
    assert [warning.split(" of ")[0] for warning in read.warnings] == ["line 2", "line 3", "line 4", "line 5"]


def test_a_quote_that_is_never_closed_is_refused_with_its_line() -> None:
    with pytest.raises(DataError, match="line 2"):
        parse_rows('id,action\n"a,keep\nb,keep\n')


@pytest.mark.parametrize("content", ["name,age\nx,3\n", "\x00"])
def test_other_tables_are_refused(content: str) -> None:
    with pytest.raises(DataError, match=r"data\.review"):
        parse_rows(content)


def test_other_encodings_are_refused_and_half_a_character_is_survived(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_bytes("id,action\nä,keep\n".encode("latin-1"))
    with pytest.raises(DataError, match="CSV UTF-8"):
        read_rows(path)
    whole = (HEADER + row_text(ReviewRow("sample", "a", "keep"))).encode()
    path.write_bytes(whole + "é".encode()[:1])
    read = read_rows(path)
    assert len(read.rows) == 1
    assert read.size == len(whole)


def test_a_file_that_excel_saved_with_its_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + row_text(ReviewRow("sample", "a", "drop"))).encode())
    assert [row.id for row in read_rows(path).rows] == ["a"]
    assert read_rows(tmp_path / "none.csv").rows == ()
