"""Tables, labels and patterns: from files of text to one row an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from holotype.core.errors import DataError
from holotype.data import read_images, read_table, table_warnings
from holotype.data.file_patterns import pattern_fields
from holotype.data.labels import class_names
from holotype.recipe.sections import DataSpec, LabelSpec
from holotype.types import ImageTable

Read = Callable[..., ImageTable]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a training table, and others, given as text."""

    def from_text(
        train: str, *, test: str = "", external: str = "", labels: dict[str, Any] | None = None, **keys: Any
    ) -> ImageTable:
        def written(name: str, text: str) -> str:
            (tmp_path / name).write_text(text, encoding="utf-8")
            return str(tmp_path / name)

        keys.setdefault("images", "images/{id}.png")
        return read_images(
            DataSpec(
                train=written("train.csv", train),
                external=[written("external.csv", external)] if external else [],
                test=written("test.csv", test) if test else None,
                labels=LabelSpec(**(labels or {})),
                **keys,
            )
        )

    return from_text


# ---- files


def test_every_column_is_text_so_that_leading_zeros_stay(tmp_path):
    (tmp_path / "a.csv").write_text("id,dose\n00365,1.0\n1e3,\n")
    table = read_table(tmp_path / "a.csv")
    assert table.rows() == [("00365", "1.0"), ("1e3", None)]
    assert set(table.schema.values()) == {pl.String}


def test_parquet_is_read_as_text_as_well(tmp_path):
    pl.DataFrame({"id": ["007", "8"], "dose": [1.5, 2.0], "ok": [True, False]}).write_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").rows() == [("007", "1.5", "true"), ("8", "2.0", "false")]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_name(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufeffid,label\r\n1,b\r\n".encode())
    assert read_table(tmp_path / "a.csv").to_dicts() == [{"id": "1", "label": "b"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id;label\n1;b,c\n"),
        ("a.csv", "id\tlabel\n1\tb,c\n"),
        ("a.tsv", "id\tlabel\n1\tb,c\n"),
        ("a.csv", 'id,label\n1,"b,c"\n'),
        ("a.csv", '"id";"label"\n1;"b,c"\n'),
    ],
)
def test_columns_are_parted_as_the_first_line_says(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert read_table(tmp_path / name).to_dicts() == [{"id": "1", "label": "b,c"}]


def test_a_quoted_comma_and_a_semicolon_in_a_name_part_nothing(tmp_path):
    (tmp_path / "a.csv").write_text('"size, mm";kind\n1;b\n')
    assert read_table(tmp_path / "a.csv").columns == ["size, mm", "kind"]
    (tmp_path / "a.csv").write_text("id,labels (a;b;c)\n1,a;b\n")
    assert read_table(tmp_path / "a.csv").columns == ["id", "labels (a;b;c)"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", b"id,label\n", "has a header and no rows"),
        ("a.csv", b"id,label\n1,2,3\n", "cannot be read"),
        ("a.csv", "id,label\n1,привет\n".encode("cp1251"), "is not UTF-8: line 2 holds the byte 0xef"),
        ("a.parquet", b"", "cannot be read"),
        ("a.parquet", b"PAR1 and nothing else PAR1", "cannot be read"),
    ],
)
def test_a_table_without_rows_or_of_another_form_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"^data\.test: the table '.*{name}' {message}"):
        read_table(tmp_path / name, "data.test")


def test_a_missing_table_is_refused_with_the_nearest_name(tmp_path):
    (tmp_path / "train.csv").write_text("id\n1\n")
    with pytest.raises(DataError, match=r"there is no table .*trian\.csv'; did you mean 'train\.csv'\?"):
        read_table(tmp_path / "trian.csv")


# ---- rows


def test_roles_files_labels_groups_and_domain_come_together(read):
    images = read(
        "id,label,plate,cell\n01,b,p1,HeLa\n2,a,p2,\n",
        external="id,label\nx,a\n",
        test="id,plate\n3,p9\n",
        groups=["plate"],
        domain="cell",
    )
    assert images.classes == ("a", "b")
    assert images.frame["role"].to_list() == ["train", "train", "external", "test"]
    assert images.frame["id"].to_list() == images.frame["sample"].to_list() == ["01", "2", "x", "3"]
    assert images.frame["labels"].to_list() == [[1], [0], [0], None]
    assert images.frame["group.plate"].to_list() == ["p1", "p2", None, "p9"]
    assert images.frame["domain"].to_list() == ["HeLa", None, None, None]
    assert [str(path) for path in images.files_of_row(0)] == ["images/01.png"]


