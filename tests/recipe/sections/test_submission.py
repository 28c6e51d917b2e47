"""The tables that leave a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from holotype.core.table_files import write_table
from holotype.postprocessing.submission import prediction_table, submission_table, write_scores
from holotype.types import SampleTable

CLASSES = ("nucleus", "golgi", "cytosol", "vesicles")


def labels(samples: list[str]) -> SampleTable:
    return SampleTable(pl.DataFrame({"sample": samples}), np.arange(len(samples)), CLASSES, "multilabel")


def test_a_submission_has_the_test_samples_in_their_order_under_the_names_asked_for() -> None:
    table = submission_table(
        labels(["a", "b", "00365", "t1"]), np.array([2, 3]), [["golgi", "cytosol"], []], "Id", "Predicted", "|"
    )
    assert table.columns == ["Id", "Predicted"]
    assert table.rows() == [("00365", "golgi|cytosol"), ("t1", "")]


def test_an_order_that_is_not_the_tables_is_kept() -> None:
    table = submission_table(labels(["a", "b", "c"]), np.array([2, 0]), [["x"], ["y"]], "id", "label", " ")
    assert table["id"].to_list() == ["c", "a"]


def test_a_submission_without_labels_is_still_a_table_of_text(tmp_path: Path) -> None:
    table = submission_table(labels(["a", "b"]), np.array([0, 1]), [[], []], "Id", "Predicted", " ")
    write_table(table, tmp_path / "submission.csv")
    assert (tmp_path / "submission.csv").read_text() == 'Id,Predicted\na,""\nb,""\n'


def test_predictions_name_the_three_likeliest_classes_with_their_probabilities() -> None:
    said = np.array([[0.1, 0.7, 0.15, 0.05], [0.25, 0.25, 0.25, 0.25]])
    table = prediction_table(pl.Series("sample", ["a", "b"]), [["golgi"], ["nucleus", "golgi"]], said, CLASSES, ";")
    assert table.columns == [
        "id",
        "labels",
        "class_1",
        "probability_1",
        "class_2",
        "probability_2",
        "class_3",
        "probability_3",
    ]
    assert table.row(0) == ("a", "golgi", "golgi", 0.7, "cytosol", 0.15, "nucleus", 0.1)
    assert table.row(1) == ("b", "nucleus;golgi", "nucleus", 0.25, "golgi", 0.25, "cytosol", 0.25)


def test_two_classes_give_two_likeliest() -> None:
    table = prediction_table(pl.Series(["a"]), [["x"]], np.array([[0.2, 0.8]]), ("x", "y"), " ")
    assert table.columns == ["id", "labels", "class_1", "probability_1", "class_2", "probability_2"]


def test_scores_are_lists_of_32_bit_floats(tmp_path: Path) -> None:
    logits = np.array([[0.1, -2.5], [1e-8, 30.0]], np.float32)
    write_scores(tmp_path / "oof.parquet", pl.Series("sample", ["a", "b"]), logits)
    table = pl.read_parquet(tmp_path / "oof.parquet")
    assert dict(table.schema) == {"id": pl.String, "scores": pl.List(pl.Float32)}
    assert np.array_equal(np.array(table["scores"].to_list(), np.float32), logits)
    assert table["id"].to_list() == ["a", "b"]


def test_scores_of_no_samples_are_a_table_without_rows(tmp_path: Path) -> None:
    write_scores(tmp_path / "test.parquet", pl.Series("sample", [], pl.String), np.empty((0, 3), np.float32))
    assert pl.read_parquet(tmp_path / "test.parquet").height == 0
