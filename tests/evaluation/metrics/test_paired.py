"""What changed class by class, paired."""

from __future__ import annotations

import numpy as np
import pytest

from holotype.core.errors import DataError
from holotype.evaluation.metrics import ScoredSamples, class_differences, f1_per_class, resample_groups


def sides(seed: int, samples: int = 800, groups: int = 40):
    draw = np.random.default_rng(seed)
    truth = np.eye(4, dtype=bool)[draw.choice(4, samples, p=[0.5, 0.3, 0.19, 0.01])]
    noise = draw.normal(0, 1, truth.shape)
    first = np.eye(4, dtype=bool)[(2.0 * truth + noise).argmax(axis=1)]
    second = np.eye(4, dtype=bool)[(3.0 * truth + noise).argmax(axis=1)]
    made = [ScoredSamples(truth, decided, noise, "multiclass") for decided in (first, second)]
    return made, resample_groups(truth, draw.integers(0, groups, samples), seed, n_resamples=400)


def test_the_change_is_the_difference_of_the_scores_and_lies_within_its_interval():
    (before, after), draws = sides(1)
    change, low, high = class_differences(before, after, draws)
    expected = f1_per_class(after.truth, after.decided) - f1_per_class(before.truth, before.decided)
    np.testing.assert_allclose(change, expected)
    known = np.isfinite(low)
    assert ((low <= change) & (change <= high))[known].all()
    assert (low[:2] > 0).all()  # the common classes are surely better


def test_a_run_against_itself_changed_nothing():
    (before, _), draws = sides(2)
    for part in class_differences(before, before, draws):
        np.testing.assert_allclose(part[:3], 0)


def test_a_class_of_two_groups_has_no_interval():
    (before, after), draws = sides(3)
    truth = before.truth.copy()
    truth[:, 3] = False
    truth[draws.groups < 2, 3] = True
    changed = [ScoredSamples(truth, side.decided, side.logits, "multilabel") for side in (before, after)]
    _, low, high = class_differences(*changed, draws)
    assert np.isnan([low[3], high[3]]).all()
    assert np.isfinite(low[:3]).all()


def test_the_interval_holds_the_true_change_about_as_often_as_it_says():
    """Two rules that are right with known chances: the change of recall-like F1 over many screens."""
    truth_of_many = [sides(seed, 300, 300) for seed in range(60)]
    changes = np.array([class_differences(*made, draws)[0][0] for made, draws in truth_of_many])
    ends = [class_differences(*made, draws) for made, draws in truth_of_many]
    held = np.mean([low[0] <= changes.mean() <= high[0] for _, low, high in ends])
    assert 0.85 <= held <= 1.0


def test_other_samples_are_refused():
    (before, after), draws = sides(4)
    with pytest.raises(DataError, match="same samples"):
        class_differences(before, ScoredSamples(~after.truth, after.decided, after.logits, after.kind), draws)
