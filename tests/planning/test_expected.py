"""Expected score and interval: the learning curve, and simulated classifications scored by the real bootstrap."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.evaluation.metrics import ScoredSamples, bootstrap_interval, resample_groups
from holotype.planning.expected import expected_interval, learned_share, steps_worth_taking

LONG_TAIL = (99, 84, 61, 38, 38, 30, 23, 8)
LARGE = (438, 300, 200, 150, 100, 60, 31)


def simulate_widths(
    counts: tuple[int, ...], groups: int, skill: float, spread: float, seed: int
) -> tuple[float, float]:
    """Width of the bootstrap's interval and the expected one; groups differ in accuracy by `spread`."""
    random = np.random.default_rng([seed, groups])
    truth = random.permutation(np.repeat(np.arange(len(counts)), counts))
    group = random.integers(groups, size=len(truth))
    accuracy = np.clip(skill + random.normal(0, spread, groups)[group], 0, 1)
    guesses = random.choice(len(counts), size=len(truth), p=np.array(counts) / sum(counts))
    predicted = np.where(random.random(len(truth)) < accuracy, truth, guesses)
    labels, decided = (np.eye(len(counts), dtype=bool)[classes] for classes in (truth, predicted))
    scored = ScoredSamples(labels, decided, decided.astype(np.float64), "multiclass")
    metric = bootstrap_interval("macro_f1", scored, resample_groups(labels, group, seed, n_resamples=200))
    low, high = expected_interval(metric.value, counts, len(np.unique(group)))
    return metric.high - metric.low, high - low


@pytest.mark.parametrize("groups", [4, 11, 40, 400])
@pytest.mark.parametrize("skill", [0.6, 0.9])
@pytest.mark.parametrize("counts", [LONG_TAIL, LARGE, (40,) * 6, (7,) * 30], ids=["long tail", "large", "even", "many"])
def test_the_expected_width_is_near_that_of_the_bootstrap(counts: tuple[int, ...], groups: int, skill: float) -> None:
    widths = [simulate_widths(counts, groups, skill, 0.05, seed) for seed in range(4)]
    actual, expected = (fmean(side) for side in zip(*widths, strict=True))
    assert 0.6 < expected / actual < 1.6


def test_two_groups_tell_next_to_nothing_and_one_tells_nothing() -> None:
    low, high = expected_interval(0.76, LONG_TAIL, 2)
    assert high - low > 0.5
    assert expected_interval(0.76, LONG_TAIL, 1) == (0.0, 1.0)


@given(st.floats(0.0, 1.0), st.lists(st.floats(0.1, 1000), min_size=2, max_size=30), st.integers(2, 500))
def test_property_the_interval_holds_the_score_and_narrows_with_groups(
    score: float, counts: list[float], groups: int
) -> None:
    low, high = expected_interval(score, counts, groups)
    assert 0 <= low <= high <= 1
    assert low - 0.01 <= score <= high + 0.01
    more_low, more_high = expected_interval(score, counts, 2 * groups)
    assert more_high - more_low <= high - low + 1e-9


@given(st.floats(1, 1e5), st.integers(2, 1000))
def test_property_the_learning_curve_rises_and_flattens(steps: float, classes: int) -> None:
    once, twice = (learned_share(factor * steps, classes) for factor in (1, 2))
    assert 0 <= once <= twice < 1
    assert learned_share(steps, classes, pretrained=False) <= once


@pytest.mark.parametrize("classes", [2, 16, 99])
def test_twice_the_steps_that_are_worth_taking_gain_less_than_a_hundredth(classes: int) -> None:
    steps = steps_worth_taking(classes)
    assert learned_share(2 * steps, classes) - learned_share(steps, classes) < 0.01
    assert learned_share(steps, classes) - learned_share(steps / 2, classes) > 0.01
