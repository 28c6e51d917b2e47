"""Which rows train and which validate."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from holotype.recipe.sections import ModelSpec
from holotype.training import plan_fit
from holotype.types import Folds, ImageTable, Normalization

SCALE = Normalization((0.0,), (1.0,))
ROLES = ["train"] * 6 + ["external"] * 3 + ["test"] * 2
SAMPLES = ["a", "a", "b", "c", "c", "d", "x", "y", "y", "t", "u"]
FOLD_OF_SAMPLE = [0, 1, 0, 1, -1, 1, -1, -1]  # a b c d x y t u


def table(roles: list[str], samples: list[str]) -> ImageTable:
    rows = len(roles)
    frame = pl.DataFrame(
        {
            "id": [f"i{row}" for row in range(rows)],
            "sample": samples,
            "role": roles,
            "files": [[f"{row}.png"] for row in range(rows)],
            "labels": [None if role == "test" else [0] for role in roles],
            "domain": [None] * rows,
        },
        schema_overrides={"labels": pl.List(pl.Int64), "domain": pl.String},
    )
    return ImageTable(frame, ("k", "l"), "multiclass")


def folds(fold_of_sample: list[int], left_out: list[int]) -> Folds:
    return Folds(pl.DataFrame(), np.array(fold_of_sample), 3, (0, 1, 2), np.array(left_out, np.int64))


def planned(fold: int, left_out: list[int]) -> tuple[list[int], list[int]]:
    job = plan_fit(table(ROLES, SAMPLES), folds(FOLD_OF_SAMPLE, left_out), fold, ModelSpec(), 1, SCALE)
    return job.train_rows.tolist(), job.validation_rows.tolist()


def test_the_other_folds_and_the_external_rows_of_no_fold_train() -> None:
    train, validation = planned(0, [])
    assert train == [2, 5, 6, 7, 8]
    assert validation == [0, 1, 3, 4]


def test_external_rows_tied_to_a_fold_do_not_train_its_model_and_are_not_validated() -> None:
    train, validation = planned(1, [])
    assert train == [0, 1, 3, 4, 6]  # y, of rows 7 and 8, shares a group with fold 1
    assert validation == [2, 5]


def test_samples_left_out_neither_train_nor_validate() -> None:
    train, validation = planned(0, [0, 3, 4])
    assert train == [2, 7, 8]
    assert validation == [3, 4]


@given(st.data())
def test_no_test_row_and_no_row_of_the_fold_ever_trains(data: st.DataObject) -> None:
    samples = data.draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=20))
    role_of = {name: data.draw(st.sampled_from(["train", "external", "test"])) for name in "abcdefgh"}
    roles = [role_of[name] for name in samples]
    images = table(roles, samples)
    order = images.samples.frame["sample"].to_list()
    least = {"train": 0, "external": -1, "test": -1}
    most = {"train": 2, "external": 2, "test": -1}
    numbers = [data.draw(st.integers(least[role_of[name]], most[role_of[name]])) for name in order]
    left_out = data.draw(st.lists(st.integers(0, len(order) - 1), unique=True))
    fold = data.draw(st.integers(0, 2))
    job = plan_fit(images, folds(numbers, left_out), fold, ModelSpec(), 1, SCALE)
    of_row = np.array(numbers)[images.sample_numbers]
    role = np.array(roles)
    assert set(role[job.train_rows]) <= {"train", "external"}
    assert not (of_row[job.train_rows] == fold).any()
    assert set(role[job.validation_rows]) <= {"train"}
    assert (of_row[job.validation_rows] == fold).all()
    used = np.concatenate([job.train_rows, job.validation_rows])
    assert len(set(used.tolist())) == len(used)
    assert not np.isin(images.sample_numbers[used], left_out).any()
    kept = np.flatnonzero((role != "test") & ~np.isin(images.sample_numbers, left_out))
    assert set(kept[of_row[kept] != fold]) == set(job.train_rows)
