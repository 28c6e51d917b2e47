"""Intervals that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from holotype.core.errors import DataError, RecipeError
from holotype.evaluation.metrics import (
    METRICS,
    ScoredSamples,
    bootstrap_interval,
    bootstrap_intervals,
    class_intervals,
    count_groups,
    f1_per_class,
    paired_difference,
    resample_groups,
)

CLASSES = 6


def plates(generator: np.random.Generator, count: int, size: int = 12, skill: float = 1.2):
    """Samples of some plates, each with an effect of its own on how often the decision is right."""
    group = np.repeat(np.arange(count), generator.integers(size // 2, size * 3 // 2 + 1, count))
    share = np.exp(-0.4 * np.arange(CLASSES))
    label = generator.choice(CLASSES, len(group), p=share / share.sum())
    effect = generator.normal(scale=0.8, size=count)[group]
    right = generator.random(len(group)) < 1 / (1 + np.exp(-(skill + effect - 0.25 * label)))
    guess = np.where(right, label, generator.integers(0, CLASSES, len(group)))
    truth, decided = np.eye(CLASSES, dtype=bool)[label], np.eye(CLASSES, dtype=bool)[guess]
    return ScoredSamples(truth, decided, (4 * decided - 2).astype(np.float32), "multiclass"), group


@pytest.fixture
def judged() -> tuple[ScoredSamples, np.ndarray]:
    return plates(np.random.default_rng(7), 40)


def test_intervals_hold_the_score_of_the_population_and_of_fresh_test_sets():
    population, _ = plates(np.random.default_rng(0), 6000)
    true = METRICS["macro_f1"](population.truth, population.decided, population.logits, "multiclass")
    held, fresh_held, rounds = 0, 0, 80
    for seed in range(rounds):
        generator = np.random.default_rng(seed + 1)
        judged, groups = plates(generator, 40)
        fresh, _ = plates(generator, 20)
        draws = resample_groups(judged.truth, groups, seed, rows=len(fresh.truth), n_resamples=400)
        metric = bootstrap_interval("macro_f1", judged, draws)
        score = METRICS["macro_f1"](fresh.truth, fresh.decided, fresh.logits, "multiclass")
        held += metric.low <= true <= metric.high
        fresh_held += metric.prediction_interval["low"] <= score <= metric.prediction_interval["high"]
    assert 0.87 * rounds <= held
    assert 0.87 * rounds <= fresh_held


def test_plates_make_the_interval_wider_than_samples_would():
    answers, groups = plates(np.random.default_rng(1), 40, size=40)
    widths = []
    for units in (groups, None):
        metric = bootstrap_interval("accuracy", answers, resample_groups(answers.truth, units, 1, n_resamples=800))
        widths.append(metric.high - metric.low)
    assert widths[0] > 1.2 * widths[1]


@pytest.mark.parametrize("name", [*METRICS, "log_loss"])
def test_every_metric_has_ordered_intervals_and_the_value_of_its_function(judged, name):
    answers, groups = judged
    metric = bootstrap_interval(name, answers, resample_groups(answers.truth, groups, 1, rows=100, n_resamples=300))
    if name in METRICS:
        assert metric.value == pytest.approx(
            METRICS[name](answers.truth, answers.decided, answers.logits, "multiclass")
        )
    assert (
        metric.prediction_interval["low"]
        <= metric.low
        < metric.value
        < metric.high
        <= metric.prediction_interval["high"]
    )
    assert (metric.samples, metric.groups, metric.prediction_interval["rows"]) == (len(answers.truth), 40, 100)


def test_a_smaller_fresh_set_has_a_wider_interval(judged):
    answers, groups = judged
    widths = []
    for rows in (40, 4000):
        following = bootstrap_interval(
            "accuracy", answers, resample_groups(answers.truth, groups, 1, rows)
        ).prediction_interval
        widths.append(following["high"] - following["low"])
    assert widths[0] > 1.5 * widths[1]


def test_a_fresh_set_of_the_same_size_varies_like_two_sets(judged):
    answers, groups = judged
    metric = bootstrap_interval("accuracy", answers, resample_groups(answers.truth, groups, 1))
    ratio = (metric.prediction_interval["high"] - metric.prediction_interval["low"]) / (metric.high - metric.low)
    assert ratio == pytest.approx(2**0.5, rel=0.12)


def test_counts_of_draws_are_those_of_repeated_rows(judged):
    answers, groups = judged
    draws = resample_groups(answers.truth, groups, 3, n_resamples=2)
    table = count_groups(answers.truth, answers.decided, answers.logits, "multiclass", draws.groups)
    drawn = table.resample(draws.same_size)
    rows = np.repeat(np.arange(len(groups)), draws.same_size[1][groups])
    assert drawn.samples[1] == len(rows)
    assert drawn.exact[1] == (answers.truth[rows] == answers.decided[rows]).all(axis=1).sum()
    np.testing.assert_array_equal(drawn.true_positive[1], (answers.truth & answers.decided)[rows].sum(axis=0))
    np.testing.assert_array_equal(drawn.false_positive[1], (~answers.truth & answers.decided)[rows].sum(axis=0))
    np.testing.assert_array_equal(drawn.support[1], answers.truth[rows].sum(axis=0))


def test_draws_hold_every_class_where_that_is_possible():
    truth = np.eye(3, dtype=bool)[np.array([0] * 20 + [1] * 18 + [2] * 2)]
    draws = resample_groups(truth, None, 5, n_resamples=300)
    assert draws.missing_class == 0
    assert (draws.same_size @ truth.astype(int) > 0).all()
    assert (draws.same_size.sum(axis=1) == 40).all()


def test_draws_that_cannot_hold_every_class_are_said():
    truth = np.eye(30, dtype=bool)
    draws = resample_groups(truth, None, 5, n_resamples=200)
    assert draws.missing_class == 200
    answers = ScoredSamples(truth, truth, truth.astype(np.float32), "multiclass")
    metrics = bootstrap_intervals(["macro_f1", "accuracy"], answers, draws)
    assert "lacked a class" in metrics["macro_f1"].method
    assert "lacked a class" not in metrics["accuracy"].method


def test_the_same_seed_draws_the_same_groups_and_another_does_not(judged):
    answers, groups = judged
    first, again, other = (resample_groups(answers.truth, groups, seed, n_resamples=50) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.same_size, again.same_size)
    assert (first.same_size != other.same_size).any()
    assert (first.same_size[:, :40] != first.test_size[:, :40]).any()


def test_few_groups_are_called_approximate():
    answers, groups = plates(np.random.default_rng(1), 8)
    assert "approximate" in bootstrap_interval("accuracy", answers, resample_groups(answers.truth, groups, 1)).method
    answers, groups = plates(np.random.default_rng(1), 20)
    assert (
        "approximate" not in bootstrap_interval("accuracy", answers, resample_groups(answers.truth, groups, 1)).method
    )


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [("accuracy", 0, 1), ("macro_f1", 0, 1), ("map", 0, 1), ("auroc", 0, 1), ("mcc", -1, 1), ("log_loss", 0, np.inf)],
)
def test_one_group_alone_has_an_interval_of_everything_and_says_so(name, lowest, highest):
    answers, groups = plates(np.random.default_rng(1), 1, size=40)
    draws = resample_groups(answers.truth, groups, 1)
    metric = bootstrap_interval(name, answers, draws)
    assert (metric.low, metric.high, metric.groups) == (lowest, highest, 1)
    assert (metric.prediction_interval["low"], metric.prediction_interval["high"]) == (lowest, highest)
    assert "one independent group" in metric.method
    change = paired_difference(name, answers, answers, draws)
    assert change == {"value": 0, "low": lowest - highest, "high": highest - lowest}
    low, high = class_intervals(answers, draws)
    assert (low[0], high[0]) == (0, 1)


def test_two_groups_that_agree_by_chance_are_not_certain():
    truth = np.eye(2, dtype=bool)[np.arange(40) % 2]
    decided = truth.copy()
    decided[[0, 20]] = ~decided[[0, 20]]
    answers = ScoredSamples(truth, decided, decided.astype(np.float32), "multiclass")
    metric = bootstrap_interval("accuracy", answers, resample_groups(truth, np.arange(40) // 20, 1))
    assert metric.value == 0.95
    assert metric.high - metric.low > 0.3


def test_a_perfect_score_is_not_certain():
    truth = np.eye(2, dtype=bool)[np.arange(50) % 2]
    answers = ScoredSamples(truth, truth, truth.astype(np.float32), "multiclass")
    metric = bootstrap_interval("accuracy", answers, resample_groups(truth, None, 1))
    assert metric.high == 1
    assert metric.low == pytest.approx(0.025 ** (1 / 50))  # the exact binomial limit


def test_one_sample_says_nothing():
    answers = ScoredSamples(np.array([[True, False]]), np.array([[True, False]]), np.float32([[1, 0]]), "multiclass")
    metric = bootstrap_interval("macro_f1", answers, resample_groups(answers.truth, None, 1))
    assert (metric.low, metric.high) == (0, 1)


def test_a_difference_is_paired_and_narrower_than_its_sides(judged):
    answers, groups = judged
    draws = resample_groups(answers.truth, groups, 1, n_resamples=400)
    better = answers.decided.copy()
    better[::9] = answers.truth[::9]
    after = ScoredSamples(answers.truth, better, answers.logits, "multiclass")
    change = paired_difference("accuracy", answers, after, draws)
    alone = bootstrap_interval("accuracy", answers, draws)
    assert change["value"] == pytest.approx(bootstrap_interval("accuracy", after, draws).value - alone.value)
    assert change["low"] < change["value"] < change["high"]
    assert change["high"] - change["low"] < alone.high - alone.low
    nothing = paired_difference("macro_f1", answers, answers, draws)
    assert nothing == {"value": 0, "low": 0, "high": 0}


def test_a_difference_between_other_samples_is_refused(judged):
    answers, groups = judged
    other = ScoredSamples(answers.truth[::-1], answers.decided, answers.logits, "multiclass")
    with pytest.raises(DataError, match="same samples"):
        paired_difference("accuracy", answers, other, resample_groups(answers.truth, groups, 1, n_resamples=10))


def test_intervals_of_classes_hold_their_f1_and_rare_classes_have_wide_ones(judged):
    answers, groups = judged
    low, high = class_intervals(answers, resample_groups(answers.truth, groups, 1, n_resamples=400))
    f1 = f1_per_class(answers.truth, answers.decided)
    assert ((low <= f1) & (f1 <= high)).all()
    assert high[-1] - low[-1] > high[0] - low[0]


def test_a_class_that_is_right_once_is_not_certain():
    truth = np.eye(2, dtype=bool)[np.array([0] * 30 + [1])]
    answers = ScoredSamples(truth, truth, truth.astype(np.float32), "multiclass")
    low, high = class_intervals(answers, resample_groups(truth, None, 1, n_resamples=200))
    assert low[1] < 0.5 < low[0]
    assert high.tolist() == [1, 1]


def test_an_unknown_metric_is_refused(judged):
    answers, groups = judged
    with pytest.raises(RecipeError, match="metric: unknown metric 'acuracy'; did you mean 'accuracy'"):
        bootstrap_interval("acuracy", answers, resample_groups(answers.truth, groups, 1, n_resamples=10))


@pytest.fixture
def plugin_metric():
    """Accuracy, as a plugin registers it."""

    def same_accuracy(truth, decided, logits, kind):
        return float((truth == decided).all(axis=1).mean())

    METRICS.register(same_accuracy)
    yield same_accuracy
    del METRICS._functions["same_accuracy"], METRICS._plugins["same_accuracy"]


def test_a_metric_of_a_plugin_has_the_interval_of_its_function(judged, plugin_metric):
    answers, groups = judged
    draws = resample_groups(answers.truth, groups, 1, rows=100, n_resamples=200)
    plugin_metric.bounds = (0, 1)
    metric, built_in = (bootstrap_interval(name, answers, draws) for name in ("same_accuracy", "accuracy"))
    for end in ("value", "low", "high", "prediction_interval"):
        assert getattr(metric, end) == pytest.approx(getattr(built_in, end))
    del plugin_metric.bounds
    unbounded = bootstrap_interval("same_accuracy", answers, draws)
    assert unbounded.low < unbounded.value < unbounded.high
    assert unbounded.high - unbounded.low == pytest.approx(metric.high - metric.low, rel=0.1)
    single = resample_groups(answers.truth, np.zeros(len(answers.truth), int), 1)
    assert bootstrap_interval("same_accuracy", answers, single).low == -np.inf
