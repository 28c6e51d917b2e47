"""Class averages without each group, and intervals of long-tailed problems."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from holotype.evaluation.metrics import (
    METRICS,
    ScoredSamples,
    bootstrap_interval,
    compare_paired,
    count_groups,
    resample_groups,
)
from holotype.evaluation.metrics.agreement import class_scores
from holotype.evaluation.metrics.jackknife import jackknife_scores, jackknife_variance, leave_block_out

KINDS = st.sampled_from(["multiclass", "multilabel"])
AVERAGES = st.sampled_from(["macro_f1", "balanced_accuracy", "mcc", "cohen_kappa"])


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), kind=KINDS, name=AVERAGES)
def test_the_score_without_a_group_is_that_of_the_other_rows(seed, kind, name):
    generator = np.random.default_rng(seed)
    samples, classes = int(generator.integers(4, 40)), int(generator.integers(1, 8))
    group = np.unique(generator.integers(0, 6, samples), return_inverse=True)[1]
    truth, decided = generator.random((2, samples, classes)) < 0.3
    if kind == "multiclass":
        truth, decided = (np.eye(classes, dtype=bool)[generator.integers(0, classes, samples)] for _ in range(2))
    average = class_scores(name, kind)
    assert (average is None) == (kind == "multiclass" and name in {"mcc", "cohen_kappa"})
    if average is None:
        return
    scores = jackknife_scores(average, count_groups(truth, decided, None, kind, group))
    for number in range(int(group.max()) + 1):
        rest = group != number
        if rest.any():
            expected = METRICS[name](truth[rest], decided[rest], None, kind)
            np.testing.assert_allclose(scores[number], expected, atol=1e-12)


@pytest.mark.parametrize(("groups", "blocks"), [(7, 7), (7, 20), (103, 20)])
def test_each_group_is_left_out_once_and_blocks_are_equal(groups, blocks):
    weights = leave_block_out(groups, blocks)
    left_out = (weights == 0).sum(axis=1)
    assert weights.shape == (min(groups, blocks), groups)
    assert (weights == 0).sum(axis=0).tolist() == [1] * groups
    assert left_out.max() - left_out.min() <= 1
    values = np.random.default_rng(3).normal(size=groups)
    estimate = jackknife_variance(weights @ values / weights.sum(axis=1))
    assert estimate == pytest.approx(values.var(ddof=1) / groups, rel=1e-9 if groups <= blocks else 0.6)


def test_an_interval_of_average_precision_over_a_long_tail_is_as_wide_as_test_sets_vary():
    classes, values, widths = 60, [], []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        label, predicted = long_tail(generator, classes, 150)
        truth = np.eye(classes, dtype=bool)[label]
        logits = generator.normal(size=truth.shape) + 2 * np.eye(classes)[predicted] + truth
        resamples = resample_groups(truth, None, seed, n_resamples=200)
        metric = bootstrap_interval(
            "map", ScoredSamples(truth, truth, logits.astype(np.float32), "multiclass"), resamples
        )
        values.append(metric.value)
        widths.append(metric.high - metric.low)
    assert np.mean(widths) / (2 * 1.96 * np.std(values)) > 0.9  # 0.76 with the variance of a bootstrap


def test_the_jackknife_of_a_mean_is_its_squared_standard_error():
    values = np.random.default_rng(3).normal(size=50)
    without = (values.sum() - values) / 49
    assert jackknife_variance(without) == pytest.approx(values.var(ddof=1) / 50)
    assert jackknife_variance(np.append(without, np.nan)) == pytest.approx(values.var(ddof=1) / 50)


def long_tail(generator: np.random.Generator, classes: int, samples: int, skill: float = 0.7):
    """Labels and predictions of a test set in which every class has a sample and most have few."""
    share = 1 / np.arange(1, classes + 1) ** 1.2
    label = np.repeat(np.arange(classes), 1 + generator.multinomial(samples - classes, share / share.sum()))
    right = generator.random(len(label)) < skill
    return label, np.where(right, label, generator.integers(0, classes, len(label)))


def as_scored(label, predicted, classes):
    truth, decided = np.eye(classes, dtype=bool)[label], np.eye(classes, dtype=bool)[predicted]
    return ScoredSamples(truth, decided, decided.astype(np.float32), "multiclass")


def test_an_interval_over_a_long_tail_holds_the_average_score_where_percentiles_lose_their_own_value():
    classes, rounds, covered, percentile_lost = 300, 30, 0, 0
    sets = [long_tail(np.random.default_rng(seed), classes, 900) for seed in range(rounds)]
    scores = [f1_score(label, predicted, average="macro") for label, predicted in sets]
    for seed, (label, predicted) in enumerate(sets):
        metric = bootstrap_interval(
            "macro_f1",
            as_scored(label, predicted, classes),
            resample_groups(np.eye(classes, dtype=bool)[label], None, seed, n_resamples=200),
        )
        assert metric.value == pytest.approx(scores[seed])
        covered += metric.low <= np.mean(scores) <= metric.high
        if seed < 5:
            picks = np.random.default_rng(seed).integers(0, len(label), (60, len(label)))
            drawn = [f1_score(label[pick], predicted[pick], average="macro") for pick in picks]
            low, high = np.quantile(drawn, [0.025, 0.975])
            percentile_lost += not low <= scores[seed] <= high
    assert covered >= 0.9 * rounds
    assert percentile_lost >= 3


def test_plates_with_an_effect_widen_the_interval_of_a_long_tail():
    generator, classes = np.random.default_rng(5), 300
    label, _ = long_tail(generator, classes, 900)
    plate = generator.integers(0, 20, len(label))
    right = generator.random(len(label)) < np.where(plate < 10, 0.95, 0.45)
    scored = as_scored(label, np.where(right, label, generator.integers(0, classes, len(label))), classes)
    widths = []
    for groups in (plate, None):
        metric = bootstrap_interval("macro_f1", scored, resample_groups(scored.truth, groups, 1, n_resamples=200))
        widths.append(metric.high - metric.low)
    assert widths[0] > 2 * widths[1]


def test_paired_differences_of_a_long_tail_hold_the_average_difference():
    classes, rounds, differences, intervals = 100, 30, [], []
    for seed in range(rounds):
        generator = np.random.default_rng(seed)
        label, predicted = long_tail(generator, classes, 500, skill=0.6)
        better = np.where(generator.random(len(label)) < 0.15, label, predicted)
        sides = [as_scored(label, part, classes) for part in (predicted, better)]
        result = compare_paired(
            "macro_f1", sides[0], sides[1], resample_groups(sides[0].truth, None, seed, n_resamples=200)
        )
        differences.append(result.value)
        intervals.append((result.low, result.high))
    low, high = np.array(intervals).T
    assert 0.9 * rounds <= ((low <= np.mean(differences)) & (np.mean(differences) <= high)).sum()


def test_a_difference_in_few_groups_has_a_wide_interval() -> None:
    label = np.tile([0, 1], 60)
    wrong = np.where(np.arange(120) < 30, 1 - label, label)
    resamples = resample_groups(np.eye(2, dtype=bool)[label], None, 1)
    results = []
    for corrected in (2, 3, 20):
        better = np.where(np.arange(120) < corrected, label, wrong)
        results.append(compare_paired("accuracy", as_scored(label, wrong, 2), as_scored(label, better, 2), resamples))
        assert results[-1].value == pytest.approx(corrected / 120)
    assert results[0].low < 0 < results[0].value
    assert [result.p_value < 0.05 for result in results] == [False, False, True]
    same = compare_paired("accuracy", as_scored(label, wrong, 2), as_scored(label, wrong, 2), resamples)
    assert (same.low, same.high, same.p_value) == (0, 0, 1)
