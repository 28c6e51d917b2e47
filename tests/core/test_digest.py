"""Content addresses: equal things have one, different things have two."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from holotype.core.digest import (
    changed_names,
    digest_array,
    digest_file,
    digest_file_stats,
    digest_folder,
    digest_value,
)


def test_a_digest_is_16_digits_and_stays_the_same_between_versions():
    assert digest_value({"a": [1, 2.5, None, "é"]}) == "f3259ba158fd0e43"
    assert digest_array(np.arange(3, dtype=np.int64)) == "65b669fb5c599638"


def test_the_order_of_keys_does_not_count_and_the_order_of_a_list_does():
    assert digest_value({"a": 1, "b": {"c": 2, "d": 3}}) == digest_value({"b": {"d": 3, "c": 2}, "a": 1})
    values = [
        {"a": [1, 2]},
        {"a": [2, 1]},
        {"a": [1.5, 2]},
        {"a": ["1", "2"]},
        {"b": [1, 2]},
        [1, 2],
        None,
        "",
        0,
        False,
    ]
    assert len({digest_value(value) for value in values}) == len(values)


def test_type_shape_and_values_of_an_array_count_and_its_place_in_memory_does_not():
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    others = [array.T, array.reshape(4, 3), array.astype(np.int64), array.view(np.float32), array + 1, array[:0]]
    assert len({digest_array(one) for one in [array, *others]}) == 1 + len(others)
    assert digest_array(np.asfortranarray(array)) == digest_array(array)
    assert digest_array(np.repeat(array, 2, axis=1)[:, ::2]) == digest_array(array)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array(["a", "bc"]), np.array(["a", "cb"])),
        (np.array([True, False]), np.array([False, True])),
        (np.array(["2020-01-01"], "datetime64[D]"), np.array(["2020-01-02"], "datetime64[D]")),
        (np.array(1.5), np.array(2.5)),
        (np.float16([1, 2]), np.float16([1, 3])),
        (np.empty((0, 2)), np.empty((2, 0))),
    ],
)
def test_arrays_of_every_kind_have_a_digest(one, other):
    assert digest_array(one) == digest_array(one.copy())
    assert digest_array(one) != digest_array(other)


def test_a_file_is_its_bytes(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for file in (one, other):
        file.write_bytes(b"x" * (1 << 20) + b"end")
    assert digest_file(one) == digest_file(other)
    other.write_bytes(b"x" * (1 << 20) + b"eNd")
    assert digest_file(one) != digest_file(other)


def test_a_folder_is_the_names_and_bytes_of_its_files(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    (tmp_path / "log").write_text("now")
    before = digest_folder(tmp_path, without=["log"])
    (tmp_path / "log").write_text("later")
    assert digest_folder(tmp_path, without=["log"]) == before != digest_folder(tmp_path)
    (tmp_path / "inner" / "a").rename(tmp_path / "inner" / "c")
    assert digest_folder(tmp_path, without=["log"]) != before


def test_size_time_and_absence_of_files_tell_versions_apart(tmp_path):
    file = tmp_path / "a.png"
    seen = [digest_file_stats([str(file)])]
    for text, time in (("one", 1_000), ("two", 1_000), ("three", 1_000), ("three", 2_000)):
        file.write_text(text)
        os.utime(file, ns=(time, time))
        seen.append(digest_file_stats([str(file)]))
    assert len(set(seen)) == 5
    assert digest_file_stats([str(file)]) == seen[-1]


def test_a_file_that_is_replaced_with_its_size_and_time_kept_is_another_version(tmp_path):
    file, other = tmp_path / "a.png", tmp_path / "b.png"
    for path, text in ((file, "one"), (other, "two")):
        path.write_text(text)
        os.utime(path, ns=(1_000, 1_000))
    before = digest_file_stats([str(file)])
    shutil.copy2(other, file)  # as `cp -p` does
    copied = digest_file_stats([str(file)])
    other.replace(file)  # as `rsync -a` does
    assert len({before, copied, digest_file_stats([str(file)])}) == 3


def test_every_file_of_a_folder_and_of_a_microscopes_parts_counts(tmp_path):
    (tmp_path / "a.zarr" / "0").mkdir(parents=True)
    (tmp_path / "_scan_" / "stack1").mkdir(parents=True)
    for name in ("a.zarr/0/0.0", "a.zarr/.zarray", "scan.vsi", "_scan_/stack1/frame.ets"):
        (tmp_path / name).write_text("one")
    addresses = [str(tmp_path / "a.zarr"), str(tmp_path / "scan.vsi")]
    seen = [digest_file_stats(addresses)]
    for name in ("a.zarr/0/0.0", "_scan_/stack1/frame.ets"):
        (tmp_path / name).write_text("two")
        seen.append(digest_file_stats(addresses))
    (tmp_path / "a.zarr" / "0" / "0.1").write_text("new")
    seen.append(digest_file_stats(addresses))
    assert len(set(seen)) == 4


def test_a_folder_that_is_moved_holds_the_same_versions(tmp_path):
    (tmp_path / "one").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "one" / name).write_text(name)
    before = digest_file_stats([str(tmp_path / "one" / name) for name in ("b.png", "a.png")])
    (tmp_path / "one").rename(tmp_path / "two")
    assert digest_file_stats([str(tmp_path / "two" / name) for name in ("b.png", "a.png")]) == before
    assert digest_file_stats([str(tmp_path / "two" / name) for name in ("a.png", "b.png")]) != before


def test_the_names_of_what_changed_came_or_went_are_told_in_order():
    assert changed_names({"same": "1", "b": "1", "gone": "1"}, {"same": "1", "b": "2", "a": "1"}) == ["a", "b", "gone"]
    assert changed_names({"a": "1"}, {"a": "1"}) == []
