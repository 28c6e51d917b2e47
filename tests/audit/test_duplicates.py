"""Equal images, and what is done about them."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotype.audit import duplicate_actions, duplicate_conflicts, find_duplicates
from holotype.recipe.sections import DuplicatesSpec
from holotype.types import ImageTable


def actions_of(roles: str, **rules: str) -> list[str]:
    """The actions in one cluster; roles by initial: t(rain), e(xternal), p(redicted: test)."""
    names = {"t": "train", "e": "external", "p": "test"}
    words = np.array([names[letter] for letter in roles])
    return duplicate_actions(np.zeros(len(roles), np.int64), words, DuplicatesSpec(**rules)).tolist()


def test_clusters_are_numbered_by_first_appearance_and_singles_have_none():
    digests = np.array(["z", "a", "b", "a", "z", "c", "z"])
    assert find_duplicates(digests).cluster.tolist() == [0, 1, -1, 1, 0, -1, 0]


def test_images_without_a_digest_are_like_no_other():
    assert find_duplicates(np.array(["", "", "a"])).cluster.tolist() == [-1, -1, -1]
    assert find_duplicates(np.array([], dtype="<U16")).cluster.tolist() == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["", "a", "b", "c", "d", "e"]), max_size=20))
def test_two_images_share_a_cluster_exactly_if_their_digests_are_equal(digests):
    clusters = find_duplicates(np.array(digests, dtype="<U4")).cluster
    for one, other in itertools.combinations(range(len(digests)), 2):
        same = digests[one] == digests[other] != ""
        assert same == (clusters[one] == clusters[other] != -1)


@pytest.mark.parametrize(
    ("roles", "rules", "expected"),
    [
        ("tt", {}, "grouped grouped"),
        ("tt", {"within_train": "drop"}, "kept dropped"),
        ("tt", {"within_train": "keep"}, "kept kept"),
        ("te", {}, "grouped grouped"),
        ("te", {"train_external": "drop"}, "kept dropped"),
        ("te", {"train_external": "keep"}, "kept kept"),
        ("ep", {}, "dropped reported"),
        ("ep", {"external_test": "keep"}, "kept reported"),
        ("tp", {}, "kept reported"),
        ("pp", {}, "reported reported"),
        ("ee", {}, "kept kept"),
        ("tep", {}, "kept dropped reported"),
        ("tep", {"external_test": "keep"}, "grouped grouped reported"),
        ("ette", {"within_train": "drop"}, "grouped grouped dropped grouped"),
        ("tte", {"within_train": "keep"}, "grouped grouped grouped"),  # one twin in two folds would leak
        ("tte", {"train_external": "keep"}, "grouped grouped kept"),
        ("tte", {"train_external": "drop"}, "grouped grouped dropped"),
    ],
)
def test_actions_follow_the_rules(roles, rules, expected):
    assert actions_of(roles, **rules) == expected.split()


def test_images_outside_clusters_have_no_action():
    clusters = np.array([-1, 0, 0, -1, 1, 1])
    roles = np.array(["train", "train", "train", "external", "external", "test"])
    assert duplicate_actions(clusters, roles, DuplicatesSpec()).tolist() == [
        "",
        "grouped",
        "grouped",
        "",
        "dropped",
        "reported",
    ]
    assert duplicate_actions(np.full(6, -1), roles, DuplicatesSpec()).tolist() == [""] * 6


def test_conflicts_compare_label_sets_of_labelled_images_only():
    frame = pl.DataFrame(
        {
            "id": list("abcdefg"),
            "sample": list("abcdefg"),
            "role": ["train", "train", "external", "train", "train", "test", "train"],
            "files": [[""]] * 7,
            "labels": pl.Series([[0, 1], [1, 0], [2], [1], [1], [2], []], dtype=pl.List(pl.Int64)),
            "domain": pl.Series([None] * 7, dtype=pl.String),
        }
    )
    images = ImageTable(frame, ("er", "golgi", "nucleus"), "multilabel")
    conflicts = duplicate_conflicts(images, np.array([0, 0, 0, 1, 1, 1, -1]))
    assert conflicts.to_dicts() == [
        {"cluster": 0, "ids": ["a", "b", "c"], "labels": ["er, golgi", "er, golgi", "nucleus"]}
    ]
    assert duplicate_conflicts(images, np.array([0, 0, -1, -1, -1, -1, -1])).height == 0
    nothing_against_something = duplicate_conflicts(images, np.array([-1, -1, -1, 0, -1, -1, 0]))
    assert nothing_against_something["labels"].to_list() == [["golgi", ""]]
    assert duplicate_conflicts(images, np.full(7, -1)).columns == ["cluster", "ids", "labels"]
