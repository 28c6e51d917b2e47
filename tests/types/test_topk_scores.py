"""Scores of very many classes: what a hundred of them and a sum say is what all of them say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from holotype.core.errors import HolotypeError
from holotype.types import TopKScores, average_rows, concatenate, keep_top_k, take_rows, to_dense

RULES = {
    "mean-logit": lambda said: said.mean(axis=0),
    "geometric": lambda said: said.mean(axis=0),
    "mean-probability": lambda said: logsumexp(said, axis=0) - np.log(len(said)),
    "max": lambda said: said.max(axis=0),
}


def logits_of(rows: int, classes: int, seed: int) -> NDArray[np.float32]:
    return (3 * np.random.default_rng(seed).standard_normal((rows, classes))).astype(np.float32)


def whole(scores: TopKScores) -> NDArray[np.float64]:
    """All scores, those of the others as if they were alike."""
    made = np.repeat(scores.floor[:, None], scores.classes, axis=1)
    np.put_along_axis(made, scores.top_classes.astype(np.int64), scores.top_logits.astype(np.float64), axis=1)
    return made


@given(st.integers(1, 6), st.integers(2, 40), st.integers(1, 50), st.integers(0, 99))
@settings(deadline=None)
def test_the_likeliest_and_the_rest_add_up_to_all(rows: int, classes: int, most: int, seed: int) -> None:
    logits = logits_of(rows, classes, seed)
    made = keep_top_k(logits, most)
    assert made.shape == logits.shape
    assert made.finite.all()
    np.testing.assert_allclose(made.total, logsumexp(logits.astype(float), axis=1), rtol=1e-5)
    np.testing.assert_array_equal(made.top_classes[:, 0], logits.argmax(axis=1))
    np.testing.assert_array_equal(made.top_logits, -np.sort(-logits, axis=1)[:, :most])


def test_of_equal_scores_the_first_class_comes_first() -> None:
    assert keep_top_k(np.zeros((1, 5), np.float32), 5).top_classes.tolist() == [[0, 1, 2, 3, 4]]


def test_the_log_probability_of_a_known_class_is_exact_and_of_another_the_mean_of_the_others() -> None:
    logits = logits_of(4, 30, 3)
    said, made = log_softmax(logits.astype(float), axis=1), keep_top_k(logits, 10)
    for rank in (0, 9):
        numbers = made.top_classes[:, rank]
        np.testing.assert_allclose(made.log_probability(numbers), said[np.arange(4), numbers], atol=1e-5)
    least = logits.argmin(axis=1)
    others = np.sort(said, axis=1)[:, :20]
    np.testing.assert_allclose(made.log_probability(least), logsumexp(others, axis=1) - np.log(20), atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_rows_blend_as_their_whole_scores_do(rule: str) -> None:
    logits = logits_of(6, 25, 8)
    for most in (25, 9):
        parts = keep_top_k(logits, most)
        owners = np.array([0, 1, 2, 0, 1, 2])
        made = average_rows(parts, owners, 3, np.full(6, 0.5), rule)
        for owner in range(3):
            said = log_softmax(whole(parts[owners == owner]), axis=1)
            wanted = RULES[rule](said)
            np.testing.assert_allclose(made.top_logits[owner], -np.sort(-wanted)[:most], atol=1e-5)
            assert made.total[owner] == pytest.approx(logsumexp(wanted), abs=1e-5)


def test_blending_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, owners = keep_top_k(logits_of(40, 50, 2), 7), np.arange(40) % 13
    weights = 1 / np.bincount(owners)[owners]
    one = average_rows(parts, owners, 13, weights)
    monkeypatch.setattr("holotype.types.topk_scores.BATCH_CODES", 50)
    two = average_rows(parts, owners, 13, weights)
    for name in ("top_classes", "top_logits", "rest_logsumexp"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_temperature_scales_the_likeliest_exactly_and_the_others_as_if_alike() -> None:
    logits = np.concatenate([logits_of(3, 10, 1) + 15, np.full((3, 20), -1.0, np.float32)], axis=1)
    scaled, wanted = keep_top_k(logits, 10).scaled(0.5), keep_top_k(logits * np.float32(0.5), 10)
    np.testing.assert_array_equal(scaled.top_logits, wanted.top_logits)
    np.testing.assert_allclose(scaled.rest_logsumexp, wanted.rest_logsumexp, rtol=1e-5)


def test_parts_joined_and_chosen_are_the_rows_again() -> None:
    made = keep_top_k(logits_of(7, 30, 4), 5)
    order = np.array([3, 0, 6, 1, 2, 5, 4])
    again = take_rows(concatenate([made[:3], made[3:]]), order)
    np.testing.assert_array_equal(again.top_classes, made.top_classes[order])
    np.testing.assert_array_equal(again.rest_logsumexp, made.rest_logsumexp[order])


def test_what_needs_all_scores_is_told_that_they_are_not_there() -> None:
    with pytest.raises(HolotypeError, match="a stack looks at the scores of all classes"):
        to_dense(keep_top_k(logits_of(2, 30, 4), 5), "a stack")
