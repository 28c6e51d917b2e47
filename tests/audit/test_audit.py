"""The audit of a table and its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.audit import audit_images, constant_images, saturated_images
from holotype.core.errors import DataError, HolotypeError
from holotype.recipe.sections import AuditSpec, DuplicatesSpec
from holotype.types import ImageStatistics, ImageTable, Normalization

ONE = {
    "height": 8,
    "width": 8,
    "channels": 1,
    "depth": "uint8",
    "mean": [90.0],
    "deviation": [20.0],
    "min": [0.0],
    "max": [200.0],
    "nonzero": [0.9],
    "error": None,
}


def table(count: int, roles=None, labels=None, channels=None) -> ImageTable:
    ids = [f"i{number}" for number in range(count)]
    frame = pl.DataFrame(
        {
            "id": ids,
            "sample": ids,
            "role": roles or ["train"] * count,
            "files": [[f"{name}.png"] for name in ids],
            "labels": pl.Series(labels or [[number % 2] for number in range(count)], dtype=pl.List(pl.Int64)),
            "domain": pl.Series([None] * count, dtype=pl.String),
        }
    )
    return ImageTable(frame, ("a", "b"), "multiclass", channels)


def statistics(count: int, **changes: dict[int, Any]) -> ImageStatistics:
    """Images without a flaw, but for `column={row: value}`."""
    rows = [{"id": f"i{number}", "digest": f"d{number}", **ONE} for number in range(count)]
    for column, values in changes.items():
        for row, value in values.items():
            rows[row][column] = value
    schema = {
        "id": pl.String,
        "height": pl.Int64,
        "width": pl.Int64,
        "channels": pl.Int64,
        "depth": pl.String,
        "digest": pl.String,
        "fingerprint": pl.Binary,
        **{name: pl.List(pl.Float64) for name in ("mean", "deviation", "min", "max", "nonzero")},
        "error": pl.String,
    }
    return ImageStatistics(pl.DataFrame(rows, schema=schema), Normalization((0.0,), (1.0,)))


def test_images_without_a_flaw_give_an_empty_report():
    report = audit_images(table(6), statistics(6), AuditSpec())
    assert report.clusters.columns == ["cluster", "row", "id", "role", "action"]
    assert (report.clusters.height, report.conflicts.height, len(report.left_out), report.warnings) == (0, 0, 0, ())


def test_unreadable_images_stop_with_the_reason_of_each_and_the_count_of_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for row in range(1, 8):
        (tmp_path / f"i{row}.png").touch()
    errors = {row: f"i{row}.png: truncated at byte {row}" for row in range(1, 8)}
    broken = dict.fromkeys(errors)
    found = statistics(9, error=errors, channels=broken, digest=broken, deviation=broken, mean=broken, depth=broken)
    with pytest.raises(DataError) as caught:
        audit_images(table(9), found, AuditSpec())
    text = str(caught.value)
    assert "7 of 9 images cannot be read: 'i1' (i1.png: truncated at byte 1), 'i2'" in text
    assert "'i5'" in text
    assert "'i6'" not in text
    assert "and 2 more" in text
    assert "remove their rows from the table" in text


def test_missing_files_are_known_by_the_disk_and_not_by_words_of_a_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = dict.fromkeys((1, 2))
    found = statistics(
        9, error=dict.fromkeys(rows, "a plane does not exist"), channels=rows, digest=rows, deviation=rows, mean=rows
    )
    with pytest.raises(DataError, match=r"2 of 9 image files do not exist: .* if you moved them"):
        audit_images(table(9), found, AuditSpec())
    (tmp_path / "i1.png").touch()
    with pytest.raises(DataError, match=r"2 of 9 images cannot be read: .* repair the files"):
        audit_images(table(9), found, AuditSpec())
    (tmp_path / "i2.png").touch()
    with pytest.raises(DataError, match=r"2 of 9 images cannot be read: "):
        audit_images(table(9), found, AuditSpec())


def test_different_channel_counts_are_refused_with_the_commonest():
    with pytest.raises(DataError, match=r"4 images of 1 channel, but 2 of another number: 'i1' \(3\), 'i4' \(4\)"):
        audit_images(table(6), statistics(6, channels={1: 3, 4: 4}), AuditSpec())


def test_channels_that_the_recipe_names_must_be_those_of_the_images():
    with pytest.raises(DataError, match=r"data.channels: 2 channels are named \(red, green\), but the images have 1"):
        audit_images(table(3, channels=("red", "green")), statistics(3), AuditSpec())


def test_different_depths_are_a_warning():
    (warning,) = audit_images(table(5), statistics(5, depth={2: "uint16"}), AuditSpec()).warnings
    assert "uint8 (4 images), uint16 (1 image)" in warning


def test_empty_images_are_named_and_are_no_duplicates_of_each_other():
    flat = {1: [0.0], 3: [0.0]}
    report = audit_images(table(5), statistics(5, deviation=flat, digest={1: "same", 3: "same"}), AuditSpec())
    assert report.clusters.height == 0
    assert "2 images are empty" in report.warnings[0]
    assert "i1, i3" in report.warnings[0]


def test_an_image_is_empty_only_if_every_channel_is():
    found = statistics(3, deviation={0: [0.0, 3.0], 1: [0.0, 0.0]})
    assert constant_images(found).tolist() == [False, True, False]


def test_saturation_is_measured_against_the_depth():
    found = statistics(
        9, mean={0: [254.0], 1: [254.0], 2: [65_000.0], 3: [1e6]}, depth={1: "uint16", 2: "uint16", 3: "float32"}
    )
    assert saturated_images(found).tolist() == [True, False, True, *[False] * 6]
    (warning,) = audit_images(table(5), statistics(5, mean={4: [254.0]}), AuditSpec()).warnings
    assert warning == "1 image is saturated: i4."


def test_a_white_background_is_not_saturation():
    assert audit_images(table(4), statistics(4, mean={row: [254.0] for row in range(4)}), AuditSpec()).warnings == ()


def test_duplicates_over_all_roles_are_clustered_and_acted_upon():
    roles = ["train", "train", "external", "test", "external", "test", "train", "train", "test"]
    labels = [[0], [0], [0], None, [1], None, [1], [1], None]
    digests = {0: "x", 1: "x", 2: "x", 4: "y", 5: "y", 7: "z", 8: "z"}
    report = audit_images(table(9, roles, labels), statistics(9, digest=digests), AuditSpec())
    assert report.clusters.to_dict(as_series=False) == {
        "cluster": [0, 0, 0, 1, 1, 2, 2],
        "row": [0, 1, 2, 4, 5, 7, 8],
        "id": ["i0", "i1", "i2", "i4", "i5", "i7", "i8"],
        "role": ["train", "train", "external", "external", "test", "train", "test"],
        "action": ["grouped", "grouped", "grouped", "dropped", "reported", "kept", "reported"],
    }
    assert report.left_out.tolist() == [4]
    assert report.conflicts.height == 0
    assert report.warnings == (
        "2 training images have the same pixels as another one: 2 grouped into one fold (i0, i1).",
        "1 external image has the same pixels as a training image: 1 grouped into one fold (i2).",
        "1 external image has the same pixels as a test image: 1 dropped from training (i4).",
        "1 test image has the same pixels as a training image: a score on the test rows would be too high because of "
        "them; the out-of-fold score does not count them (i8).",
    )


def test_dropped_duplicates_are_left_out():
    spec = AuditSpec(duplicates=DuplicatesSpec(within_train="drop"))
    report = audit_images(table(4), statistics(4, digest={0: "x", 2: "x", 3: "x"}), spec)
    assert report.left_out.tolist() == [2, 3]


def test_conflicting_labels_are_reported_with_ids_and_names():
    report = audit_images(table(4), statistics(4, digest={0: "x", 1: "x"}), AuditSpec())
    assert report.conflicts.to_dicts() == [{"cluster": 0, "ids": ["i0", "i1"], "labels": ["a", "b"]}]
    assert report.warnings[-1] == "1 cluster of duplicates carries different labels: i0 (a) against i1 (b)."


def test_statistics_of_another_table_are_refused():
    with pytest.raises(HolotypeError, match="do not fit"):
        audit_images(table(3), statistics(4), AuditSpec())


def test_left_out_rows_are_whole_numbers_even_if_there_are_none():
    assert audit_images(table(3), statistics(3), AuditSpec()).left_out.dtype == np.int64


def test_an_image_far_beyond_the_others_and_one_with_gaps_are_named_with_their_ranges():
    schema = {name: pl.List(pl.Float64) for name in ("lowest", "highest", "missing")}
    extremes = pl.DataFrame(
        {
            "lowest": [[0.0]] * 12,
            "highest": [[1e10], *[[200.0]] * 10, [9e6]],
            "missing": [*[[0.0]] * 5, [0.125], *[[0.0]] * 6],
        },
        schema=schema,
    )
    plain = statistics(12, max={11: [9e6]})
    found = ImageStatistics(pl.concat([plain.frame, extremes], how="horizontal"), plain.normalization)
    report = audit_images(table(12), found, AuditSpec())
    assert report.image_problems.select("id", "problem").rows() == [
        ("i0", "range"),
        ("i5", "no data"),
        ("i11", "range"),
    ]
    far, gaps = report.warnings
    assert "'i0' (single pixels reach from 0 to 1e+10, all others from 0 to 200" in far
    assert "'i11' (its values reach from 0 to 9e+06, those of the others from 0 to 200" in far
    assert gaps.startswith("1 image has pixels without data")
    assert "'i5' (12.50% of its pixels hold no data)" in gaps


def test_objects_on_white_are_not_saturated_where_white_is_the_background():
    white = {"percentiles": pl.Series([[200.0, 250.0, 255.0, 255.0, 255.0]] * 6)}
    some = {row: [254.0] for row in range(2)}
    plain = statistics(6, mean=some)
    found = ImageStatistics(plain.frame.with_columns(**white), plain.normalization)
    assert audit_images(table(6), found, AuditSpec()).warnings == ()
