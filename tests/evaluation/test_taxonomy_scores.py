"""Scores by rank, and of answers whose thresholds never saw the fold they answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from holotype.evaluation import score_nested
from holotype.evaluation.metrics import ScoredSamples, probabilities, resample_groups
from holotype.evaluation.taxonomy_scores import back_off_table, rank_table
from holotype.postprocessing.decision import (
    CalibrationStep,
    DecisionContext,
    DecisionStep,
    back_off_answers,
    fit_back_off,
)
from holotype.recipe.sections import CalibrationSpec
from holotype.types import NO_RANKS, Ranks

TAXONOMY = pl.DataFrame({"class": ["round", "spindle", "star"], "shape": ["smooth", "smooth", "pointed"]})
RANKS = Ranks(("genus",), (("G", "H"),), ((0, 0, 1),))
SPECIES = np.eye(3, dtype=bool)


class Mean:
    """The mean of the models' logits; learns nothing."""

    name, learns = "the mean", False

    def fit(self, evidence, truth):
        return lambda models: np.mean([model.logits for model in models], axis=0)


def chain(target: float | None, ranks: Ranks) -> list:
    facts = DecisionContext(("round", "spindle", "star"), "multiclass")
    back_off = CalibrationStep(CalibrationSpec(back_off=target), "multiclass", ranks=ranks)
    return [Mean(), back_off, DecisionStep(None, facts)]


def test_thresholds_never_see_the_fold_they_answer(run):
    images = replace(run.images, taxonomy=TAXONOMY)
    oof = run.oof(noise=1.5)
    nested = score_nested([oof], images.samples, run.folds, chain(0.8, images.ranks), "accuracy", 1)
    said, rank, taxon = probabilities(oof.logits, "multiclass"), *(np.empty(len(oof.folds), int) for _ in range(2))
    for fold in np.unique(oof.folds):
        inside = oof.folds == fold
        fitted = fit_back_off(said[~inside], nested.truth[~inside], 0.8, images.ranks)
        rank[inside], taxon[inside] = back_off_answers(fitted, said[inside])
    kinds = nested.truth.argmax(axis=1)
    right = np.where(rank == 0, taxon == kinds, taxon == np.array([0, 0, 1])[kinds])
    species, shape = nested.scorecard.back_off
    assert (species["rank"], shape["rank"], shape["target"]) == ("class", "shape", 0.8)
    assert species["share"] == species["coverage"] == pytest.approx((rank == 0).mean())
    assert species["accuracy"] == pytest.approx(right[rank == 0].mean())
    assert shape["right"] == pytest.approx(right[rank == 1].mean())
    assert shape["coverage"] == pytest.approx((rank >= 0).mean())
    assert shape["accuracy"] == pytest.approx(right[rank >= 0].mean())
    assert shape["low"] <= shape["accuracy"] <= shape["high"]
    assert "the calibration" in nested.scorecard.metrics["accuracy"].method


def test_backing_off_changes_no_score(run):
    images = replace(run.images, taxonomy=TAXONOMY)
    plain = score_nested([run.oof()], run.images.samples, run.folds, chain(None, NO_RANKS), "accuracy", 1)
    backed = score_nested([run.oof()], images.samples, run.folds, chain(0.8, images.ranks), "accuracy", 1)
    for name, metric in plain.scorecard.metrics.items():
        other = backed.scorecard.metrics[name]
        assert (metric.value, metric.low, metric.high) == (other.value, other.low, other.high)
    assert (plain.scorecard.ranks, plain.scorecard.back_off) == ([], [])


def test_without_a_taxonomy_only_classes_are_answered(run):
    nested = score_nested([run.oof()], run.images.samples, run.folds, chain(0.8, NO_RANKS), "accuracy", 1)
    assert [one["rank"] for one in nested.scorecard.back_off] == ["class"]
    assert nested.scorecard.ranks == []


def test_the_table_of_ranks_is_the_one_worked_out_by_hand():
    # Truth a, b, c, c; decided b, b, a, c: species 2 of 4 right; genus G, G, G, H against G, G, H, H: 3 of 4.
    truth, decided = SPECIES[[0, 1, 2, 2]], SPECIES[[1, 1, 0, 2]]
    logits = np.log(np.where(decided, [[0.5], [0.6], [0.7], [0.8]], [[0.25], [0.2], [0.15], [0.1]])).astype(np.float32)
    judged = ScoredSamples(truth, decided, logits, "multiclass")
    species, genus = rank_table(judged, RANKS, resample_groups(truth, None, 1, n_resamples=50))
    assert (species["rank"], species["classes"], species["accuracy"]) == ("class", 3, 0.5)
    assert (genus["rank"], genus["classes"], genus["accuracy"]) == ("genus", 2, 0.75)
    assert genus["macro_f1"] == pytest.approx((2 * 2 / (2 * 2 + 1) + 2 * 1 / (2 * 1 + 1)) / 2)
    assert species["hierarchical_f1"] == pytest.approx((2 + 3) / 8)
    assert genus["hierarchical_f1"] == pytest.approx(3 / 4)
    assert [point["coverage"] for point in species["curve"]] == [0.25, 0.5, 0.75, 1]
    assert [point["accuracy"] for point in species["curve"]] == pytest.approx([1, 0.5, 2 / 3, 0.5])
    assert rank_table(judged, NO_RANKS, resample_groups(truth, None, 1, n_resamples=50)) == []


def test_a_rank_at_which_nobody_is_answered_has_no_share_that_is_right():
    rank, taxon = np.array([0, -1, -1]), np.array([0, -1, -1])
    species, genus = back_off_table(
        (rank, taxon), 0.9, SPECIES, RANKS, resample_groups(SPECIES, None, 1, n_resamples=20), 1
    )
    assert (species["share"], species["right"]) == (pytest.approx(1 / 3), 1)
    assert (genus["share"], genus["right"], genus["coverage"]) == (0, None, pytest.approx(1 / 3))
    nobody = (np.full(3, -1), np.full(3, -1))
    empty = back_off_table(nobody, 0.9, SPECIES, RANKS, resample_groups(SPECIES, None, 1, n_resamples=20), 1)[0]
    assert (empty["accuracy"], empty["low"], empty["high"]) == (None, None, None)
