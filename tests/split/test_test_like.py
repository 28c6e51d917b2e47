"""A holdout that resembles the test set, and a group a fold."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from holotype.core.errors import DataError
from holotype.recipe.sections import SplitSpec
from holotype.split import adversarial_auc, choose_like_test, discriminate, make_folds, matching_features
from holotype.types import AuditReport, ImageTable


def shifted(seed: int = 0, train: int = 1500, test: int = 800) -> tuple[np.ndarray, np.ndarray]:
    """Training samples, of which a part follows the test samples' distribution."""
    generator = np.random.default_rng(seed)
    usual, other = generator.normal(0, 1, (train, 4)), generator.normal(0, 1, (test, 4))
    other[:, 0] = other[:, 0] * 0.6 + 1.2
    return np.vstack([usual, other]).astype(np.float32), np.arange(train + test) >= train


def table(train: int, test: int, groups: np.ndarray | None = None) -> ImageTable:
    count = train + test
    ids = pl.Series("id", [f"i{row}" for row in range(count)])
    labels = [[row % 3] if row < train else None for row in range(count)]
    frame = pl.DataFrame(
        {
            "id": ids,
            "sample": ids,
            "role": ["train"] * train + ["test"] * test,
            "files": [[name] for name in ids],
            "labels": pl.Series(labels, dtype=pl.List(pl.Int64)),
            "domain": pl.Series([None] * count, dtype=pl.String),
        }
    )
    if groups is not None:
        frame = frame.with_columns(pl.Series("group.plate", [f"p{number}" for number in groups]))
    return ImageTable(frame, ("a", "b", "c"), "multiclass")


NOTHING = AuditReport(
    pl.DataFrame(schema={"cluster": pl.Int64, "row": pl.Int64, "action": pl.String}),
    pl.DataFrame(),
    np.empty(0, np.int64),
)


def test_the_holdout_is_harder_to_tell_from_the_test_set_than_random_samples():
    features, is_test = shifted()
    units = np.arange(len(features))
    found = discriminate(features, is_test, units, 1)
    assert found.train_test_features["feature"][0] == "column 0"
    matching = matching_features(features, found.probability, is_test, 1)
    labels = np.random.default_rng(1).random((1500, 5)) < 0.2
    chosen = choose_like_test(matching[~is_test], matching[is_test].mean(axis=0), labels, units[~is_test], 300, 1)
    assert chosen.sum() == pytest.approx(300, abs=5)
    assert np.abs(labels[chosen].mean(axis=0) - labels.mean(axis=0)).max() < 0.02

    def judged(rows: np.ndarray) -> float:
        both = np.concatenate([rows, np.flatnonzero(is_test)])
        return adversarial_auc(features[both], is_test[both], units[both], 1)

    random = judged(np.random.default_rng(2).choice(1500, 300, replace=False))
    assert abs(judged(np.flatnonzero(chosen)) - 0.5) < abs(random - 0.5) / 2


def test_units_stay_whole_and_every_class_is_on_both_sides():
    features, is_test = shifted(3, 400, 200)
    units = np.repeat(np.arange(100), 4)
    labels = np.zeros((400, 2), bool)
    labels[:8, 0] = True  # two units
    matching = matching_features(features, np.full(600, 0.5), is_test, 1)
    chosen = choose_like_test(matching[~is_test], matching[is_test].mean(axis=0), labels, units, 80, 1)
    assert all(len(set(chosen[units == unit])) == 1 for unit in range(100))
    assert set(chosen[:8]) == {True, False}
    assert chosen.sum() == pytest.approx(80, abs=8)


def test_fold_0_is_the_holdout_and_the_others_are_stratified():
    features, _ = shifted()
    images = table(1500, 800)
    named = ([f"f{number}" for number in range(4)], features)
    folds = make_folds(images, NOTHING, SplitSpec(folds=4, like_test=300, folds_to_train=[0]), 1, named)
    sizes = np.bincount(folds.fold_of_sample[:1500])
    assert sizes[0] == pytest.approx(300, abs=5)
    assert np.ptp(sizes[1:]) <= 3
    assert folds.used == (0,)
    assert folds.train_test_similarity["in_holdout"].sum() == sizes[0]
    assert "can be told apart" in folds.warnings[-1]
    assert (folds.fold_of_sample[1500:] == -1).all()


def test_like_test_needs_test_rows():
    with pytest.raises(DataError, match="like_test"):
        make_folds(table(60, 0), NOTHING, SplitSpec(like_test=True), 1, (["a"], np.zeros((60, 1), np.float32)))


def test_a_group_a_fold():
    groups = np.arange(60) // 5
    folds = make_folds(table(60, 0, groups), NOTHING, SplitSpec(folds="leave-group-out", folds_to_train=[0, 3]), 1)
    assert folds.count == 12
    assert (folds.fold_of_sample == groups).all()
    assert folds.used == (0, 3)
    with pytest.raises(DataError, match="there is no fold 12"):
        make_folds(table(60, 0, groups), NOTHING, SplitSpec(folds="leave-group-out", folds_to_train=[12]), 1)
    with pytest.raises(DataError, match="at least two independent groups"):
        make_folds(table(60, 0, np.zeros(60)), NOTHING, SplitSpec(folds="leave-group-out"), 1)
