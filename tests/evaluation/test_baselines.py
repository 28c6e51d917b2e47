"""Baselines and group checks: scikit-learn as the oracle, and what they say of easy tasks."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from holotype.core.errors import DataError
from holotype.evaluation.baselines import (
    predict_baselines,
    predict_forest,
    predict_majority,
    predict_nearest,
    predict_stratified_random,
    score_baselines,
)
from holotype.evaluation.group_checks import check_group, label_group_association, nearest_group_accuracy
from holotype.evaluation.metrics import ScoredSamples
from holotype.types import LabelMatrix

FOLDS = np.arange(240) % 4


def draw_problem(separation: float, samples: int = 240, classes: int = 3, seed: int = 0):
    """Labels, and features of which the first shifts with the class."""
    generator = np.random.default_rng(seed)
    label = generator.choice(classes, samples, p=np.array([0.6, 0.3, 0.1]))
    features = generator.normal(size=(samples, 4))
    features[:, 0] += separation * label
    features[:, 1] *= 1_000  # the scale must not matter
    return label, np.eye(classes, dtype=bool)[label], features


def test_the_majority_is_that_of_scikit_learn_in_the_other_folds() -> None:
    label, truth, features = draw_problem(0)
    predictions = predict_majority(truth, FOLDS, "multiclass")
    for fold in range(4):
        inside = fold == FOLDS
        oracle = DummyClassifier(strategy="prior").fit(features[~inside], label[~inside])
        np.testing.assert_array_equal(predictions.decided[inside].argmax(axis=1), oracle.predict(features[inside]))
        chance = np.exp(predictions.logits[inside])
        np.testing.assert_allclose(chance, oracle.predict_proba(features[inside]), rtol=1e-5)


def test_the_majority_of_several_labels_is_those_of_half_of_the_samples() -> None:
    truth = np.zeros((8, 3), bool)
    truth[:, 0], truth[:4, 1] = True, True
    decided = predict_majority(truth, np.arange(8) % 2, "multilabel").decided
    np.testing.assert_array_equal(decided, np.tile([True, True, False], (8, 1)))
    rare = np.eye(6, dtype=bool)
    assert predict_majority(rare, np.arange(6) % 2, "multilabel").decided.sum() == 6  # never no label at all


def test_the_nearest_neighbor_is_that_of_scikit_learn() -> None:
    label, truth, features = draw_problem(2)
    features[5, 2] = np.nan
    decided = predict_nearest(truth, features, FOLDS, "multiclass", 1).decided
    for fold in range(4):
        inside = fold == FOLDS
        median = np.nanmedian(features[~inside], axis=0)
        filled = np.where(np.isfinite(features), features, median)
        scaler = StandardScaler().fit(filled[~inside])
        oracle = KNeighborsClassifier(1).fit(scaler.transform(filled[~inside]), label[~inside])
        np.testing.assert_array_equal(decided[inside].argmax(axis=1), oracle.predict(scaler.transform(filled[inside])))


def test_random_labels_follow_the_frequencies_and_are_right_as_often_as_expected() -> None:
    label, truth, _ = draw_problem(0)
    decided = predict_stratified_random(truth, FOLDS, "multiclass", 1).decided
    share = np.bincount(label) / len(label)
    assert (decided & truth).any(axis=1).mean() == pytest.approx((share**2).sum(), abs=0.02)
    np.testing.assert_allclose(decided.mean(axis=0), share, atol=0.08)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_the_forest_learns_from_the_other_folds_only(kind) -> None:
    label, truth, features = draw_problem(4)
    truth = truth if kind == "multiclass" else np.stack([label > 0, label > 1, label < 0], axis=1)
    decided = predict_forest(truth, features, FOLDS, kind, 1).decided
    assert (decided == truth).all(axis=1).mean() > 0.85
    shuffled = np.random.default_rng(2).permutation(truth)
    assert (predict_forest(shuffled, features, FOLDS, kind, 1).decided == shuffled).all(axis=1).mean() < 0.62
    np.testing.assert_array_equal(decided, predict_forest(truth, features, FOLDS, kind, 1).decided)


def test_a_run_is_compared_with_each_baseline_and_close_ones_are_named() -> None:
    _, truth, features = draw_problem(4)
    predictions, notes = predict_baselines(truth, features, FOLDS, "multiclass", 1)
    assert [part.name for part in predictions] == [
        "majority class", "stratified random", "nearest neighbor", "random forest"
    ]  # fmt: skip
    assert notes == []
    run = ScoredSamples(truth, truth.copy(), 6 * truth.astype(np.float32), "multiclass")
    result = score_baselines(predictions, run, np.arange(240) // 6, "macro_f1", 1)
    content = result.to_json()
    json.dumps(content, allow_nan=False)
    for entry in content:
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert entry["difference"]["value"] == pytest.approx(1 - entry["value"])
        assert entry["groups"] == 40
    assert content[0]["method"].startswith("the most frequent class of the other folds; ")
    (warning,) = [text for text in result.sentences() if "random forest" in text]
    assert "% of what the run (1.000) gains over chance" in warning
    blind = score_baselines(
        predictions[:1], ScoredSamples(truth, predictions[0].decided, run.logits, "multiclass"), None, "macro_f1", 1
    )
    assert "may come from the class frequencies alone" in blind.sentences()[0]


def test_a_run_far_above_its_baselines_has_no_warning() -> None:
    _, truth, features = draw_problem(0)
    predictions, _ = predict_baselines(truth, features, FOLDS, "multiclass", 1)
    run = ScoredSamples(truth, truth.copy(), 6 * truth.astype(np.float32), "multiclass")
    assert score_baselines(predictions, run, None, "macro_f1", 1).sentences() == []


def test_thousands_of_classes_do_without_the_forest() -> None:
    label = np.tile(np.arange(2_100), 2)
    truth = LabelMatrix.from_pairs(np.arange(4_200), label, (4_200, 2_100))
    features = np.column_stack([label, np.zeros(4_200)]).astype(float)
    predictions, notes = predict_baselines(truth, features, np.arange(4_200) // 2_100, "multiclass", 1)
    assert notes == ["no random forest, because there are more than 200 classes"]
    assert predictions[2].decided.equals(truth)  # each sample's nearest in the other fold is its class
    run = ScoredSamples(truth, truth, predictions[2].logits, "multiclass")
    assert score_baselines(predictions[2:], run, None, "macro_f1", 1).baselines[0].difference.value == 0


def test_one_fold_is_refused_and_no_features_leave_two_baselines() -> None:
    _, truth, _ = draw_problem(0)
    with pytest.raises(DataError, match="at least two folds"):
        predict_majority(truth, np.zeros(240, np.int64), "multiclass")
    predictions, notes = predict_baselines(truth, None, FOLDS, "multiclass", 1)
    assert len(predictions) == 2
    assert "without image statistics" in notes[0]


def test_mutual_information_is_that_of_scikit_learn_and_its_null_that_of_chance() -> None:
    generator = np.random.default_rng(4)
    labels, groups = generator.integers(0, 4, 300), generator.integers(0, 20, 300)
    chance = label_group_association(labels, groups, 1)
    assert chance.value == pytest.approx(normalized_mutual_info_score(labels, groups))
    assert chance.adjusted == pytest.approx(adjusted_mutual_info_score(labels, groups), abs=0.01)
    assert chance.p_value > 0.05
    tied = np.where(generator.random(300) < 0.8, groups % 4, labels)
    strong = label_group_association(tied, groups, 1)
    assert strong.adjusted == pytest.approx(adjusted_mutual_info_score(tied, groups), abs=0.01)
    assert strong.p_value == pytest.approx(1 / 200)


def test_statistics_that_tell_the_group_are_recognized() -> None:
    generator = np.random.default_rng(5)
    groups = np.arange(200) % 10
    noise = generator.normal(size=(200, 3))
    assert nearest_group_accuracy(groups, noise, 1).p_value > 0.05
    shifted = noise + 20 * np.eye(10)[groups][:, :3]
    result = nearest_group_accuracy(groups, shifted, 1)
    assert result.expected == pytest.approx(19 / 199, abs=0.02)
    assert result.p_value == pytest.approx(1 / 200)


def test_a_shortcut_by_plate_is_named() -> None:
    generator = np.random.default_rng(6)
    plate = np.arange(240) // 20
    truth = np.eye(3, dtype=bool)[plate % 3]
    features = generator.normal(size=(240, 2), scale=0.1) + plate[:, None]
    check = check_group(pl.Series("plate", [f"p{number}" for number in plate]), truth, features, 1)
    assert check.groups == 12
    assert len(check.sentences()) == 3
    assert "a network can recognize the plate" in check.sentences()[2]
    json.dumps(check.to_json(), allow_nan=False)
    labels = np.eye(3, dtype=bool)[generator.integers(0, 3, 240)]
    assert check_group(pl.Series("plate", plate), labels, generator.normal(size=(240, 2)), 1).sentences() == []
    assert check_group(pl.Series("plate", np.arange(240)), truth, features, 1) is None
    assert check_group(pl.Series("plate", [1] * 240), truth, features, 1) is None
