"""The plain mean of models against NumPy."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax

from holotype.core.errors import HolotypeError
from holotype.postprocessing.ensemble import EnsembleStep, apply_ensemble, fit_ensemble, mean_scores
from holotype.recipe.sections import MeanSpec
from holotype.types import Ensemble, Kind, OofPredictions, TestPredictions

RANDOM = np.random.default_rng(0)
MODELS = [RANDOM.normal(0, 2, (6, 4)).astype(np.float32) for _ in range(3)]
KINDS: list[Kind] = ["multiclass", "multilabel"]
Space = Literal["logit", "probability"]


def oof(logits: np.ndarray, samples: np.ndarray | None = None) -> OofPredictions:
    count = len(logits)
    return OofPredictions(np.arange(count) if samples is None else samples, logits, np.arange(count) % 2)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_averaged_as_they_are(kind: Kind) -> None:
    mean = mean_scores(MODELS, [1 / 3] * 3, "logit", kind)
    np.testing.assert_allclose(mean, np.mean(MODELS, axis=0), atol=1e-6)
    assert mean.dtype == np.float32


def test_probabilities_of_many_labels_are_averaged_and_turned_back() -> None:
    mean = mean_scores(MODELS, [1 / 3] * 3, "probability", "multilabel")
    np.testing.assert_allclose(mean, logit(np.mean(expit(MODELS), axis=0)), rtol=1e-4, atol=1e-5)


def test_probabilities_of_one_label_are_averaged_and_turned_back() -> None:
    mean = mean_scores(MODELS, [1 / 3] * 3, "probability", "multiclass")
    np.testing.assert_allclose(softmax(mean, axis=1), np.mean(softmax(MODELS, axis=2), axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", ["logit", "probability"])
def test_weights_are_weights(space: Space, kind: Kind) -> None:
    twice = mean_scores([MODELS[0], MODELS[0], MODELS[1]], [1 / 3] * 3, space, kind)
    weighted = mean_scores(MODELS[:2], [2 / 3, 1 / 3], space, kind)
    np.testing.assert_allclose(twice, weighted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", ["logit", "probability"])
def test_one_model_alone_keeps_its_scores(space: Space, kind: Kind) -> None:
    assert mean_scores(MODELS[:1], [1.0], space, kind) is MODELS[0]


@given(st.permutations(range(3)), st.sampled_from(KINDS), st.sampled_from(["logit", "probability"]))
def test_the_order_of_models_does_not_count(order: list[int], kind: Kind, space: Space) -> None:
    turned = mean_scores([MODELS[number] for number in order], [1 / 3] * 3, space, kind)
    np.testing.assert_allclose(turned, mean_scores(MODELS, [1 / 3] * 3, space, kind), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_certain_models_stay_finite(kind: Kind) -> None:
    sure = np.array([[300.0, -300.0]], np.float32)
    assert np.isfinite(mean_scores([sure, sure], [0.5, 0.5], "probability", kind)).all()


def test_the_ensemble_names_its_models_and_weighs_them_alike() -> None:
    models = [oof(logits) for logits in MODELS]
    choice = EnsembleStep(MeanSpec(space="probability"), ("a", "b", "c"), "multilabel")
    ensemble = fit_ensemble(models, np.zeros((6, 4), bool), choice).ensemble
    assert ensemble == Ensemble("mean", "probability", ("a", "b", "c"), (1 / 3, 1 / 3, 1 / 3))
    test = [TestPredictions(np.arange(6), logits) for logits in MODELS]
    expected = mean_scores(MODELS, [1 / 3] * 3, "probability", "multilabel")
    np.testing.assert_array_equal(apply_ensemble(ensemble, test, "multilabel"), expected)


def test_models_that_scored_other_samples_are_refused_by_name() -> None:
    models = [oof(MODELS[0]), oof(MODELS[1], np.arange(1, 7))]
    with pytest.raises(HolotypeError, match="models 'b' and 'a' were scored on different samples"):
        fit_ensemble(models, np.zeros((6, 4), bool), EnsembleStep(MeanSpec(), ("a", "b"), "multilabel"))


def test_as_a_choice_it_learns_nothing_and_applies_the_same_mean() -> None:
    choice = EnsembleStep(MeanSpec(), ("a", "b", "c"), "multilabel")
    models = [oof(logits) for logits in MODELS]
    apply = choice.fit(models, np.zeros((6, 4), bool))
    np.testing.assert_allclose(apply(models), np.mean(MODELS, axis=0), atol=1e-6)
    assert choice.learns is False
