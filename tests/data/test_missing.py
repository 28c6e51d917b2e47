"""Missing values as words, whole numbers in two spellings, lists of labels, and class names that look like slips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import polars as pl
import pytest

from holotype.core.errors import DataError
from holotype.core.table_files import write_parquet, write_table
from holotype.data import class_frequencies, read_images, table_warnings
from holotype.data.class_names import class_name_warnings
from holotype.data.label_lists import parse_label_list
from holotype.data.missing import MISSING_WORDS, without_missing
from holotype.recipe.sections import DataSpec, LabelSpec
from holotype.types import ImageTable

WORDS = ["NA", "N/A", "nan", "NaN", "None", "null", "-", "?", "#N/A", "", '""']


def images_of(path: Path, **settings: object) -> ImageTable:
    return read_images(DataSpec.model_validate({"train": str(path), **settings}))


def group_of(images: ImageTable, name: str) -> list[str | None]:
    return images.frame[f"group.{name}"].to_list()


def test_every_word_that_pandas_takes_for_a_missing_value_is_one() -> None:
    numbers = {word for word in pandas._libs.parsers.STR_NA_VALUES if any(letter.isdigit() for letter in word)}
    strange = {"#N/A N/A", "-NaN"}  # what Windows and joined cells make, never seen in a column of names
    assert pandas._libs.parsers.STR_NA_VALUES - numbers - strange <= MISSING_WORDS


@pytest.mark.parametrize("word", WORDS)
def test_a_group_written_as_a_missing_value_is_a_group_of_its_own_and_counted(tmp_path: Path, word: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text(f"id,label,patient\na,x,P1\nb,y,{word}\nc,x, {word} \nd,y,P1\n")
    images = images_of(path, groups=["patient"])
    assert group_of(images, "patient") == ["P1", None, None, "P1"]
    written = f" (written 2 as {word!r})" if word.strip('"') else ""
    assert table_warnings(images) == (f"2 rows of data.train have no 'patient'{written}: each is a group of its own.",)


@pytest.mark.parametrize("word", WORDS)
def test_a_label_written_as_a_missing_value_is_refused_as_an_empty_cell_is(tmp_path: Path, word: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text(f"id,label\na,x\nb,y\nc,{word}\nd,{word}\n")
    with pytest.raises(DataError, match="no label in 2 rows") as caught:
        images_of(path)
    if word.strip('"'):
        assert f"(written 2 as {word!r}): c, d" in str(caught.value)
        assert f"or name {word!r} in `labels.classes` if it is a class" in str(caught.value)


def test_a_word_that_the_classes_name_is_a_class(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("id,label\na,none\nb,mild\nc,none\nd,severe\n")
    labels = {"classes": ["none", "mild", "severe"]}
    images = images_of(path, labels=labels)
    assert images.frame["labels"].to_list() == [[0], [1], [0], [2]]
    (tmp_path / "classes.csv").write_text("name\nnone\nmild\nsevere\n")
    assert images_of(path, labels={"classes": str(tmp_path / "classes.csv")}).frame.equals(images.frame)
    shares = class_frequencies(
        DataSpec.model_validate({"train": str(path), "labels": labels}), str(path), images.classes
    )
    assert shares == [0.5, 0.25, 0.25]


def test_a_row_of_many_labels_without_one_has_none_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("id,label\na,x y\nb,NA\nc,y\nd,nan\ne,NA\nf,\n")
    images = images_of(path, labels={"kind": "multilabel"})
    assert images.classes == ("x", "y")
    assert images.frame["labels"].to_list() == [[0, 1], [], [1], [], [], []]
    assert table_warnings(images) == (
        "4 rows of data.train have no 'label' (written 2 as 'NA', 1 as 'nan'): they have none of the classes.",
    )


def test_samples_domains_and_ranks_are_missing_alike(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("id,label,well,cell,genus\na,x,W1,HeLa,G\nb,y,NA,None,H\nc,x,W1,HeLa,G\nd,y,NA,?,H\n")
    images = images_of(path, sample="well", domain="cell", labels={"taxonomy": ["genus"]})
    assert images.frame["sample"].to_list() == ["W1", "b", "W1", "d"]
    assert images.frame["domain"].to_list() == ["HeLa", None, "HeLa", None]
    assert "2 rows of data.train have no 'well' (written 2 as 'NA'): each is a sample of its own." in images.notes
    assert "2 rows of data.train have no 'cell' (written 1 as '?', 1 as 'None'): they have no domain." in [
        note.replace("1 as 'None', 1 as '?'", "1 as '?', 1 as 'None'") for note in images.notes
    ]
    path.write_text("id,label,genus\na,x,G\nb,y,NA\n")
    with pytest.raises(DataError, match="y: a rank is empty"):
        images_of(path, labels={"taxonomy": ["genus"]})


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".xlsx"])
def test_one_and_one_point_nought_are_one_group_in_every_form(tmp_path: Path, ending: str) -> None:
    train = pl.DataFrame({"id": ["a", "b"], "label": [0, 1], "plate": [1, 2]})
    more = pl.DataFrame({"id": ["c", "d"], "label": [1.0, 0.0], "plate": [1.0, None]})
    for name, frame in (("train", train), ("more", more)):
        write_table(frame, tmp_path / f"{name}{ending}")
    settings = {"external": [str(tmp_path / f"more{ending}")], "groups": ["plate"]}
    images = images_of(tmp_path / f"train{ending}", **settings)
    assert group_of(images, "plate") == ["1", "2", "1", None]
    assert images.classes == ("0", "1")
    assert images.frame["labels"].to_list() == [[0], [1], [1], [0]]


def test_zeros_before_a_number_and_other_fractions_stay() -> None:
    column = pl.Series("plate", ["007", "1.50", "1.0", "-2.00", "1.0.0", "10", "v1.0"])
    assert without_missing(column)[0].to_list() == ["007", "1.50", "1", "-2", "1.0.0", "10", "v1.0"]
    assert without_missing(column, ["1.0"])[0].to_list()[2] == "1.0"


def test_numbers_of_parquet_are_text_as_a_person_writes_them(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1.0, 2.0], "label": [True, False], "share": [0.5, float("nan")], "big": [1e300, 1.0]})
    write_parquet(frame, tmp_path / "train.parquet")
    images = images_of(tmp_path / "train.parquet", groups=["share"], labels={"classes": [False, True]})
    assert images.frame["id"].to_list() == ["1", "2"]
    assert images.classes == ("false", "true")
    assert images.frame["labels"].to_list() == [[1], [0]]
    assert group_of(images, "share") == ["0.5", None]


@pytest.mark.parametrize("spelling", ["True False", "TRUE FALSE", "true false"])
def test_truth_values_are_classes_in_every_spelling(tmp_path: Path, spelling: str) -> None:
    yes, no = spelling.split()
    (tmp_path / "train.csv").write_text(f"id,label\na,{yes}\nb,{no}\n")
    images = images_of(tmp_path / "train.csv", labels={"classes": [True, False]})
    assert images.frame["labels"].to_list() == [[0], [1]]


def test_an_external_table_without_the_column_of_groups_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,label,plate\na,x,1\nb,y,2\n")
    (tmp_path / "more.csv").write_text("id,label\nc,x\n")
    images = images_of(tmp_path / "train.csv", external=[str(tmp_path / "more.csv")], groups=["plate"])
    assert images.notes == ("data.external.0 has no column 'plate': its rows belong to no group of that kind.",)


LISTS = {
    "['nucleus', 'cytosol']": ["nucleus", "cytosol"],
    '["nucleus", "cytosol"]': ["nucleus", "cytosol"],
    "['nucleus' 'cytosol']": ["nucleus", "cytosol"],
    "['nucleus'\n 'cytosol']": ["nucleus", "cytosol"],
    "('nucleus', 'cytosol')": ["nucleus", "cytosol"],
    "{'nucleus', 'cytosol'}": ["nucleus", "cytosol"],
    "[nucleus, cytosol]": ["nucleus", "cytosol"],
    "[0, 3]": ["0", "3"],
    "[0 3]": ["0", "3"],
    "[1.0, true, null]": ["1", "true"],
    "['a, b', \"it's\"]": ["a, b", "it's"],
    "['a', nan, None]": ["a"],
    '["Gr\\u00f6\\u00dfe"]': ["Größe"],
    "[]": [],
    "()": [],
    "set()": [],
    "[[1], [2]]": None,
    "['a' b]": None,
    "['a]": None,
}


@pytest.mark.parametrize(("text", "labels"), LISTS.items(), ids=[repr(text) for text in LISTS])
def test_a_list_in_a_cell_is_read_as_programs_write_it(text: str, labels: list[str] | None) -> None:
    assert parse_label_list(text) == labels


@pytest.mark.parametrize("write", [str, lambda labels: str(np.array(labels)), lambda labels: str(tuple(labels))])
def test_lists_of_a_table_are_many_labels(tmp_path: Path, write: object) -> None:
    truth = [["nucleus"], ["nucleus", "cytosol"], [], ["plasma membrane"]]
    frame = pandas.DataFrame({"id": list("abcd"), "label": [write(labels) for labels in truth]})  # type: ignore[operator]
    frame.to_csv(tmp_path / "train.csv", index=False)
    images = images_of(tmp_path / "train.csv", labels={"kind": "multilabel"})
    assert images.classes == ("cytosol", "nucleus", "plasma membrane")
    assert images.frame["labels"].to_list() == [[1], [0, 1], [], [2]]


def test_lists_of_parquet_are_many_labels(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["a", "b", "c"], "label": [["x", "a b"], [], ["x"]]})
    write_parquet(frame, tmp_path / "train.parquet")
    images = images_of(tmp_path / "train.parquet", labels={"kind": "multilabel"})
    assert images.classes == ("a b", "x")
    assert images.frame["labels"].to_list() == [[0, 1], [], [1]]


def test_a_list_of_one_label_is_one_label_and_of_two_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text('id,label\na,[\'x\']\nb,"[""y""]"\n')
    assert images_of(tmp_path / "train.csv").classes == ("x", "y")
    (tmp_path / "train.csv").write_text("id,label\na,['x']\nb,\"['x', 'y']\"\n")
    with pytest.raises(DataError, match=r"1 row with several labels, the first \['x', 'y'\]; .*kind: multilabel"):
        images_of(tmp_path / "train.csv")


def test_a_class_that_looks_like_a_list_is_one_where_the_classes_name_it(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,label\na,[x]\nb,y\n")
    images = images_of(tmp_path / "train.csv", labels={"classes": ["[x]", "y"]})
    assert images.frame["labels"].to_list() == [[0], [1]]


def test_a_broken_list_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,label\na,\"['x', 'y\"\nb,['x]\n")
    with pytest.raises(DataError, match=r"looks like a list but is not one"):
        images_of(tmp_path / "train.csv", labels={"kind": "multilabel", "separator": ";"})


def table_of(names: list[str]) -> ImageTable:
    frame = pl.DataFrame({"labels": [[number] for number in range(len(names))]})
    return ImageTable(frame, tuple(names), "multiclass")


def test_names_that_differ_by_case_blanks_or_form_are_told() -> None:
    (warning,) = class_name_warnings(table_of(["Basophil", "basophil", "T cell", "T  cell", "Tcell", "monocyte"]))[:1]
    assert "'Basophil' (1 row), 'basophil' (1 row) differ only by case" in warning
    warnings = class_name_warnings(table_of(["T cell", "T-Cell", "caf\u00e9", "cafe\u0301", "x"]))
    assert len(warnings) == 2
    assert class_name_warnings(table_of(["1", "10", "x", "y1"])) == ()


@pytest.mark.parametrize(
    "name",
    [
        "to be sorted",
        "To_be_sorted",
        "unknown",
        "???",
        "Unlabeled",
        "tmp",
        "unsorted",
        "none",
        "Unclear",
        "New folder (2)",
    ],
)
def test_a_folder_of_what_nobody_has_labelled_is_named(name: str) -> None:
    (warning,) = class_name_warnings(table_of(["diatom", name]))
    assert f"{name!r} (1 row) may hold unlabeled images" in warning
    assert class_name_warnings(table_of(["diatom", name]), named=True) == ()


def test_folders_keep_their_names(tmp_path: Path) -> None:
    for name in ("NA", "1.0", "x"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "a.png").write_bytes(b"")
    images = images_of(tmp_path / "images")
    assert images.classes == ("1.0", "NA", "x")
    assert any("'NA' (1 row) may hold" in warning for warning in table_warnings(images))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([0, 1, 2], ["0", "1", "2"]),
        (["007", "a"], ["007", "a"]),
        ([True, False], ["true", "false"]),
        ([1.0, 2.5], ["1", "2.5"]),
    ],
)
def test_numbers_are_good_names_of_classes(given: list[object], names: list[str]) -> None:
    assert LabelSpec.model_validate({"classes": given}).classes == names


def test_an_empty_entry_is_no_name() -> None:
    with pytest.raises(ValueError, match="an empty entry is not a name"):
        LabelSpec.model_validate({"classes": ["a", None]})