@pytest.mark.parametrize(
    ("table", "keys", "message"),
    [
        ("Id,label\n1,a\n2,b\n", {}, r"data\.id: there is no column 'id' .*data\.train; did you mean 'Id'\?"),
        ("id,labels\n1,a\n", {}, r"data\.labels\.column: .*'label' .*did you mean 'labels'\?; allowed: id, labels"),
        ("id,label,plate\n1,a,p\n2,b,p\n", {"groups": ["plate", "plates"]}, r"data\.groups\.1: .*mean 'plate'\?"),
        ("id,label,cell\n1,a,p\n2,b,p\n", {"domain": "cells"}, r"data\.domain: .*did you mean 'cell'\?"),
        ("id,label,well\n1,a,p\n2,b,p\n", {"sample": "wells"}, r"data\.sample: .*did you mean 'well'\?"),
        ("id,label\n,a\n2,b\n", {}, r"data\.id: no 'id' in 1 row of data\.train"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_the_nearest(read, table, keys, message):
    with pytest.raises(DataError, match=f"^{message}"):
        read(table, **keys)


def test_ids_are_distinct_within_and_across_tables(read):
    with pytest.raises(DataError, match="1 id more than once, over all tables: 7; make column 'id' unique"):
        read("id,label\n7,a\n7,b\n")
    with pytest.raises(DataError, match="2 ids more than once, over all tables: 1, 2;"):
        read("id,label\n1,a\n2,b\n3,b\n", external="id,label\n1,a\n", test="id\n2\n")


def test_images_of_a_sample_share_its_role_and_labels(read):
    images = read("id,label,well\n1,b,x\n2,b,x\n3,a,\n", test="id,well\n4,z\n5,z\n", sample="well")
    assert images.frame["sample"].to_list() == ["x", "x", "3", "z", "z"]
    with pytest.raises(DataError, match="1 sample with images in more than one table: x;"):
        read("id,label,well\n1,b,x\n2,a,y\n", test="id,well\n4,x\n", sample="well")
    with pytest.raises(DataError, match="1 sample with images of different labels: x; give all images"):
        read("id,label,well\n1,b,x\n2,a,x\n3,a,y\n", sample="well")


# ---- labels


def test_a_label_that_is_not_a_class_is_named_with_its_first_row(read):
    with pytest.raises(
        DataError, match=r"2 labels that `classes` does not have: 'A' \(first at '2'\); did you mean 'a'\?"
    ):
        read("id,label\n1,b\n2,A\n3,A\n", labels={"classes": ["a", "b"]})


def test_rows_without_a_label_are_named(read):
    with pytest.raises(DataError, match=r"no label in 2 rows: 1, 4; label them, or move them to the test table"):
        read("id,label\n1,\n2,a\n3,b\n4,  \n")


def test_a_class_that_no_row_has_is_a_warning_and_no_error(read):
    images = read("id,label\n1,b\n2,a\n", labels={"classes": ["a", "c", "b"]})
    assert images.frame["labels"].to_list() == [[2], [0]]
    assert table_warnings(images) == ("No row has the class c; nothing can be trained or scored there.",)
    assert table_warnings(read("id,label\n1,b\n2,a\n")) == ()


def test_many_labels_are_parted_at_the_separator_each_once_and_in_order(read):
    spaced = read("id,label\n1,10 9\n2,9  9\n3,\n4,11\n", labels={"kind": "multilabel"})
    assert spaced.classes == ("9", "10", "11")
    assert spaced.frame["labels"].to_list() == [[0, 1], [0], [], [2]]
    barred = read("id,label\n1,b cell| T cell\n2,|b cell|\n", labels={"kind": "multilabel", "separator": "|"})
    assert barred.classes == ("T cell", "b cell")
    assert barred.frame["labels"].to_list() == [[0, 1], [1]]


def test_an_empty_set_of_labels_is_known_and_is_not_an_unknown_one(read):
    images = read("id,label\n1,a\n2,\n", test="id\n3\n", labels={"kind": "multilabel"})
    assert images.frame["labels"].to_list() == [[0], [], None]


@pytest.mark.parametrize(
    ("found", "ordered"),
    [
        (["10", "9", "-1", "2"], ("-1", "2", "9", "10")),
        (["1", "01", "0"], ("0", "01", "1")),
        (["b10", "b9", "a"], ("a", "b10", "b9")),
        (["²", "1"], ("1", "²")),
        (["1.5", "10", "2"], ("1.5", "10", "2")),
    ],
)
def test_classes_are_ordered_by_number_where_all_are_whole_numbers_and_else_by_alphabet(found, ordered):
    for column in (found, found[::-1]):
        assert class_names(LabelSpec(), pl.Series(column)) == ordered


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.csv", "b\na\n c \n"),  # the first row is the header
        ("classes.csv", "number,Class\n0,a\n1, c\n"),
        ("classes.csv", "name\na\n\nc\n"),
        ("classes.txt", "a\n\n c\n"),
        ("classes.txt", "\ufeffa\nc\n"),
    ],
)
def test_classes_come_from_a_table_or_a_list(read, tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read("id,label\n1,c\n2,a\n", labels={"classes": str(tmp_path / name)}).classes == ("a", "c")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("classes.csv", b"", "is empty"),
        ("classes.csv", b"name\na\na\nb\n", "classes are repeated: a;"),
        ("classes.csv", b"name\na\n", "1 class in 'label' and at least 2 are needed: a"),
        ("classes.csv", b"a,b\n1,2,3\n", "cannot be read"),
        ("classes.txt", "é".encode("latin-1"), "is not UTF-8 text"),
        ("classe.csv", b"name\na\n", r"there is no table .*; did you mean 'classe\.csv'\?"),
    ],
)
def test_classes_that_cannot_be_used_are_refused(read, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    asked = tmp_path / (name if name != "classe.csv" else "classes.csv")
    with pytest.raises(DataError, match=rf"^data\.labels\.classes: .*{message}"):
        read("id,label\n1,a\n2,b\n", labels={"classes": str(asked)})


def test_one_class_is_enough_for_many_labels_only(read):
    assert read("id,label\n1,a\n2,\n", labels={"kind": "multilabel"}).classes == ("a",)
    with pytest.raises(DataError, match="1 class in 'label' and at least 2 are needed: a"):
        read("id,label\n1,a\n2,a\n")


# ---- patterns


def test_a_pattern_names_a_file_for_each_channel_in_their_order(read):
    images = read(
        "id,label,plate\n1,b,p\n2,a,\n", images="{plate}/{label}/{id}_{channel}.tif", channels=["red", "blue"]
    )
    assert images.frame["files"].to_list() == [["p/b/1_red.tif", "p/b/1_blue.tif"], ["/a/2_red.tif", "/a/2_blue.tif"]]
    assert images.channels == ("red", "blue")


def test_doubled_braces_are_braces(read):
    assert read("id,label\n1,b\n2,a\n", images="{{{id}}}.png").frame["files"].to_list() == [["{1}.png"], ["{2}.png"]]
    assert pattern_fields("a{{b}}{id}.png") == [("a{", None), ("b}", None), ("", "id"), (".png", None)]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("i/{Id}.png", r"names 'Id', which is no column of data\.train; did you mean 'id'\?"),
        ("i/{id}_{chanel}.png", r"names 'chanel', .*did you mean 'channel'\?"),
        ("i/{id.png", "is broken: "),
        ("i/{id}}.png", "is broken: "),
        ("i/{}.png", "may contain only column names in braces"),
        ("i/{id!r}.png", "may contain only column names in braces"),
        ("i/{id:>3}.png", "may contain only column names in braces"),
        ("i/all.png", "names one file for all rows"),
        ("i/{id}_{channel}.png", r"no channels are named; list them"),
    ],
)
def test_a_pattern_that_names_no_files_is_refused(read, pattern, message):
    with pytest.raises(DataError, match=rf"^data\.(images|channels): .*{message}"):
        read("id,label\n1,b\n2,a\n", images=pattern)
