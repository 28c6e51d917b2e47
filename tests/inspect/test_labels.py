from __future__ import annotations

import polars as pl
import pytest

from holotype.core.errors import DataError
from holotype.inspect.labels import choose_label_column, guess_separator, judge_labels
from holotype.inspect.one_hot_labels import find_one_hot_columns, join_one_hot


@pytest.mark.parametrize(
    ("values", "separator"),
    [
        (["16 0", "7 1", "5", "1", "16", "0", "7"], " "),
        (["a|b", "b|c", "c|a", "a|b|c"], "|"),
        (["nucleus;cytosol", "nucleus", "cytosol"], ";"),
        (["neutrophil eosinophil", "neutrophil", "eosinophil"], " "),
        (["Acer rubrum", "Acer opalus", "Quercus rubra", "Quercus alba"], None),
        (["normal", "mild dysplasia", "severe dysplasia"], None),
        (["Carcinoma, ductal", "Carcinoma, lobular", "normal"], None),
        (["G1", "G2", "S"], None),
        ([f"{size} {shape}" for size in ("small", "big", "huge") for shape in ("round", "long")], None),
    ],
)
def test_a_separator_is_one_only_where_its_parts_recur(values: list[str], separator: str | None) -> None:
    assert guess_separator(pl.Series(values)) == separator


def test_classes_are_counted_by_label_not_by_row() -> None:
    guess = judge_labels(pl.Series(["a b", "a", "b", "a", None]), "what")
    assert (guess.kind, guess.separator, guess.counts, guess.unlabeled) == ("multilabel", " ", {"a": 3, "b": 2}, 1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([f"{number / 7:.3f}" for number in range(40)], "an amount"),
        ([f"{number / 7:.3f}" for number in range(12)], "an amount"),
        ([str(number * 13) for number in range(60)] * 2, "an amount"),
        (["2024-01-05", "2024-02-07", "2024-01-05"], "dates"),
        ([f"the cell number {number} looks odd" for number in range(30)], "free text"),
        ([f"name{number}" for number in range(30)], "not classes"),
        (["same"] * 9, "at least two classes"),
        ([None, None], "no row has a label"),
    ],
)
def test_what_cannot_be_classes_is_refused_in_words(values: list[str | None], words: str) -> None:
    with pytest.raises(DataError, match=words):
        judge_labels(pl.Series(values, dtype=pl.String), "label")


def test_numbers_that_count_classes_pass_and_many_are_asked_about() -> None:
    assert judge_labels(pl.Series(["0", "1", "2"] * 4), "label").questions == ()
    asked = judge_labels(pl.Series([str(number) for number in range(99)] * 3), "label")
    assert len(asked.counts) == 99
    assert "names of classes?" in asked.questions[0]


def test_the_label_is_the_column_the_test_table_lacks() -> None:
    train = pl.DataFrame({"id": list("abcd"), "plate": list("1122"), "step": list("xyxy")})
    test = pl.DataFrame({"id": list("ef"), "plate": list("34")})
    assert choose_label_column(train, test, {"id"}) == ("step", ())


def test_a_column_called_label_wins_even_where_the_test_table_has_it() -> None:
    train = pl.DataFrame({"id": list("abcd"), "fold": list("0101"), "label": list("xyxy")})
    assert choose_label_column(train, train.select("id", "label"), {"id"})[0] == "label"


def test_groups_and_positions_are_not_taken_for_labels() -> None:
    train = pl.DataFrame({"id": list("abcd"), "patient": list("1122"), "x": list("0011"), "cycle": list("xyxy")})
    assert choose_label_column(train, None, {"id"}) == ("cycle", ())


def test_two_columns_that_could_be_labels_are_both_named() -> None:
    train = pl.DataFrame({"id": list("abcd"), "stain": list("1122"), "cycle": list("xyxy"), "shape": list("uvvu")})
    assert choose_label_column(train, None, {"id"}) == ("cycle", ("shape",))


FLAGS = pl.DataFrame({"id": list("abcd"), "rust": list("0101"), "scab": ["1", "0", "0", "1"], "frog|eye": list("0000")})


def test_a_column_a_class_becomes_one_column_of_labels() -> None:
    flags = find_one_hot_columns(FLAGS, FLAGS.select("id"), {"id"})
    assert flags == ("rust", "scab", "frog|eye")
    table, labels = join_one_hot(FLAGS, flags)
    assert table.to_dict(as_series=False) == {"id": list("abcd"), "labels": ["scab", "rust", "", "rust;scab"]}
    assert (labels.kind, labels.separator, labels.unlabeled) == ("multilabel", ";", 0)
    assert labels.counts == {"rust": 2, "scab": 2}
    assert "3 columns of 0 and 1 (rust, scab, frog|eye)" in labels.questions[0]


def test_exactly_one_flag_a_row_is_one_label_a_sample() -> None:
    table = pl.DataFrame({"id": list("abc"), "benign": ["True", "false", "True"], "malignant": ["False", "true", "0"]})
    made, labels = join_one_hot(table, find_one_hot_columns(table, None, {"id"}))
    assert (labels.kind, labels.separator) == ("multiclass", None)
    assert made["labels"].to_list() == ["benign", "malignant", "benign"]


@pytest.mark.parametrize(
    ("more", "test"),
    [
        ({"label": list("xyxy")}, ()),  # a column called so wins
        ({"cell_phase": list("xyxy")}, ()),  # and one that is named like a class
        ({}, ("rust", "scab", "frog|eye")),  # what the test table has is no label
    ],
)
def test_flags_beside_a_likelier_column_are_left_alone(more: dict[str, list[str]], test: tuple[str, ...]) -> None:
    train = FLAGS.with_columns(pl.Series(name, values) for name, values in more.items())
    assert find_one_hot_columns(train, FLAGS.select("id", *test), {"id"}) == ()


def test_flags_of_which_nothing_can_be_learnt_are_refused() -> None:
    with pytest.raises(DataError, match="no row has a 1"):
        join_one_hot(FLAGS.with_columns(rust=pl.lit("0"), scab=pl.lit("0")), ("rust", "scab"))
    every = FLAGS.rename({"rust": "a|b;c", "scab": "d,e f"})
    with pytest.raises(DataError, match="their names contain all separators"):
        join_one_hot(every, ("a|b;c", "d,e f"))
