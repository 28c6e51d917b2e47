"""Every choice is refitted without what it is scored on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import pytest

from holotype.core.errors import DataError, HolotypeError
from holotype.evaluation import fit_chain, score_nested
from holotype.evaluation.metrics import METRICS, ScoredSamples, bootstrap_intervals, resample_groups
from holotype.postprocessing.decision import default_labels
from holotype.postprocessing.ensemble import EnsembleStep
from holotype.recipe.sections import WeightedSpec
from holotype.types import OofPredictions


@dataclass
class Mean:
    """The mean of the models' logits; learns nothing."""

    name: str = "the mean"
    learns: bool = False

    def fit(self, evidence, truth):
        return lambda models: np.mean([model.logits for model in models], axis=0)


@dataclass
class Best:
    """The model that is right most often; remembers what it was fitted on and applied to."""

    name: str = "the best model"
    log: list = field(default_factory=list)

    def fit(self, evidence, truth):
        right = [(truth[np.arange(len(truth)), model.logits.argmax(axis=1)]).mean() for model in evidence]
        best = int(np.argmax(right))

        def apply(models):
            self.log.append((set(evidence[0].samples.tolist()), set(models[0].samples.tolist())))
            return models[best].logits

        return apply


@dataclass
class Plain:
    """The plain decision."""

    kind: str = "multiclass"
    name: str = "argmax"
    learns: bool = False

    def fit(self, evidence, truth):
        return lambda scores: default_labels(scores.logits, self.kind)


@dataclass
class Memory:
    """Decides what it was fitted with, sample by sample: perfect on what it saw, and wrong on all else."""

    name: str = "memory"
    log: list = field(default_factory=list)

    def fit(self, evidence, truth):
        known = dict(zip(evidence.samples.tolist(), truth, strict=True))

        def apply(scores):
            self.log.append((set(known), set(scores.samples.tolist())))
            nothing = np.zeros(truth.shape[1], dtype=bool)
            return np.array([known.get(sample, nothing) for sample in scores.samples.tolist()])

        return apply


def test_without_learning_the_score_is_that_of_all_rows(run):
    first, second = run.oof(), run.oof(noise=1.0)
    nested = score_nested([first, second], run.images.samples, run.folds, [Mean(), Plain()], "macro_f1", 1)
    logits = (first.logits + second.logits) / 2
    decided = default_labels(logits, "multiclass")
    truth = run.images.samples.matrix(first.samples)
    np.testing.assert_allclose(nested.logits, logits, rtol=1e-6)
    np.testing.assert_array_equal(nested.decided, decided)
    names = set(METRICS) & set(nested.scorecard.metrics)
    assert {"macro_f1", "micro_f1", "accuracy", "balanced_accuracy", "map"} <= names
    for name in names:
        value = METRICS[name](truth, decided, logits, "multiclass")
        assert nested.scorecard.metrics[name].value == pytest.approx(value)


def test_what_was_memorised_earns_nothing(run):
    memory = Memory()
    nested = score_nested([run.oof()], run.images.samples, run.folds, [Mean(), memory], "accuracy", 1)
    assert nested.scorecard.metrics["accuracy"].value == 0
    assert all(not seen & scored for seen, scored in memory.log)
    assert set.union(*(scored for _, scored in memory.log)) == set(nested.samples.tolist())


@pytest.mark.parametrize("used", [(0, 1, 2, 3), (0, 1), (2,)])
def test_no_choice_sees_a_plate_it_is_applied_to(make, used):
    run = make(used=used)
    best, memory = Best(), Memory()
    score_nested([run.oof(), run.oof(1.0)], run.images.samples, run.folds, [best, memory], "macro_f1", 1)
    units = run.folds.independent_groups
    applied = [pair for pair in best.log + memory.log if pair[0] != pair[1]]
    assert len(applied) > 2
    for seen, scored in applied:
        assert not {units[sample] for sample in seen} & {units[sample] for sample in scored}


def test_a_decision_learns_from_scores_of_models_that_were_chosen_without_the_row(run):
    """Both steps memorise: in-sample evidence would make the decision trust the first one."""
    seen_by_decision = {}

    @dataclass
    class Oracle:
        name: str = "oracle"

        def fit(self, evidence, truth):
            known = dict(zip(evidence[0].samples.tolist(), truth.astype(np.float32), strict=True))
            none = np.full(truth.shape[1], -9, np.float32)
            return lambda models: np.array([known.get(number, none) for number in models[0].samples.tolist()])

    @dataclass
    class Watcher:
        name: str = "watcher"

        def fit(self, evidence, truth):
            seen_by_decision[len(seen_by_decision)] = evidence.logits
            return lambda scores: default_labels(scores.logits, "multiclass")

    oof = run.oof()
    truth = run.images.samples.matrix(oof.samples)
    units = np.arange(len(oof.samples))
    score_nested([oof], run.images.samples, run.folds, [Oracle(), Watcher()], "macro_f1", 1)
    fit_chain([Oracle(), Watcher()], [oof], truth, oof.folds, units, 1)
    assert len(seen_by_decision) == 5
    assert all((logits == -9).all() for logits in seen_by_decision.values())


def test_with_one_fold_the_choices_are_cross_fitted_inside_it_and_it_is_said(make):
    run = make(used=(2,))
    memory = Memory()
    nested = score_nested([run.oof()], run.images.samples, run.folds, [Mean(), memory], "accuracy", 1)
    assert nested.scorecard.metrics["accuracy"].value == 0
    assert len(memory.log) == 5
    assert "cross-fitted by folds of groups inside fold 2" in nested.scorecard.metrics["accuracy"].method


