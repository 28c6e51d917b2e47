"""Decisions and tables in, tables out; what no longer fits is said in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.review import ReviewRow, apply_review, replay, without_confirmed
from holotype.types import DUPLICATE_PAIRS, AuditReport, ImageTable

CLASSES = ("cat", "dog", "red fox")


def table(kind: str = "multiclass") -> ImageTable:
    """Six samples of one image, one of two, one to predict."""
    ids = ["a", "b", "c", "d", "e", "f", "g1", "g2", "t"]
    samples = ["a", "b", "c", "d", "e", "f", "g", "g", "t"]
    labels = [[0], [1], [2], [0], [1], [2], [0], [0], None]
    frame = pl.DataFrame(
        {
            "id": ids,
            "sample": samples,
            "role": ["train"] * 8 + ["test"],
            "files": [[f"{name}.png"] for name in ids],
            "labels": pl.Series(labels, dtype=pl.List(pl.Int64)),
            "domain": pl.Series([None] * 9, dtype=pl.String),
        }
    )
    return ImageTable(frame, CLASSES, kind)  # type: ignore[arg-type]


def audit(links: list[tuple[int, int, int, str]]) -> AuditReport:
    """A report with the clusters that some links make."""
    rows = sorted({(cluster, row) for cluster, *ends, _ in links for row in ends})
    clusters = pl.DataFrame(
        {"cluster": [cluster for cluster, _ in rows], "row": [row for _, row in rows]},
        schema={"cluster": pl.Int64, "row": pl.Int64},
    )
    frame = pl.DataFrame([(*link, 2, 0.9) for link in links], schema=DUPLICATE_PAIRS, orient="row")
    return AuditReport(clusters, pl.DataFrame(), np.empty(0, np.int64), duplicate_pairs=frame)


NEAR = audit([(0, 0, 1, "near"), (0, 1, 2, "near"), (0, 2, 3, "near"), (1, 4, 5, "exact")])


def reviewed(*rows: ReviewRow, kind: str = "multiclass"):  # type: ignore[no-untyped-def]
    return apply_review(replay(rows), table(kind), NEAR)


def test_a_relabelled_sample_has_its_new_label_in_all_its_images() -> None:
    made = reviewed(ReviewRow("sample", "g", "relabel", ("cat",), ("red fox",)))
    assert made.images.frame["labels"].to_list()[6:8] == [[2], [2]]
    assert made.original.frame["labels"].to_list()[6:8] == [[0], [0]]
    assert made.images.frame.drop("labels").equals(made.original.frame.drop("labels"))
    assert made.warnings == ()
    assert made.confirmed == {"g"}


def test_many_labels_may_be_written_by_hand_with_the_recipes_separator() -> None:
    made = apply_review(
        replay([ReviewRow("sample", "a", "relabel", (), ("dog|red fox",)), ReviewRow("sample", "b", "relabel")]),
        table("multilabel"),
        NEAR,
        "|",
    )
    assert made.images.frame["labels"].to_list()[:2] == [[1, 2], []]


def test_a_drop_takes_every_image_of_the_sample_and_nothing_is_said_of_it_twice() -> None:
    about = [("g", "drop"), ("a", "drop"), ("a", "undo")]
    made = reviewed(*(ReviewRow("sample", name, action) for name, action in about))
    assert made.dropped.tolist() == [6, 7]
    assert made.words == ("1 sample dropped from training and scoring by review: g.",)


def test_the_last_decision_counts_and_that_is_said() -> None:
    made = reviewed(ReviewRow("sample", "a", "drop"), ReviewRow("sample", "a", "relabel", ("cat",), ("dog",)))
    assert made.dropped.tolist() == []
    assert made.images.frame["labels"].to_list()[0] == [1]
    assert "the last is used: a" in made.warnings[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ReviewRow("sample", "z", "drop"), "missing from the tables were ignored: z"),
        (ReviewRow("sample", "t", "relabel", (), ("cat",)), "1 test sample were ignored"),
        (ReviewRow("sample", "a", "relabel", (), ("dgo",)), "'dgo' is not a class (did you mean 'dog'?)"),
        (ReviewRow("sample", "a", "relabel", (), ("cat", "dog")), "needs one label, not 2"),
        (
            ReviewRow("sample", "a", "keep", ("dog",)),
            "labels of 1 sample in the tables have changed since the review: a",
        ),
        (ReviewRow("cluster", "z", "split", (), ("a",)), "there is no image z"),
        (ReviewRow("cluster", "e", "split", ("e", "f"), ("f",)), "images with equal pixels were not split: e"),
        (ReviewRow("sample", "a", "undo"), "no decision about the sample 'a' to undo"),
    ],
)
def test_what_no_longer_fits_is_said_and_changes_nothing(row: ReviewRow, words: str) -> None:
    made = reviewed(row)
    assert words in " ".join(made.warnings)
    assert made.digest is None


def test_a_label_that_the_tables_have_already_is_no_change() -> None:
    made = reviewed(ReviewRow("sample", "b", "relabel", ("cat",), ("dog",)))
    assert (made.warnings, made.relabeled.tolist(), made.digest) == ((), [], None)


def test_images_leave_a_cluster_together_where_they_are_linked() -> None:
    made = reviewed(ReviewRow("cluster", "a", "split", ("a", "b", "c", "d"), ("c", "d")))
    assert made.duplicates.cluster.tolist() == [0, 0, 1, 1, 2, 2, -1, -1, -1]
    assert made.duplicates.pairs["cluster"].to_list() == [0, 1, 2]
    assert made.split == 1


def test_the_rest_of_a_cluster_stays_together_even_where_the_link_was_the_one_that_left() -> None:
    made = reviewed(ReviewRow("cluster", "a", "split", ("a", "b", "c", "d"), ("b",)))
    assert made.duplicates.cluster.tolist()[:4] == [0, -1, 0, 0]


def test_all_may_leave_one_another() -> None:
    made = reviewed(
        ReviewRow("cluster", "a", "split", (), ("b", "c", "d")),
        ReviewRow("cluster", "b", "split", ("b", "c", "d"), ("c",)),
        ReviewRow("cluster", "b", "split", ("b", "d"), ("d",)),
    )
    assert made.duplicates.cluster.tolist() == [-1, -1, -1, -1, 0, 0, -1, -1, -1]


def test_what_a_person_settled_is_no_suspect_and_comes_after_what_is() -> None:
    suspects = pl.DataFrame(
        {"position": [0, 1, 2], "sample": ["a", "b", "c"], "quality": [0.1, 0.2, 0.3], "suspect": [True, True, False]}
    )
    left = without_confirmed(suspects, frozenset({"a"}))
    assert left["sample"].to_list() == ["b", "a", "c"]
    assert left["suspect"].to_list() == [True, False, False]


decisions = st.lists(
    st.builds(
        ReviewRow,
        st.just("sample"),
        st.sampled_from([*"abcdefgtz"]),
        st.sampled_from(["keep", "relabel", "drop", "undo"]),
        st.just(()),
        st.sampled_from([(), ("cat",), ("dog",), ("nothing",)]),
    ),
    max_size=15,
)


@given(decisions)
def test_only_what_was_decided_about_changes_and_what_is_undone_changes_nothing(rows: list[ReviewRow]) -> None:
    made = reviewed(*rows)
    about = {row.id for row in replay(rows).decisions}
    untouched = ~made.images.frame["sample"].is_in(list(about))
    assert made.images.frame.filter(untouched).equals(made.original.frame.filter(untouched))
    assert set(made.images.frame["sample"].gather(made.dropped)) <= about
    undone = [replace(row, action="undo") for row in reversed(replay(rows).decisions)]
    nothing = reviewed(*rows, *undone)
    assert nothing.digest is None
    assert nothing.images.frame.equals(table().frame)
