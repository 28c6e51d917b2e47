"""Delimited text as spreadsheets and statistics programs write it."""

from __future__ import annotations

import csv
import gzip
import io

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotype.core.errors import DataError
from holotype.data.delimited import parse_delimited

TABLE = "id,label,note\na00,a,café\na01,b,thé\na02,a,brûlé\n"
RIGHT = [("a00", "a", "café"), ("a01", "b", "thé"), ("a02", "a", "brûlé")]
FORMS = {
    "plain": TABLE.encode(),
    "byte order mark": TABLE.encode("utf-8-sig"),
    "sep line": ("sep=;\r\n" + TABLE.replace(",", ";").replace("\n", "\r\n")).encode("utf-8-sig"),
    "semicolons": TABLE.replace(",", ";").encode(),
    "tabs": TABLE.replace(",", "\t").encode(),
    "bars": TABLE.replace(",", "|").encode(),
    "carriage return alone": TABLE.replace("\n", "\r").encode(),
    "windows lines": TABLE.replace("\n", "\r\n").encode(),
    "no last line end": TABLE.rstrip().encode(),
    "utf-16": TABLE.encode("utf-16"),
    "utf-16 without a mark": TABLE.encode("utf-16-le"),
    "big-endian utf-16 without a mark": TABLE.encode("utf-16-be"),
    "blank lines": ("\n\n" + TABLE.replace("\n", "\n\n")).encode(),
    "blanks after commas": TABLE.replace(",", ", ").encode(),
    "blanks before commas": TABLE.replace(",", " ,").encode(),
    "quoted with blanks": TABLE.replace(",a,", ', "a" , ').encode(),
    "everything quoted": "".join('"' + line.replace(",", '","') + '"\n' for line in TABLE.splitlines()).encode(),
    "gzip": gzip.compress(TABLE.encode()),
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_a_table_is_the_same_however_a_program_writes_it(content: bytes) -> None:
    table, notes = parse_delimited(content, "train.csv", "data.train")
    assert table.columns == ["id", "label", "note"]
    assert table.rows() == RIGHT
    assert notes == ()


def test_windows_text_is_read_and_said_so() -> None:
    table, (note,) = parse_delimited(TABLE.encode("cp1252"), "/data/train.csv", "data.train")
    assert table.rows() == RIGHT
    assert note == (
        "train.csv: it is not UTF-8 and is read as Windows-1252, in which line 2 has 'café'; if that is "
        "wrong, save it as CSV in UTF-8."
    )


@pytest.mark.parametrize("encoding", ["cp1251", "gbk", "shift_jis", "euc_kr"])
def test_text_of_an_alphabet_that_cannot_be_told_is_refused_with_its_line(encoding: str) -> None:
    words = {"cp1251": "ядро", "gbk": "细胞核", "shift_jis": "細胞核", "euc_kr": "세포핵"}
    with pytest.raises(DataError, match=r"train.csv' is not UTF-8: line 3 holds the byte 0x.*UTF-8"):
        parse_delimited(f"id,label\n1,a\n2,{words[encoding]}\n".encode(encoding), "train.csv", "data.train")


def test_rows_of_commas_and_columns_without_a_name_are_left_out() -> None:
    table, notes = parse_delimited(b"id,label,,\na,x,,\n,,,\nb,y,,\n,,,\n", "t.csv", "data.train")
    assert table.to_dict(as_series=False) == {"id": ["a", "b"], "label": ["x", "y"]}
    assert notes == ("t.csv: 2 rows without content skipped.",)


def test_a_column_without_a_name_but_with_content_stays() -> None:
    table, notes = parse_delimited(b'"","id",""\n1,a,x\n2,b,y\n', "t.csv", "data.train")
    assert table.columns == ["", "id", "(column 3)"]
    assert notes == ()


def test_a_doubled_column_is_read_once_where_its_content_is_the_same() -> None:
    table, notes = parse_delimited(b"id,label,label\na,x,x\nb,y,y\n", "t.csv", "data.train")
    assert table.columns == ["id", "label"]
    assert "the column 'label' appears 2 times with the same content" in notes[0]


def test_doubled_columns_of_different_content_are_told_apart() -> None:
    table, notes = parse_delimited(b"id,label,label\na,x,x\nb,y,z\n", "t.csv", "data.train")
    assert table.columns == ["id", "label (column 2)", "label (column 3)"]
    assert "different content" in notes[0]


def test_short_rows_are_counted_with_the_first_line() -> None:
    table, notes = parse_delimited(b"id,label,plate\na,x,1\nb,y\nc\n", "t.csv", "data.train")
    assert table.rows() == [("a", "x", "1"), ("b", "y", None), ("c", None, None)]
    assert "2 rows with fewer cells than the header, the first in line 3" in notes[0]


REFUSED = {
    "a long row": (b"id,label\na,x\nb,y,z\n", "line 3 has 3 cells and the header 2 .1 row in all"),
    "a long row after a sep line": (b"sep=,\nid,label\na,x\nb,y,z\n", "line 4 has 3 cells and the header 2"),
    "a quoted line end before": (b'id,label\n"a\nb",x\nb,y,z\n', "line 4 has 3 cells"),
    "names of rows as R leaves them": (b"id,label\n1,a,x\n2,b,y\n", "row.names = FALSE"),
    "an open quote": (b'id,label\na,x\nb,"y\nc,z\n', "row that begins in line 3 a quote is not closed"),
    "text after a quote": (b'id,label\na,"x" y\n', "line 2 text follows a closing quote"),
    "a zero byte": (b"id,label\na,x\nb,\0\n", "line 3 holds a zero byte"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(60), r"an old Excel file \(.xls\); save it as .xlsx"),
    "a torn archive": (gzip.compress(TABLE.encode())[:-9], "cannot be unpacked"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_table_that_cannot_be_read_is_refused_with_its_line(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"^data.train: the table 't.csv' .*{reason}"):
        parse_delimited(content, "t.csv", "data.train")


def test_escaped_quotes_are_one_in_headers_and_cells() -> None:
    table, _ = parse_delimited(b'id,"plate ""A"""\na,"x ""y"""\n', "t.csv", "data.train")
    assert table.columns == ["id", 'plate "A"']
    assert table.rows() == [("a", 'x "y"')]


def test_a_very_long_cell_is_read() -> None:
    table, _ = parse_delimited(b'id,mask\na,"' + b"1 " * 200_000 + b'"\n', "t.csv", "data.train")
    assert len(table["mask"][0]) == 399_999


cell = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\x85\u2028\u2029"), max_size=6)


@given(st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=6), st.sampled_from(",;\t"))
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[str, str, str]], separator: str) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator)
    writer.writerows([("id", "label", "note"), *rows])
    expected = [tuple(text.strip() or None for text in row) for row in rows]
    table, _ = parse_delimited(stream.getvalue().encode(), "t.csv", "data.train")
    assert table.rows() == [row for row in expected if any(row)]


