"""Thresholds against every cut there is, decisions against their definitions, calibration against scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score

from holotype.core.errors import RecipeError
from holotype.evaluation.metrics import log_loss, probabilities
from holotype.postprocessing.decision import (
    DecisionContext,
    DecisionStep,
    assign_per_group,
    average_thresholds,
    calibrate,
    calibration_from_json,
    cascade_thresholds,
    decide,
    decision_from_json,
    decision_to_json,
    fit_calibration,
    fit_decision,
    fit_thresholds,
    global_threshold,
    limit_labels,
    prediction_sets,
    prior_offsets,
    prior_thresholds,
    refit_prior,
    sort_scores,
    top_classes,
)
from holotype.recipe.sections import (
    AssignSpec,
    CalibrationSpec,
    CascadeSpec,
    PerClassSpec,
    PriorSpec,
    ThresholdSpec,
    TopSpec,
)
from holotype.types import OofPredictions, TestPredictions


def best_f1(scores: np.ndarray, truth: np.ndarray) -> float:
    """The best F1 over every cut, slowly."""
    cuts = [-np.inf, *np.unique(scores)]
    return max((2 * (truth & (scores > cut)).sum() / max((scores > cut).sum() + truth.sum(), 1)) for cut in cuts)


def test_thresholds_reach_the_best_f1_of_every_cut_of_a_thousand_problems() -> None:
    for seed in range(1_000):
        check_every_cut(seed)


def check_every_cut(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, classes = int(random.integers(1, 40)), int(random.integers(1, 5))
    scores = random.random((rows, classes)).round(int(random.integers(1, 4)))  # one digit: many ties
    truth = random.random((rows, classes)) < random.random(classes) * 1.2
    truth[:, 0] &= seed % 7 != 0  # sometimes an empty class
    truth[:, -1] |= seed % 11 == 0  # sometimes a class that all have
    found, reached = fit_thresholds(sort_scores(scores, truth))
    for number in range(classes):
        if not truth[:, number].any():
            assert np.isnan(found[number])
            continue
        given = scores[:, number] > found[number]
        own = 2 * (given & truth[:, number]).sum() / (given.sum() + truth[:, number].sum())
        assert own == pytest.approx(best_f1(scores[:, number], truth[:, number]), abs=1e-12)
        assert reached[number] == pytest.approx(own, abs=1e-12)


def test_some_samples_alone_are_looked_at() -> None:
    random = np.random.default_rng(1)
    scores, truth = random.random((300, 3)), random.random((300, 3)) < 0.3
    chosen = random.random(300) < 0.5
    _, part = fit_thresholds(sort_scores(scores, truth), chosen)
    _, alone = fit_thresholds(sort_scores(scores[chosen], truth[chosen]))
    np.testing.assert_allclose(part, alone, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_thresholds_for_micro_f1_beat_those_of_any_grid(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.random((60, 3))
    truth = random.random((60, 3)) < scores * random.random(3)
    found, _ = fit_thresholds(sort_scores(scores, truth), metric="micro_f1")
    decided = scores > np.where(np.isnan(found), 1, found)
    value = f1_score(truth, decided, average="micro")
    # micro F1 of every way to choose a threshold a class from a grid: its counts are sums over the classes
    grid = np.linspace(0, 1, 41)
    given = scores > grid[:, None, None]
    hits, positives = (given & truth).sum(axis=1), given.sum(axis=1)
    (hits, positives), total = ((a[:, None, None] + b[:, None] + c for a, b, c in (hits.T, positives.T)), truth.sum())
    every = 2 * hits / (positives + total)
    best = np.unravel_index(every.argmax(), every.shape)
    expected = f1_score(truth, scores > grid[list(best)], average="micro")
    assert every[best] == pytest.approx(expected, abs=1e-12)
    assert value >= expected - 1e-9


def skilled(rows: int = 2_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities of four classes of different frequency."""
    random = np.random.default_rng(seed)
    said = expit(random.normal(np.array([-3.0, -1.0, 0.0, 1.0]), 1.5, (rows, 4)))
    return said, random.random((rows, 4)) < said


