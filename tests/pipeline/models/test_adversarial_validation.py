"""Roles as labels: what the discriminator's table holds, and what it is told apart by."""

from __future__ import annotations

import polars as pl

from holotype.pipeline.models.adversarial_validation import role_labels
from holotype.types import ImageTable


def test_roles_become_labels_and_external_rows_have_none() -> None:
    frame = pl.DataFrame(
        {
            "id": ["a", "b", "c"],
            "sample": ["a", "b", "c"],
            "role": ["train", "test", "external"],
            "files": [["a.png"], ["b.png"], ["c.png"]],
            "labels": [[3], None, [1]],
            "domain": ["x", None, "y"],
            "group.plate": ["p", "q", "r"],
        }
    )
    told = role_labels(ImageTable(frame, ("one", "two", "three", "four"), "multiclass"))
    assert told.classes == ("train", "test")
    assert told.frame["labels"].to_list() == [[0], [1], None]
    assert told.frame["role"].to_list() == ["train", "train", "test"]
    assert told.samples.matrix(told.samples.of_role("train")).tolist() == [[True, False], [False, True]]
    assert told.group_names == ("plate",)