def test_with_one_group_in_one_fold_the_words_say_that_samples_had_to_do(make):
    run = make(used=(2,))
    folds = replace(run.folds, independent_groups=np.zeros_like(run.folds.independent_groups))
    nested = score_nested([run.oof()], run.images.samples, folds, [Mean(), Memory()], "accuracy", 1)
    metric = nested.scorecard.metrics["accuracy"]
    assert (metric.low, metric.high, metric.groups) == (0, 1, 1)
    assert (
        "by folds of samples inside fold 2, the only trained one, since all belong to one independent group"
        in metric.method
    )


def test_weights_were_refitted_and_a_weighting_was(run):
    models, names = [run.oof(), run.oof(1.0)], ("a", "b")
    ensemble = EnsembleStep(WeightedSpec(kind="weighted"), names, "multiclass")
    nested = score_nested(models, run.images.samples, run.folds, [ensemble, Plain()], "macro_f1", 1)
    assert "the weighting of the models was refitted" in nested.scorecard.metrics["macro_f1"].method


def test_the_words_say_what_was_refitted(run):
    nested = score_nested([run.oof()], run.images.samples, run.folds, [Best(), Plain()], "macro_f1", 1, next_rows=55)
    metric = nested.scorecard.metrics["macro_f1"]
    assert "the best model was refitted without the fold that is scored (4 folds)" in metric.method
    assert "argmax learned nothing" in metric.method
    assert "training was not repeated" in metric.method
    assert "20 groups" in metric.method
    assert (metric.groups, metric.samples, metric.prediction_interval["rows"]) == (20, 120, 55)


def test_the_recipes_metric_stands_first(run):
    nested = score_nested([run.oof()], run.images.samples, run.folds, [Mean(), Plain()], "map", 1)
    assert list(nested.scorecard.metrics) == [
        "map",
        "macro_f1",
        "micro_f1",
        "accuracy",
        "balanced_accuracy",
        "log_loss",
        "calibration_error",
    ]


def test_many_labels_are_scored_too(make):
    run = make(kind="multilabel")
    nested = score_nested([run.oof()], run.images.samples, run.folds, [Mean(), Plain("multilabel")], "macro_f1", 1)
    assert list(nested.scorecard.metrics) == [
        "macro_f1",
        "micro_f1",
        "accuracy",
        "map",
        "log_loss",
        "calibration_error",
    ]
    assert 0.5 < nested.scorecard.metrics["macro_f1"].value < 1


def test_the_bootstrap_draws_the_groups(make):
    for grouped, units in ((True, 20), (False, 120)):
        run = make(grouped=grouped)
        oof = run.oof()
        nested = score_nested([oof], run.images.samples, run.folds, [Mean(), Plain()], "accuracy", 3)
        judged = ScoredSamples(nested.truth, nested.decided, nested.logits, "multiclass")
        draws = resample_groups(nested.truth, run.folds.groups_of(oof.samples), 3)
        expected = bootstrap_intervals(["accuracy"], judged, draws)["accuracy"]
        found = nested.scorecard.metrics["accuracy"]
        assert (found.low, found.high, found.groups) == (expected.low, expected.high, units)


def test_classes_without_a_positive_row_are_named(run):
    images = replace(run.images, classes=("round", "spindle", "star", "ring"))
    oof = run.oof()
    wide = replace(oof, logits=np.pad(oof.logits, ((0, 0), (0, 1)), constant_values=-20))
    nested = score_nested([wide], images.samples, run.folds, [Mean(), Plain()], "macro_f1", 1)
    assert "for lack of a positive sample: ring" in nested.scorecard.metrics["macro_f1"].method
    assert "ring" not in nested.scorecard.metrics["accuracy"].method
    assert nested.scorecard.classes[3]["f1"] is None


def test_models_of_other_samples_or_folds_are_refused(run):
    oof, labels = run.oof(), run.images.samples
    short = OofPredictions(oof.samples[1:], oof.logits[1:], oof.folds[1:])
    moved = replace(oof, folds=(oof.folds + 1) % 4)
    for models in ([oof, short], [oof, moved], [moved], []):
        with pytest.raises(HolotypeError):
            score_nested(models, labels, run.folds, [Mean(), Plain()], "macro_f1", 1)
    with pytest.raises(HolotypeError, match="at least one step"):
        score_nested([oof], labels, run.folds, [], "macro_f1", 1)


def test_a_choice_that_gives_another_shape_is_named(run):
    @dataclass
    class Narrow:
        name: str = "narrow"

        def fit(self, evidence, truth):
            return lambda scores: scores.logits[:, :2] > 0

    with pytest.raises(HolotypeError, match="narrow returned an array of shape"):
        score_nested([run.oof()], run.images.samples, run.folds, [Mean(), Narrow()], "macro_f1", 1)


def test_samples_without_known_labels_are_refused_by_name(run):
    frame = run.images.frame.with_columns(
        labels=pl.when(pl.col("sample") == "well3").then(None).otherwise(pl.col("labels"))
    )
    labels = replace(run.images, frame=frame).samples
    with pytest.raises(DataError, match="have no labels: well3"):
        score_nested([run.oof()], labels, run.folds, [Mean(), Plain()], "macro_f1", 1)