def test_the_mean_threshold_is_near_half_the_best_f1() -> None:
    said, truth = skilled(20_000)
    found = average_thresholds(said, truth, np.arange(len(said)), (5, 4), seed=1)
    _, best = fit_thresholds(sort_scores(said, truth))
    np.testing.assert_allclose(found, best / 2, atol=0.03)  # Lipton, Elkan & Narayanaswamy 2014, theorem 1


def test_a_rare_class_is_drawn_to_the_common_threshold_and_an_empty_one_has_it() -> None:
    said, truth = skilled()
    truth[:, 0] = False
    rare = truth.copy()
    rare[:, 1] = False
    rare[np.flatnonzero(truth[:, 1])[:2], 1] = True
    common = global_threshold(said, rare)
    units = np.arange(len(said))
    assert average_thresholds(said, rare, units, (5, 4), 1)[0] == pytest.approx(common)
    free = average_thresholds(said, rare, units, (5, 4), 1, shrink=0.0)[1]
    drawn = average_thresholds(said, rare, units, (5, 4), 1, shrink=50.0)[1]
    assert abs(drawn - common) < abs(free - common)


def test_a_cascade_lowers_the_threshold_for_samples_without_a_label_only() -> None:
    logits = logit(np.array([[0.6, 0.47], [0.47, 0.1], [0.45, 0.1], [0.3, 0.2]])).astype(np.float32)
    assert cascade_thresholds(logits, [0.5, 0.46, 0.445], "argmax").tolist() == [
        [True, False],
        [True, False],
        [True, False],
        [True, False],
    ]
    assert cascade_thresholds(logits, [0.5, 0.46], "none").any(axis=1).tolist() == [True, True, False, False]


def test_the_likeliest_few_stay() -> None:
    logits = np.array([[3.0, 2.0, 1.0], [-1.0, -2.0, -3.0]], np.float32)
    assert top_classes(logits, 2).tolist() == [[True, True, False], [True, True, False]]
    assert limit_labels(logits > 0, logits, 2).tolist() == [[True, True, False], [False, False, False]]


@given(st.integers(0, 10_000))
def test_a_prior_gives_every_class_as_often_as_it_should(seed: int) -> None:
    random = np.random.default_rng(seed)
    said, shares = random.random((200, 3)), random.random(3)
    given_often = (said > prior_thresholds(said, shares)).sum(axis=0)
    assert given_often.tolist() == np.rint(shares * 200).tolist()


def test_offsets_bring_mean_probabilities_to_the_shares() -> None:
    logits = np.random.default_rng(1).normal(0, 2, (500, 4)).astype(np.float32)
    shares = np.array([0.6, 0.3, 0.1, 0.0])
    offset = prior_offsets(logits, shares)
    said = np.exp(np.log(probabilities(logits, "multiclass")) + offset)
    said /= said.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(said.mean(axis=0), shares, atol=1e-4)


