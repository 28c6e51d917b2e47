"""The plain mean of members against NumPy."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax

from holotype.ensemble import EnsembleChoice, apply_ensemble, fit_ensemble, mean_scores
from holotype.errors import HolotypeError
from holotype.spec import MeanSpec
from holotype.types import Ensemble, Kind, OofPredictions, TestPredictions

RANDOM = np.random.default_rng(0)
MEMBERS = [RANDOM.normal(0, 2, (6, 4)).astype(np.float32) for _ in range(3)]
KINDS: list[Kind] = ["multiclass", "multilabel"]
Space = Literal["logit", "probability"]


def oof(logits: np.ndarray, samples: np.ndarray | None = None) -> OofPredictions:
    count = len(logits)
    return OofPredictions(np.arange(count) if samples is None else samples, logits, np.arange(count) % 2)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_averaged_as_they_are(kind: Kind) -> None:
    mean = mean_scores(MEMBERS, [1 / 3] * 3, "logit", kind)
    np.testing.assert_allclose(mean, np.mean(MEMBERS, axis=0), atol=1e-6)
    assert mean.dtype == np.float32


def test_probabilities_of_many_labels_are_averaged_and_turned_back() -> None:
    mean = mean_scores(MEMBERS, [1 / 3] * 3, "probability", "multilabel")
    np.testing.assert_allclose(mean, logit(np.mean(expit(MEMBERS), axis=0)), rtol=1e-4, atol=1e-5)


def test_probabilities_of_one_label_are_averaged_and_turned_back() -> None:
    mean = mean_scores(MEMBERS, [1 / 3] * 3, "probability", "multiclass")
    np.testing.assert_allclose(softmax(mean, axis=1), np.mean(softmax(MEMBERS, axis=2), axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", ["logit", "probability"])
def test_weights_are_weights(space: Space, kind: Kind) -> None:
    twice = mean_scores([MEMBERS[0], MEMBERS[0], MEMBERS[1]], [1 / 3] * 3, space, kind)
    weighted = mean_scores(MEMBERS[:2], [2 / 3, 1 / 3], space, kind)
    np.testing.assert_allclose(twice, weighted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", ["logit", "probability"])
def test_one_member_alone_keeps_its_scores(space: Space, kind: Kind) -> None:
    assert mean_scores(MEMBERS[:1], [1.0], space, kind) is MEMBERS[0]


@given(st.permutations(range(3)), st.sampled_from(KINDS), st.sampled_from(["logit", "probability"]))
def test_the_order_of_members_does_not_count(order: list[int], kind: Kind, space: Space) -> None:
    turned = mean_scores([MEMBERS[number] for number in order], [1 / 3] * 3, space, kind)
    np.testing.assert_allclose(turned, mean_scores(MEMBERS, [1 / 3] * 3, space, kind), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_certain_members_stay_finite(kind: Kind) -> None:
    sure = np.array([[300.0, -300.0]], np.float32)
    assert np.isfinite(mean_scores([sure, sure], [0.5, 0.5], "probability", kind)).all()


def test_the_ensemble_names_its_members_and_weighs_them_alike() -> None:
    members = [oof(logits) for logits in MEMBERS]
    choice = EnsembleChoice(MeanSpec(space="probability"), ("a", "b", "c"), "multilabel")
    ensemble = fit_ensemble(members, np.zeros((6, 4), bool), choice).ensemble
    assert ensemble == Ensemble("mean", "probability", ("a", "b", "c"), (1 / 3, 1 / 3, 1 / 3))
    test = [TestPredictions(np.arange(6), logits) for logits in MEMBERS]
    expected = mean_scores(MEMBERS, [1 / 3] * 3, "probability", "multilabel")
    np.testing.assert_array_equal(apply_ensemble(ensemble, test, "multilabel"), expected)


def test_members_that_scored_other_samples_are_refused_by_name() -> None:
    members = [oof(MEMBERS[0]), oof(MEMBERS[1], np.arange(1, 7))]
    with pytest.raises(HolotypeError, match="member 'b' has scored other samples than 'a'"):
        fit_ensemble(members, np.zeros((6, 4), bool), EnsembleChoice(MeanSpec(), ("a", "b"), "multilabel"))


def test_as_a_choice_it_learns_nothing_and_applies_the_same_mean() -> None:
    choice = EnsembleChoice(MeanSpec(), ("a", "b", "c"), "multilabel")
    members = [oof(logits) for logits in MEMBERS]
    apply = choice.fit(members, np.zeros((6, 4), bool))
    np.testing.assert_allclose(apply(members), np.mean(MEMBERS, axis=0), atol=1e-6)
    assert choice.learns is False
