"""Ensembles that learn: weights, choices, votes, ranks and stacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from holotype.core.errors import RecipeError
from holotype.core.seeds import keyed_generator
from holotype.evaluation.metrics import f1_per_class
from holotype.postprocessing.ensemble import (
    EnsembleStep,
    apply_ensemble,
    diversity_table,
    ensemble_from_json,
    ensemble_to_json,
    fit_ensemble,
    fit_weights,
    greedy_weights,
    mean_log_loss,
    mean_scores,
    stack_importance,
    unfitted_ensemble,
    votes,
)
from holotype.postprocessing.ensemble.stack import fit_stack, stack_table
from holotype.recipe.sections import GreedySpec, MeanSpec, StackSpec, VoteSpec, WeightedSpec
from holotype.types import OofPredictions, SampleFeatures, TestPredictions

ROWS, CLASSES = 1_200, 3
KINDS = ["multilabel", "multiclass"]


def world(kind: str, seed: int = 1, rows: int = ROWS) -> tuple[list[np.ndarray], np.ndarray, SampleFeatures]:
    """Two skilled models and one of noise; a feature that tells what the models do not see."""
    random = np.random.default_rng(seed)
    hidden = random.normal(0, 1, (rows, CLASSES))
    seen = random.normal(0, 1, (rows, CLASSES))
    odds = 1.5 * seen + 1.5 * hidden - 1
    if kind == "multiclass":
        truth = np.zeros((rows, CLASSES), bool)
        truth[np.arange(rows), (odds + random.gumbel(size=odds.shape)).argmax(axis=1)] = True
    else:
        truth = random.random((rows, CLASSES)) < expit(odds)
    noise = random.normal(0, 1, (3, rows, CLASSES))
    models = [2 * seen + noise[0], 2 * seen + 2 * noise[1], 3 * noise[2]]
    facts = SampleFeatures(
        tuple("xyz"), hidden.astype(np.float32), tuple(["left", "right"] * (rows // 2)), np.arange(rows) // 4
    )
    return [one.astype(np.float32) for one in models], truth, facts


def oof(logits: np.ndarray) -> OofPredictions:
    return OofPredictions(np.arange(len(logits)), logits, np.arange(len(logits)) % 5)


def fitted(spec: Any, kind: str, seed: int = 1, memory: Path | None = None) -> Any:
    models, truth, facts = world(kind, seed)
    choice = EnsembleStep(spec, ("a", "b", "noise"), kind, "macro_f1", facts, threads=2, cache_dir=memory)
    return fit_ensemble([oof(one) for one in models], truth, choice), models, truth, facts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", ["logit", "probability"])
def test_weights_on_the_simplex_are_the_best_there_are(kind: str, space: str) -> None:
    models, truth, _ = world(kind)
    weights = fit_weights(models[:2], truth, space, kind, shrink_to_equal=0.0)
    best = minimize_scalar(
        lambda share: mean_log_loss(mean_scores(models[:2], (share, 1 - share), space, kind), truth, kind),
        bounds=(0, 1),
        method="bounded",
    ).x
    assert weights[0] == pytest.approx(best, abs=0.01)
    assert sum(weights) == pytest.approx(1)


def test_strength_draws_weights_towards_equal_ones() -> None:
    models, truth, _ = world("multilabel")
    free, drawn = (fit_weights(models, truth, "probability", "multilabel", even) for even in (0.0, 1e3))
    assert free[2] < min(free[:2])
    assert max(abs(weight - 1 / 3) for weight in drawn) < 0.01


def test_greedy_selection_takes_the_best_first_and_keeps_the_best_number() -> None:
    models, truth, _ = world("multilabel")

    def score(mean: np.ndarray) -> float:
        return float(np.nanmean(f1_per_class(truth, mean > 0)))

    weights = greedy_weights([one.astype(np.float64) for one in models], score, 10)
    mean = sum(weight * one for weight, one in zip(weights, models, strict=True))
    assert score(mean) >= max(score(one) for one in models) - 1e-12
    assert sum(weights) == pytest.approx(1)


def test_greedy_selection_among_samples_of_no_class_goes_by_the_log_loss() -> None:
    models = [np.full((6, 2), value, np.float32) for value in (3.0, -3.0)]
    choice = EnsembleStep(GreedySpec(kind="greedy"), ("wrong", "right"), "multilabel")
    found = fit_ensemble([oof(one) for one in models], np.zeros((6, 2), bool), choice)
    assert found.ensemble.weights == (0.0, 1.0)


def test_votes_count_models_and_their_probability_decides_between_equals() -> None:
    yes, no = np.full((1, 1), 2.0, np.float32), np.full((1, 1), -1.0, np.float32)
    assert votes([yes, yes, no], "multilabel") > 0
    assert votes([yes, no, no], "multilabel") < 0
    assert votes([yes, no], "multilabel") > 0  # 0.88 and 0.27: more than one half together


SPECS = [
    MeanSpec(space="rank"),
    WeightedSpec(kind="weighted", by="domain"),
    GreedySpec(kind="greedy", rounds=5),
    GreedySpec(kind="greedy", rounds=5, space="probability"),
    VoteSpec(kind="vote"),
    StackSpec(kind="stack", repeats=1),
    StackSpec(kind="stack", model="linear", repeats=1),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{getattr(spec, 'model', '')}")
def test_every_ensemble_says_the_same_after_a_way_through_json(spec: Any, kind: str) -> None:
    made, models, _, facts = fitted(spec, kind)
    again = ensemble_from_json(ensemble_to_json(made.ensemble))
    asked = [TestPredictions(np.arange(ROWS), one) for one in models]
    np.testing.assert_array_equal(apply_ensemble(again, asked, kind, facts), made(asked))
    assert np.isfinite(made(asked)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["lightgbm", "linear"])
def test_a_stack_sees_what_models_do_not_and_its_crossed_scores_are_honest(kind: str, model: str) -> None:
    made, models, truth, _ = fitted(StackSpec(kind="stack", model=model, repeats=2), kind)
    plain = mean_log_loss(mean_scores(models, (1 / 3,) * 3, "logit", kind), truth, kind)
    crossed = mean_log_loss(made.oof_logits, truth, kind)
    assert crossed < plain - 0.03
    new, new_truth, new_facts = world(kind, seed=2)
    asked = [TestPredictions(np.arange(ROWS), one) for one in new]
    fresh = mean_log_loss(apply_ensemble(made.ensemble, asked, kind, new_facts), new_truth, kind)
    new_plain = mean_log_loss(mean_scores(new, (1 / 3,) * 3, "logit", kind), new_truth, kind)
    assert crossed - plain == pytest.approx(fresh - new_plain, abs=0.06)  # what it bought, here and on new samples
    assert mean_log_loss(made([oof(one) for one in models]), truth, kind) < crossed  # in sample, flattering


def test_a_stack_is_the_same_whoever_runs_it_and_finds_its_finished_classes_again(tmp_path: Path) -> None:
    first, *_ = fitted(StackSpec(kind="stack", repeats=1), "multilabel", memory=tmp_path)
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == CLASSES
    times = [path.stat().st_mtime_ns for path in kept]
    kept[0].unlink()
    again, *_ = fitted(StackSpec(kind="stack", repeats=1), "multilabel", memory=tmp_path)
    assert again.ensemble.stack == first.ensemble.stack
    np.testing.assert_array_equal(again.oof_logits, first.oof_logits)
    assert [path.stat().st_mtime_ns for path in kept[1:]] == times[1:]


def test_labels_of_the_fold_that_is_asked_about_change_nothing_of_what_its_model_says() -> None:
    """The number of trees, too, is found without them."""
    models, truth, facts = world("multilabel", rows=400)
    table = stack_table(models, models[0], ("a", "b", "noise"), features=facts.features, feature_names=facts.names)
    spec = StackSpec(kind="stack", inner=3, repeats=1)
    _, crossed = fit_stack(table, truth, facts.groups, spec)
    units_of_first = keyed_generator(1, "stack", 0).permutation(100) % 3 == 0
    inside = units_of_first[facts.groups]
    other = np.where(inside[:, None], ~truth, truth)
    _, again = fit_stack(table, other, facts.groups, spec)
    np.testing.assert_array_equal(again[inside], crossed[inside])
    assert (again[~inside] != crossed[~inside]).any()


def test_a_class_with_hardly_a_sample_keeps_the_mean() -> None:
    models, truth, facts = world("multilabel")
    truth[:, 0] = False
    truth[:2, 0] = True
    choice = EnsembleStep(StackSpec(kind="stack", repeats=1), ("a", "b", "c"), "multilabel", "macro_f1", facts)
    made = fit_ensemble([oof(one) for one in models], truth, choice)
    asked = [TestPredictions(np.arange(ROWS), one) for one in models]
    np.testing.assert_allclose(made(asked)[:, 0], np.mean(models, axis=0)[:, 0], atol=1e-5)


def test_importance_finds_the_features_that_matter() -> None:
    made, *_ = fitted(StackSpec(kind="stack", repeats=1), "multilabel")
    names = ["a", "b", "noise", *(f"mean of class {n}" for n in range(3)), "x", "y", "z", "domain left", "domain right"]
    importance = stack_importance(made.ensemble.stack, names)
    assert sum(importance.values()) == pytest.approx(1)
    assert importance["x"] + importance["y"] + importance["z"] > 0.3 > importance["domain left"]


def test_domains_with_many_samples_have_weights_of_their_own() -> None:
    models, truth, facts = world("multilabel")
    left = np.arange(ROWS) % 2 == 0
    models[0][~left] = -models[0][~left]  # the first model is useless on the right
    choice = EnsembleStep(WeightedSpec(kind="weighted", by="domain"), ("a", "b", "c"), "multilabel", "macro_f1", facts)
    made = fit_ensemble([oof(one) for one in models], truth, choice)
    assert made.ensemble.weights_by_domain["left"][0] > made.ensemble.weights_by_domain["right"][0] + 0.05


def test_pairs_are_described() -> None:
    models, truth, _ = world("multilabel")
    table = diversity_table([*models, models[0]], ["a", "b", "c", "a again"], truth, "multilabel")
    assert len(table) == 6
    same = next(row for row in table if row["second"] == "a again" and row["first"] == "a")
    assert same["disagreement"] == 0
    assert same["correlation"] == pytest.approx(1, abs=1e-5)
    assert all(row["loss_mean"] > 0 for row in table)


def test_what_learns_is_refused_where_there_is_nothing_to_learn_from() -> None:
    with pytest.raises(RecipeError, match=r"ensemble\.kind: .* 'stack' learns from out-of-fold scores"):
        unfitted_ensemble(EnsembleStep(StackSpec(kind="stack"), ("a",), "multilabel"))
    assert unfitted_ensemble(EnsembleStep(MeanSpec(), ("a", "b"), "multilabel")).ensemble.weights == (0.5, 0.5)