def test_a_plate_holds_each_class_once_and_comes_from_one_set() -> None:
    random = np.random.default_rng(2)
    truth = np.concatenate([random.permutation(4), 4 + random.permutation(4)])
    logits = random.normal(0, 2.0, (8, 8)).astype(np.float32)
    logits[np.arange(8), truth] += 4.0
    places = np.repeat([0, 1], 4)
    plain = assign_per_group(logits, places)
    for place in (0, 1):
        assert plain[places == place].sum(axis=0).max() == 1
    in_sets = assign_per_group(logits, places, [np.arange(4), np.arange(4, 8)]).argmax(axis=1)
    assert set(in_sets[:4]) == {0, 1, 2, 3}
    assert set(in_sets[4:]) == {4, 5, 6, 7}
    assert (in_sets == truth).mean() >= (logits.argmax(axis=1) == truth).mean()
    alone = assign_per_group(logits, np.full(8, -1))
    assert (alone.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_plates_of_one_experiment_take_different_sets() -> None:
    """Both plates like the first set best, and only one can hold it; worked out over both ways of dealing out."""
    sets = [np.array([0, 1]), np.array([2, 3])]
    logits = np.log(
        np.array([[0.6, 0.1, 0.2, 0.1], [0.1, 0.6, 0.1, 0.2], [0.5, 0.1, 0.35, 0.05], [0.1, 0.5, 0.05, 0.35]])
    )
    places, experiment = np.array([0, 0, 1, 1]), np.zeros(4, np.int64)
    alone = assign_per_group(logits.astype(np.float32), places, sets).argmax(axis=1)
    assert alone.tolist() == [0, 1, 0, 1]
    together = assign_per_group(logits.astype(np.float32), places, sets, experiment).argmax(axis=1)
    assert together.tolist() == [0, 1, 2, 3]  # 0.6² × 0.35² = 0.044 is more than 0.2² × 0.5² = 0.01
    apart = assign_per_group(logits.astype(np.float32), places, sets, np.array([0, 0, 1, 1])).argmax(axis=1)
    assert apart.tolist() == alone.tolist()
    unknown = assign_per_group(logits.astype(np.float32), places, sets, np.full(4, -1)).argmax(axis=1)
    assert unknown.tolist() == alone.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_sets_are_dealt_out_as_trying_every_way_would(seed: int) -> None:
    random = np.random.default_rng(seed)
    sets = [np.arange(3) + 3 * number for number in range(4)]
    logits = random.normal(0, 1.5, (12, 12)).astype(np.float32)
    places = np.repeat(np.arange(4), 3)
    log_p = logits - np.log(np.exp(logits.astype(np.float64)).sum(axis=1, keepdims=True))
    best = max(
        sum(
            max(
                sum(log_p[3 * plate + row, sets[taken][place]] for row, place in enumerate(way))
                for way in permutations(range(3))
            )
            for plate, taken in enumerate(dealt)
        )
        for dealt in permutations(range(4))
    )
    decided = assign_per_group(logits, places, sets, np.zeros(12, np.int64))
    assert log_p[decided].sum() == pytest.approx(best)


def test_a_prior_counts_the_training_labels_that_are_never_scored() -> None:
    """Ten scored samples of a kind, and ninety that only trained: the classes come as in all hundred."""
    logits = np.zeros((10, 2), np.float32)
    oof, truth = OofPredictions(np.arange(10), logits, np.zeros(10, np.int64)), np.eye(2, dtype=bool)[[0] * 9 + [1]]
    spec, facts = PriorSpec(kind="prior"), DecisionContext(("a", "b"), "multiclass")
    assert fit_decision(oof, truth, spec, facts).class_priors == pytest.approx((0.9, 0.1))
    wider = replace(facts, unscored=(np.array([41, 49]), 90))
    assert fit_decision(oof, truth, spec, wider).class_priors == pytest.approx((0.5, 0.5))


MANY = DecisionContext(tuple("abcd"), "multilabel", units=np.arange(2_000))
RULES = [
    ThresholdSpec(thresholds=0.3, max_labels=2),
    CascadeSpec(kind="cascade"),
    PerClassSpec(kind="per-class", repeats=2),
    PriorSpec(kind="prior"),
    TopSpec(kind="top", k=2),
]


@pytest.mark.parametrize("spec", RULES, ids=lambda spec: spec.kind)
def test_every_rule_decides_the_same_after_a_way_through_json(spec: object) -> None:
    said, truth = skilled()
    oof = OofPredictions(np.arange(2_000), logit(said).astype(np.float32), np.zeros(2_000, np.int64))
    decision = refit_prior(fit_decision(oof, truth, spec, MANY), oof.logits)
    again = decision_from_json(decision_to_json(decision))
    np.testing.assert_array_equal(decide(decision, oof.logits), decide(again, oof.logits))
    assert again == decision


def test_fitted_thresholds_beat_one_half_on_samples_they_have_not_seen() -> None:
    said, truth = skilled(6_000)
    logits = logit(said).astype(np.float32)
    facts = DecisionContext(tuple("abcd"), "multilabel")
    seen = OofPredictions(np.arange(3_000), logits[:3_000], np.zeros(3_000, np.int64))
    choice = DecisionStep(PerClassSpec(kind="per-class"), facts)
    assert choice.learns
    decided = choice.fit(seen, truth[:3_000])(TestPredictions(np.arange(3_000), logits[3_000:]))
    own, half = (f1_score(truth[3_000:], one, average="macro") for one in (decided, said[3_000:] > 0.5))
    assert own > half + 0.05


def test_thresholds_without_scores_are_refused_with_the_way_out() -> None:
    with pytest.raises(RecipeError, match=r"decision\.kind: thresholds by class .* give `predictions.oof`"):
        fit_decision(None, None, PerClassSpec(kind="per-class"), MANY)


def test_an_assignment_looks_at_the_plates() -> None:
    facts = DecisionContext(("a", "b"), "multiclass", plate=np.array([0, 0]))
    scores = TestPredictions(np.arange(2), np.array([[2.0, 0.0], [1.0, 0.0]], np.float32))
    fitted = DecisionStep(AssignSpec(kind="assign", unique_class_per="plate"), facts).fit(None, None)
    assert fitted(scores).argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
@pytest.mark.parametrize("method", ["temperature", "beta", "isotonic"])
def test_scores_that_are_too_bold_are_made_modest(method: str, kind: str) -> None:
    random = np.random.default_rng(4)
    honest = random.normal(0, 1.5, (4_000, 3))
    if kind == "multiclass":
        said = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
        truth = said.cumsum(axis=1) > random.random((4_000, 1))
        truth[:, 1:] &= ~truth[:, :-1].cumsum(axis=1).astype(bool)
    else:
        truth = random.random((4_000, 3)) < expit(honest)
    bold = (3 * honest).astype(np.float32)
    fitted = fit_calibration(bold[:2_000], truth[:2_000], kind, CalibrationSpec(method=method))
    made = calibrate(fitted, bold[2_000:], kind)
    right, wrong, best = (
        log_loss(truth[2_000:], None, one.astype(np.float32), kind) for one in (made, bold[2_000:], honest[2_000:])
    )
    assert right < wrong - 0.1
    assert right < best + 0.02
    again = calibration_from_json({"calibration": decision_to_json_calibration(fitted)})
    np.testing.assert_array_equal(calibrate(again, bold, kind), calibrate(fitted, bold, kind))


def decision_to_json_calibration(fitted: object) -> dict:
    content = decision_to_json(fit_decision(None, None, ThresholdSpec(), MANY), fitted)  # type: ignore[arg-type]
    return content["calibration"]


def test_the_staircase_is_scikit_learns() -> None:
    random = np.random.default_rng(5)
    odds = random.normal(0, 2, (800, 1)).astype(np.float32)
    truth = random.random((800, 1)) < expit(odds / 2)
    fitted = fit_calibration(odds, truth, "multilabel", CalibrationSpec(method="isotonic"))
    theirs = IsotonicRegression(y_min=1 / 802, y_max=1 - 1 / 802).fit(odds[:, 0], truth[:, 0]).predict(odds[:, 0])
    np.testing.assert_allclose(expit(calibrate(fitted, odds, "multilabel")[:, 0]), theirs, atol=1e-5)


def test_label_sets_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(6)
    logits = random.normal(0, 2, (4_000, 5)).astype(np.float32)
    said = probabilities(logits, "multiclass")
    truth = np.zeros((4_000, 5), bool)
    truth[np.arange(4_000), (said.cumsum(axis=1) > random.random((4_000, 1))).argmax(axis=1)] = True
    fitted = fit_calibration(
        logits[:2_000], truth[:2_000], "multiclass", CalibrationSpec(prediction_sets=0.9, abstain=0.05)
    )
    held = prediction_sets(fitted, said[2_000:])
    assert (held & truth[2_000:]).any(axis=1).mean() == pytest.approx(0.9, abs=0.025)
    assert held.sum(axis=1).mean() < 4
    assert fitted.abstain_threshold is not None
