"""Images of one independent group, whatever their role."""

from __future__ import annotations

import numpy as np
import polars as pl

from holotype.split import duplicate_components, related_images
from holotype.types import AuditReport, ImageTable

FRAME = pl.DataFrame(
    {
        "id": list("abcdef"),
        "sample": ["s", "s", "c", "d", "e", "f"],
        "role": ["train", "train", "test", "train", "test", "external"],
        "files": [["x"]] * 6,
        "group.plate": ["p", "q", "q", None, "r", None],
    }
)
IMAGES = ImageTable(FRAME, ("one",), "multiclass")
CLUSTERS = pl.DataFrame(
    {"cluster": [0, 0], "row": [3, 4], "id": ["d", "e"], "role": ["train", "test"], "action": ["kept", "kept"]}
)
REPORT = AuditReport(CLUSTERS, pl.DataFrame(), np.empty(0, np.int64))


def names(rows: list[int]) -> str:
    return "".join(np.array(list("abcdef"))[related_images(IMAGES, REPORT, np.array(rows, np.int64))])


def test_images_of_a_sample_a_group_or_a_cluster_are_tied_and_unknown_groups_are_not() -> None:
    assert names([1]) == "abc"  # its sample, and its plates
    assert names([3]) == "de"  # its duplicate; its plate is unknown, as that of f
    assert names([5]) == "f"
    assert names([]) == ""


def test_ties_are_handed_on() -> None:
    assert names([0]) == "abc"  # c shares a plate with b, which is of the same sample


def test_duplicates_are_one_picture_whatever_was_done_about_them() -> None:
    component = duplicate_components(IMAGES, REPORT)
    number = dict(zip(IMAGES.samples.frame["sample"], component.tolist(), strict=True))
    assert number["d"] == number["e"]
    assert len(set(component.tolist())) == 4
