"""Classes too rare, and classes that a group gives away."""

from __future__ import annotations

import numpy as np
import polars as pl

from holotype.audit import confounded_classes, label_warnings, rare_classes
from holotype.types import ImageTable


def table(labels, plates, samples=None) -> ImageTable:
    ids = [f"i{number}" for number in range(len(labels))]
    frame = pl.DataFrame(
        {
            "id": ids,
            "sample": samples or ids,
            "role": ["train"] * len(ids),
            "files": [[""]] * len(ids),
            "labels": pl.Series(labels, dtype=pl.List(pl.Int64)),
            "domain": pl.Series([None] * len(ids), dtype=pl.String),
            "group.plate": pl.Series(plates, dtype=pl.String),
        }
    )
    return ImageTable(frame, tuple("abcdefghij"), "multilabel")


def test_rare_classes_have_rows_but_too_few():
    assert rare_classes(np.array([0, 4, 5, 1, 9]), 5).tolist() == [1, 3]


def test_a_class_of_one_group_is_confounded_unless_it_is_one_row_or_all_is_one_group():
    assert confounded_classes(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])).tolist() == [1]
    assert confounded_classes(np.array([0, 0, 1, 1]), np.array([3, 3, 3, 3])).tolist() == []


def test_unknown_groups_say_nothing():
    assert confounded_classes(np.array([0, 0, 0, 1, 1]), np.array([2, 2, -1, 1, -1])).tolist() == [0]
    assert confounded_classes(np.array([0, 0]), np.array([-1, -1])).tolist() == []


def test_a_confounded_class_is_told_in_words():
    warnings = label_warnings(table([[0], [0], [1], [1], [0, 1]], ["p1", "p2", "p2", "p2", "p2"]))
    assert warnings == ["Class 'b' appears in one plate only (p2, 3 samples); a model may learn the plate instead."]


def test_many_confounded_classes_end_in_one_sentence():
    labels = [[number // 2] for number in range(12)]
    warnings = label_warnings(table(labels, [f"p{number // 2}" for number in range(12)]))
    assert len(warnings) == 4
    assert warnings[-1] == "3 more classes appear in one plate only: d, e, f."


def test_a_class_of_one_sample_is_named_and_images_of_a_sample_count_once():
    warnings = label_warnings(table([[0], [0], [1], [1]], [None] * 4, samples=["s", "s", "t", "u"]))
    assert warnings == ["One class has a single sample, which can be trained on or scored, not both: a."]


def test_without_labels_there_is_nothing_to_say():
    assert label_warnings(table([None, []], [None, None])) == []
