"""Scores of very many classes are judged, chosen and scored as the same scores in full."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from holotype.evaluation import class_table, pool_images, score_nested
from holotype.evaluation.metrics import (
    ScoredSamples,
    bootstrap_intervals,
    calibration_table,
    class_intervals,
    resample_groups,
)
from holotype.postprocessing.decision import CalibrationStep, DecisionContext, DecisionStep, default_labels, top_classes
from holotype.postprocessing.ensemble import EnsembleStep, ModelSelection, diversity_table, fit_ensemble
from holotype.recipe.sections import CalibrationSpec, MeanSpec, TopSpec, WeightedSpec
from holotype.types import Folds, LabelMatrix, OofPredictions, SampleTable, TopKScores, keep_top_k

ROWS, CLASSES = 300, 40
NAMES = ("macro_f1", "micro_f1", "accuracy", "balanced_accuracy", "top_5_accuracy", "log_loss", "calibration_error")
NUMBERS = np.random.default_rng(1).integers(0, CLASSES - 5, ROWS)
TRUTH = np.eye(CLASSES, dtype=bool)[NUMBERS]
GROUPS = np.arange(ROWS) // 3


def said(seed: int, strength: float) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal((ROWS, CLASSES))
    return (noise + strength * TRUTH).astype(np.float32)


ONE, TWO = said(2, 3.0), said(3, 1.5)


def judged(logits: Any, truth: Any = TRUTH) -> ScoredSamples:
    return ScoredSamples(truth, default_labels(logits, "multiclass"), logits, "multiclass")


def same(one: Any, other: Any) -> None:
    assert set(one) == set(other)
    for name, metric in one.items():
        for part in ("value", "low", "high"):
            assert getattr(metric, part) == pytest.approx(getattr(other[name], part), abs=1e-5), (name, part)
        assert metric.prediction_interval == pytest.approx(other[name].prediction_interval, abs=1e-5), name
        assert metric.method == other[name].method


def test_metrics_and_their_intervals_are_those_of_the_scores_in_full() -> None:
    sparse = LabelMatrix.from_dense(TRUTH)
    full, few = resample_groups(TRUTH, GROUPS, 1), resample_groups(sparse, GROUPS, 1)
    np.testing.assert_array_equal(full.same_size, few.same_size)
    many = judged(keep_top_k(ONE, CLASSES), sparse)
    same(bootstrap_intervals(NAMES, judged(ONE), full), bootstrap_intervals(NAMES, many, few))
    assert class_table(judged(ONE), [str(number) for number in range(CLASSES)], full) == class_table(
        many, [str(number) for number in range(CLASSES)], few
    )
    for one, other in zip(class_intervals(judged(ONE), full), class_intervals(many, few), strict=True):
        np.testing.assert_array_equal(one, other)
    table = calibration_table(sparse, keep_top_k(ONE, CLASSES), "multiclass")
    np.testing.assert_allclose(table, calibration_table(TRUTH, ONE, "multiclass"), atol=1e-6)


def test_draws_are_counted_in_parts_and_the_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = resample_groups(TRUTH, GROUPS, 1, n_resamples=300)
    whole = bootstrap_intervals(NAMES, judged(ONE), draws)
    monkeypatch.setattr("holotype.evaluation.metrics.counts.MAX_SUMS_PER_CHUNK", 3_000)
    same(whole, bootstrap_intervals(NAMES, judged(ONE), draws))


def test_the_k_likeliest_are_the_same_classes() -> None:
    made = top_classes(keep_top_k(ONE, 20), 3)
    np.testing.assert_array_equal(LabelMatrix.from_dense(made)[:], top_classes(ONE, 3))


@pytest.mark.parametrize("space", ["logit", "probability"])
def test_weights_fitted_to_the_likeliest_are_those_fitted_to_all(space: str) -> None:
    spec = WeightedSpec(kind="weighted", space=space, shrink_to_equal=0.0)
    choice = EnsembleStep(spec, ("one", "two"), "multiclass")
    folds, samples = np.zeros(ROWS, np.int64), np.arange(ROWS)
    full = [OofPredictions(samples, part, folds) for part in (ONE, TWO)]
    few = [OofPredictions(samples, keep_top_k(part, CLASSES), folds) for part in (ONE, TWO)]
    fitted, again = fit_ensemble(full, TRUTH, choice), fit_ensemble(few, LabelMatrix.from_dense(TRUTH), choice)
    assert fitted.ensemble.weights == pytest.approx(again.ensemble.weights, abs=1e-3)
    made = again(few)
    assert isinstance(made, TopKScores)
    np.testing.assert_array_equal(made.top_classes[:, 0], np.asarray(fitted(full)).argmax(axis=1))
    nearly = [replace(one, logits=keep_top_k(part, 25)) for one, part in zip(few, (ONE, TWO), strict=True)]
    assert fit_ensemble(nearly, TRUTH, choice).ensemble.weights == pytest.approx(fitted.ensemble.weights, abs=0.05)


def test_two_models_are_compared_without_all_their_scores() -> None:
    table = diversity_table([keep_top_k(ONE, CLASSES), keep_top_k(TWO, CLASSES)], ["one", "two"], TRUTH, "multiclass")
    full = diversity_table([ONE, TWO], ["one", "two"], TRUTH, "multiclass")
    for name in ("disagreement", "loss_first", "loss_second", "loss_mean"):
        assert table[0][name] == pytest.approx(full[0][name], abs=1e-5)


def test_images_of_a_sample_are_pooled_from_their_likeliest() -> None:
    owners = np.arange(ROWS) // 2
    for rule in ("mean-logit", "mean-probability", "max", "geometric"):
        samples, few = pool_images(owners, keep_top_k(ONE, CLASSES), "multiclass", rule)
        _, full = pool_images(owners, ONE, "multiclass", rule)
        assert len(samples) == ROWS // 2
        np.testing.assert_array_equal(few.top_classes[:, 0], full.argmax(axis=1))


def nested(parts: list[Any], decide: Any) -> Any:
    frame = pl.DataFrame(
        {
            "sample": [f"s{number}" for number in range(ROWS)],
            "role": ["train"] * ROWS,
            "labels": [[int(number)] for number in NUMBERS],
            "domain": [["x", "y"][number % 2] for number in range(ROWS)],
            "group.plate": [f"p{number}" for number in GROUPS],
        }
    )
    classes = tuple(str(number) for number in range(CLASSES))
    labels = SampleTable(frame, np.arange(ROWS), classes, "multiclass")
    fold = GROUPS % 3
    folds = Folds(pl.DataFrame(), fold, 3, (0, 1, 2), independent_groups=GROUPS)
    oof = [OofPredictions(np.arange(ROWS), part, fold) for part in parts]
    choices = [
        ModelSelection(EnsembleStep(WeightedSpec(kind="weighted"), ("one", "two"), "multiclass"), (("a",), ("b",))),
        CalibrationStep(CalibrationSpec(method="temperature"), "multiclass"),
        DecisionStep(decide, DecisionContext(classes, "multiclass")),
    ]
    return score_nested(oof, labels, folds, choices, "macro_f1", 1)


@pytest.mark.parametrize("decide", [None, TopSpec(kind="top", k=2)])
def test_a_chain_of_choices_is_refitted_and_scored_as_with_scores_in_full(
    decide: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = nested([ONE, TWO], decide)
    monkeypatch.setattr("holotype.types.images.MANY_CLASSES", 10)
    monkeypatch.setattr("holotype.evaluation.nested.MANY_CLASSES", 10)
    many = nested([keep_top_k(ONE, CLASSES), keep_top_k(TWO, CLASSES)], decide)
    assert isinstance(many.truth, LabelMatrix)
    assert isinstance(many.logits, TopKScores)
    for name, metric in many.scorecard.metrics.items():
        assert metric.value == pytest.approx(full.scorecard.metrics[name].value, abs=2e-4), name
    assert "map" not in many.scorecard.metrics
    assert [entry["samples"] for entry in many.scorecard.domains] == [150, 150]
    np.testing.assert_array_equal(LabelMatrix.from_dense(many.decided)[:], full.decided)


def test_a_mean_of_one_model_is_that_model() -> None:
    choice = EnsembleStep(MeanSpec(), ("one",), "multiclass")
    oof = OofPredictions(np.arange(ROWS), keep_top_k(ONE, 10), np.zeros(ROWS, np.int64))
    assert fit_ensemble([oof], LabelMatrix.from_dense(TRUTH), choice)([oof]) is oof.logits