def parsed(text: str) -> tuple[object, ...] | str:
    try:
        frame, notes = parse_delimited(text.encode(), "t.csv", "data.train")
    except DataError as error:
        return str(error)
    return frame.columns, frame.rows(), dict(frame.schema), notes


def fast_and_careful(text: str) -> tuple[tuple[object, ...] | str, tuple[object, ...] | str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holotype.data.delimited._is_regular", lambda *_: False)
        careful = parsed(text)
    return parsed(text), careful


def test_the_fast_way_and_the_careful_way_agree() -> None:
    lines = ["id,label,plate", *(f"a{number},{'xy'[number % 2]},{number // 7}" for number in range(500))]
    fast, careful = fast_and_careful("\n".join(lines))
    assert fast == careful
    assert fast[2] == dict.fromkeys(["id", "label", "plate"], pl.String)


QUOTED_CELL = st.text('aé", ;\t|1', max_size=5)


@settings(max_examples=300)
@given(st.data(), st.integers(1, 4), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_quoted_tables_are_read_the_same_fast_and_carefully(data, width, separator, end, unclean) -> None:
    def cell() -> str:
        text = data.draw(QUOTED_CELL)
        if unclean and data.draw(st.integers(0, 9)) == 0:  # what no program should write
            return data.draw(st.sampled_from([text, f'"{text}', f' "{text}"', f'"{text}" ', f'"{text}{end}"', "\n"]))
        if data.draw(st.booleans()) or any(mark in text for mark in f'{separator}"'):
            return f'"{text.replace(chr(34), chr(34) * 2)}"'
        return text

    rows = [[cell() for _ in range(width)] for _ in range(data.draw(st.integers(1, 6)))]
    text = end.join(separator.join(row) for row in rows) + data.draw(st.sampled_from(["", end, end + end]))
    fast, careful = fast_and_careful(text)
    assert fast == careful


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_MINIMAL])
def test_a_long_quoted_table_is_read_the_same_and_by_the_fast_way(quoting: int, monkeypatch) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=quoting)
    writer.writerow(["id", "label, as written", "note"])
    writer.writerows([f"a{n}", ["x, y", 'the "big" one', "", "é"][n % 4], n / 7] for n in range(30_000))
    fast, careful = fast_and_careful(stream.getvalue())
    assert fast == careful
    monkeypatch.setattr("holotype.data.delimited._parse_quoted_rows", None)
    assert parsed(stream.getvalue()) == fast


@pytest.mark.parametrize(
    ("above", "lines"),
    [("Experiment of 2024\n\n", 1), ("# exported\n# twice\n", 2), ("Plate 7,,\n,,\n", 1), ("Screen of May\n", 1)],
)
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_titles_and_comments_above_the_header_are_passed_over_and_named(above: str, lines: int, mark: str) -> None:
    body = "file,label,plate\na.png,x,P1\nb.png,y,P2\n"
    frame, notes = parse_delimited((above + body).replace(",", mark).encode(), "t.csv", "data.train")
    assert frame.to_dict(as_series=False) == {"file": ["a.png", "b.png"], "label": ["x", "y"], "plate": ["P1", "P2"]}
    assert sum("is above the header" in note for note in notes) == lines


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("#id,label\n1,a\n2,b\n", ["#id", "label"]),
        ("id\n1\n2\n", ["id"]),
        (",file\n1,a.png\n2,b.png\n", ["", "file"]),
        ("file,\na.png,x\n", ["file", ""]),
        ("id\n\n1\n2\n", ["id"]),
    ],
)
def test_what_looks_like_a_title_and_is_a_header_stays_the_header(text: str, header: list[str]) -> None:
    frame, notes = parse_delimited(text.encode(), "t.csv", "data.train")
    assert frame.columns == header
    assert not any("above the header" in note for note in notes)


def test_cells_that_are_parted_by_blanks_are_called_so() -> None:
    with pytest.raises(DataError, match=r"are separated by blanks; .*row\.names = FALSE"):
        parse_delimited(b'"file" "label"\n"1" "a.png" "x"\n"2" "b.png" "y"\n', "t.csv", "data.train")
