"""Inner rows: a part of the training folds that shares nothing with what trains, nor with the fold left out."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.core.errors import DataError
from holotype.recipe.sections import SplitSpec
from holotype.split import inner_samples, make_folds
from holotype.types import AuditReport, ImageTable

NOTHING = AuditReport(
    pl.DataFrame(schema={"cluster": pl.Int64, "row": pl.Int64, "action": pl.String}),
    pl.DataFrame(),
    np.empty(0, np.int64),
)


def table(labels: list[int], plates: list[int], external: int = 0) -> ImageTable:
    ids = [f"i{number}" for number in range(len(labels))]
    roles = ["train"] * (len(labels) - external) + ["external"] * external
    frame = pl.DataFrame(
        {
            "id": ids,
            "sample": ids,
            "role": roles,
            "files": [[name] for name in ids],
            "labels": [[number] for number in labels],
            "domain": pl.Series([None] * len(ids), dtype=pl.String),
            "group.plate": [str(plate) for plate in plates],
        }
    )
    return ImageTable(frame, tuple(f"c{number}" for number in range(max(labels) + 1)), "multiclass")


@given(st.integers(0, 10_000), st.integers(0, 2))
def test_inner_samples_share_no_group_with_what_trains(seed, fold):
    random = np.random.default_rng(seed)
    images = table(random.integers(0, 3, 120).tolist(), random.integers(0, 30, 120).tolist(), external=20)
    folds = make_folds(images, NOTHING, SplitSpec(folds=3), 1)
    inner = inner_samples(images, folds, fold, seed)
    assert (folds.fold_of_sample[inner] != fold).all()
    assert (images.samples.frame["role"].gather(inner) == "train").all()
    apart = np.isin(folds.component, folds.component[inner])
    plates = images.samples.frame["group.plate"].to_numpy()
    assert not set(plates[apart]) & set(plates[~apart])


def test_every_class_is_among_a_tenth():
    labels = [0] * 300 + [1] * 60 + [2] * 30
    images = table(labels, list(range(390)))
    folds = make_folds(images, NOTHING, SplitSpec(folds=3), 1)
    inner = inner_samples(images, folds, 0, 7)
    assert len(inner) == pytest.approx(26, abs=2)
    counts = np.bincount(np.array(labels)[inner], minlength=3)
    assert counts == pytest.approx([20, 4, 2], abs=1)


def test_seeds_and_folds_draw_anew_and_the_same_draw_again():
    images = table([0, 1] * 60, list(range(120)))
    folds = make_folds(images, NOTHING, SplitSpec(folds=3), 1)
    draws = [tuple(inner_samples(images, folds, fold, seed)) for fold, seed in ((0, 1), (1, 1), (0, 2), (None, 1))]
    assert len(set(draws)) == 4
    assert draws[0] == tuple(inner_samples(images, folds, 0, 1))


def test_one_part_cannot_be_divided():
    images = table([0, 1] * 6, [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    folds = make_folds(images, NOTHING, SplitSpec(folds=2), 1)
    with pytest.raises(DataError, match="leave 1 independent group"):
        inner_samples(images, folds, int(folds.fold_of_sample[0]), 1)
