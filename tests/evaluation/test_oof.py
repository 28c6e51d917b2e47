"""Scores of samples, and the proof that no network scored what it saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax

from holotype.core.errors import HolotypeError, RecipeError
from holotype.evaluation import POOLS, gather_oof, gather_test, pool_images


def swapped(parts, number, **changes):
    return [replace(part, **changes) if index == number else part for index, part in enumerate(parts)]


def test_every_training_sample_of_the_used_folds_is_scored_once(make):
    for used in ((0, 1, 2, 3), (2,)):
        run = make(used=used)
        oof = gather_oof(run.predictions(), run.folds, run.images)
        training = run.images.samples.of_role("train")
        expected = training[np.isin(run.folds.fold_of_sample[training], used)]
        np.testing.assert_array_equal(oof.samples, expected)
        np.testing.assert_array_equal(oof.folds, run.folds.fold_of_sample[expected])


def test_the_images_of_a_sample_are_pooled(run):
    oof = gather_oof(run.predictions(), run.folds, run.images)
    for place in (0, 1, 9):
        rows = run.images.sample_numbers == oof.samples[place]
        np.testing.assert_allclose(oof.logits[place], run.logits[rows].mean(axis=0), rtol=1e-5)


def test_the_order_of_predictions_and_rows_changes_nothing(run):
    parts = run.predictions()
    turned = [replace(part, rows=part.rows[::-1], logits=part.logits[::-1]) for part in parts[::-1]]
    first, second = (gather_oof(each, run.folds, run.images) for each in (parts, turned))
    np.testing.assert_array_equal(first.samples, second.samples)
    np.testing.assert_allclose(first.logits, second.logits, rtol=1e-6)


def test_a_network_that_may_have_seen_the_rows_is_refused_by_their_ids(run):
    parts = run.predictions()
    with pytest.raises(HolotypeError, match=r"a network of another fold.*image0"):
        gather_oof(swapped(parts, 0, fold=1), run.folds, run.images)


def test_a_row_that_was_not_scored_is_named(run):
    parts = run.predictions()
    short = swapped(parts, 0, rows=parts[0].rows[1:], logits=parts[0].logits[1:])
    with pytest.raises(HolotypeError, match="no out-of-fold score: image0"):
        gather_oof(short, run.folds, run.images)
    with pytest.raises(HolotypeError, match="no out-of-fold score"):
        gather_oof(parts[1:], run.folds, run.images)


def test_a_row_that_was_scored_twice_is_named(run):
    with pytest.raises(HolotypeError, match="more than one out-of-fold score: image0"):
        gather_oof([*run.predictions(), run.predictions()[0]], run.folds, run.images)


@pytest.mark.parametrize("role", ["external", "test"])
def test_rows_that_are_not_training_rows_are_refused(run, role):
    parts, row = run.predictions(), run.images.rows_of_role(role)[:1]
    fold = int(run.folds.fold_of_sample[run.images.sample_numbers[row[0]]])
    extra = replace(parts[0], fold=fold, rows=row, logits=run.logits[row])
    with pytest.raises(HolotypeError, match=f"no training rows of a trained fold.*image{row[0]}"):
        gather_oof([*parts, extra], run.folds, run.images)


def test_samples_that_were_left_out_are_neither_needed_nor_welcome(run):
    folds = replace(run.folds, left_out=np.array([0]))
    with pytest.raises(HolotypeError, match="no training rows"):
        gather_oof(run.predictions(), folds, run.images)
    parts = run.predictions()
    kept = run.images.sample_numbers[parts[0].rows] != 0
    oof = gather_oof(swapped(parts, 0, rows=parts[0].rows[kept], logits=parts[0].logits[kept]), folds, run.images)
    assert 0 not in oof.samples


def test_a_fold_that_is_not_used_is_refused(make):
    run, other = make(used=(0,)), make(used=(1,))
    with pytest.raises(HolotypeError, match="of a trained fold"):
        gather_oof([*run.predictions(), *other.predictions()], run.folds, run.images)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_named(run, value):
    parts = run.predictions()
    logits = parts[0].logits.copy()
    logits[0, 1] = value
    with pytest.raises(HolotypeError, match="not finite numbers: image0"):
        gather_oof(swapped(parts, 0, logits=logits), run.folds, run.images)


def test_models_are_not_mixed(run):
    with pytest.raises(HolotypeError, match="several models: b1, b2"):
        gather_oof([*run.predictions(), run.predictions("b2")[0]], run.folds, run.images)


def test_other_classes_and_other_tables_are_refused(run):
    parts = run.predictions()
    with pytest.raises(HolotypeError, match="3 classes have logits of shape"):
        gather_oof(swapped(parts, 0, logits=parts[0].logits[:, :2]), run.folds, run.images)
    with pytest.raises(HolotypeError, match="not in the table"):
        gather_oof(swapped(parts, 0, rows=parts[0].rows + 10_000), run.folds, run.images)
    with pytest.raises(HolotypeError, match="no predictions"):
        gather_oof([], run.folds, run.images)


def test_test_scores_are_the_mean_over_the_folds(run):
    found = gather_test(run.test_predictions(), run.images, run.images.rows_of_role("test"))
    np.testing.assert_array_equal(found.samples, run.images.samples.of_role("test"))
    rows = run.images.sample_numbers == found.samples[0]
    np.testing.assert_allclose(found.logits[0], run.logits[rows].mean(axis=0) + 1.5, rtol=1e-5)


def test_every_network_scores_every_test_row_once(run):
    parts, expected = run.test_predictions(), run.images.rows_of_role("test")
    short = swapped(parts, 1, rows=parts[1].rows[1:], logits=parts[1].logits[1:])
    with pytest.raises(HolotypeError, match="not scored by the network of fold 1"):
        gather_test(short, run.images, expected)
    with pytest.raises(HolotypeError, match="twice by the network of fold 0"):
        gather_test([*parts, parts[0]], run.images, expected)
    with pytest.raises(HolotypeError, match="not among the rows to predict"):
        gather_test(swapped(parts, 0, rows=parts[0].rows - 1), run.images, expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_pooled_probabilities_are_the_means_of_probabilities(seed):
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=3, size=(12, 4)).astype(np.float32)
    owners = generator.integers(0, 4, 12)
    samples, pooled = pool_images(owners, logits, "multilabel", "mean-probability")
    expected = [logit(expit(logits[owners == sample].astype(float)).mean(axis=0)) for sample in samples]
    np.testing.assert_allclose(pooled, expected, rtol=1e-3, atol=1e-4)
    samples, pooled = pool_images(owners, logits, "multiclass", "mean-probability")
    expected = [softmax(logits[owners == sample].astype(float), axis=1).mean(axis=0) for sample in samples]
    np.testing.assert_allclose(softmax(pooled, axis=1), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("owners", [[5, 2, 9], [5, 2, 5]])
def test_samples_come_in_order_whatever_the_order_of_their_images(owners):
    samples, pooled = pool_images(np.array(owners), np.float32([[1, 0], [2, 0], [1, 0]]), "multilabel", "max")
    assert samples.tolist() == sorted(set(owners))
    assert pooled[:2].tolist() == [[2, 0], [1, 0]]


def test_the_largest_score_of_a_sample_does_not_depend_on_a_constant_of_an_image():
    logits = np.float32([[2, 0], [0, 1]])
    owners = np.array([7, 7])
    assert pool_images(owners, logits, "multilabel", "max")[1].tolist() == [[2, 1]]
    first = pool_images(owners, logits, "multiclass", "max")[1]
    moved = pool_images(owners, logits + np.float32([[100], [0]]), "multiclass", "max")[1]
    np.testing.assert_allclose(first, moved, atol=1e-5)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
@pytest.mark.parametrize("pool", POOLS)
def test_sure_scores_stay_finite_and_equal_images_pool_to_themselves(pool, kind):
    logits = np.repeat(np.float32([[300, -300, 0]]), 3, axis=0)
    pooled = pool_images(np.array([1, 1, 1]), logits, kind, pool)[1]
    assert np.isfinite(pooled).all()
    np.testing.assert_allclose(pooled[0] - pooled[0, 2], [300, -300, 0], rtol=1e-5)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(RecipeError, match="did you mean 'mean-logit'"):
        pool_images(np.array([0]), np.zeros((1, 2), np.float32), "multiclass", "mean-logits")
