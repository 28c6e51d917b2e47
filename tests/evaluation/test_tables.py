"""Scores by class, group and domain, confusions, `scores.json` and the ledger."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from holotype.core.errors import HolotypeError
from holotype.evaluation import (
    class_table,
    confusion_counts,
    domain_table,
    group_table,
    grouped_folds,
    scorecard_to_json,
    step_effects,
)
from holotype.evaluation.metrics import ScoredSamples, resample_groups
from holotype.postprocessing.decision import default_labels
from holotype.types import Metric, SampleTable, Scorecard


@pytest.fixture
def judged(run):
    oof = run.oof()
    truth = run.images.samples.matrix(oof.samples)
    return ScoredSamples(truth, default_labels(oof.logits, "multiclass"), oof.logits, "multiclass"), oof.samples


def labels_of(**groups) -> SampleTable:
    columns = {f"group.{name}": values for name, values in groups.items()}
    count = len(next(iter(groups.values())))
    return SampleTable(pl.DataFrame({"id": range(count), **columns}), np.arange(count), ("a", "b"), "multiclass")


def test_classes_have_their_counts_and_intervals(judged):
    answers, _ = judged
    table = class_table(answers, ("round", "spindle", "star"), resample_groups(answers.truth, None, 1, n_resamples=100))
    assert [entry["name"] for entry in table] == ["round", "spindle", "star"]
    assert sum(entry["support"] for entry in table) == len(answers.truth) == sum(entry["predicted"] for entry in table)
    expected = f1_score(answers.truth, answers.decided, average=None)
    assert [entry["f1"] for entry in table] == pytest.approx(list(expected))
    assert all(entry["low"] <= entry["f1"] <= entry["high"] for entry in table)


def test_what_is_not_defined_is_none():
    truth, decided = np.array([[True, False], [True, False]]), np.array([[False, True], [False, True]])
    answers = ScoredSamples(truth, decided, decided.astype(np.float32), "multiclass")
    first, second = class_table(answers, "ab", resample_groups(truth, None, 1, n_resamples=20))
    assert (first["precision"], first["recall"], first["f1"]) == (None, 0, 0)
    assert (second["precision"], second["recall"], second["f1"], second["low"]) == (0, None, None, None)


def test_groups_and_domains_are_scored_apart(run, judged):
    answers, samples = judged
    table = group_table(answers, run.images.samples, samples, "accuracy")
    assert len(table) == 20
    assert sum(entry["samples"] * entry["value"] for entry in table) == pytest.approx(
        accuracy_score(answers.truth, answers.decided) * len(samples)
    )
    assert table[0]["column"] == "plate"
    domains = domain_table(answers, run.images.samples, samples, "macro_f1")
    assert [entry["domain"] for entry in domains] == ["HeLa", "U2OS"]
    inside = (run.images.samples.frame["domain"].gather(samples) == "U2OS").to_numpy()
    expected = f1_score(answers.truth[inside], answers.decided[inside], average="macro")
    assert domains[1]["value"] == pytest.approx(expected)


def test_a_column_of_very_many_groups_has_no_table(run, judged):
    answers = judged[0]
    names = [f"slide{number}" for number in range(201)]
    many = ScoredSamples(
        *(np.resize(array, (201, 3)) for array in (answers.truth, answers.decided, answers.logits)), "multiclass"
    )
    assert group_table(many, labels_of(slide=names), np.arange(201), "accuracy") == []
    few = labels_of(slide=[None, *names[:200]])
    assert len(group_table(many, few, np.arange(201), "accuracy")) == 200


def test_confusions_of_one_label_are_those_of_scikit_learn(judged):
    answers, _ = judged
    expected = confusion_matrix(answers.truth.argmax(axis=1), answers.decided.argmax(axis=1))
    np.testing.assert_array_equal(confusion_counts(answers.truth, answers.decided, "multiclass"), expected)


def test_confusions_of_many_labels_count_a_missed_class_beside_a_wrong_one():
    truth = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0]], dtype=bool)
    decided = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 0]], dtype=bool)
    assert confusion_counts(truth, decided, "multilabel").tolist() == [[2, 0, 0], [0, 1, 1], [0, 0, 0]]


def test_scores_json_is_plain_and_without_nan():
    following = {"low": np.float64(0.1), "high": 0.9, "rows": np.int64(5)}
    metric = Metric(np.float32(0.5), float("nan"), np.inf, following, 3, 2, "words")
    card = Scorecard({"accuracy": metric}, [{"step": "a", "difference": None}], [{"f1": np.nan}], [], [])
    content = json.loads(json.dumps(scorecard_to_json(card), allow_nan=False))
    assert list(content) == ["metrics", "steps", "classes", "groups", "domains", "subsets", "ranks", "back_off"]
    assert content["metrics"]["accuracy"] == {
        "value": 0.5,
        "low": None,
        "high": None,
        "prediction_interval": {"low": 0.1, "high": 0.9, "rows": 5},
        "samples": 3,
        "groups": 2,
        "method": "words",
    }
    assert content["classes"] == [{"f1": None}]


def test_the_ledger_pairs_each_step_with_the_one_before(run, judged):
    answers, samples = judged
    worse = run.oof(noise=3.0)
    first = ("one view", default_labels(worse.logits, "multiclass"), worse.logits)
    steps = [first, ("eight views", answers.decided, answers.logits), ("nothing", answers.decided, answers.logits)]
    ledger = step_effects(steps, answers.truth, "multiclass", run.folds.groups_of(samples), "macro_f1", 1)
    assert [entry["step"] for entry in ledger] == ["one view", "eight views", "nothing"]
    assert ledger[0]["difference"] is None
    assert ledger[1]["difference"]["value"] == pytest.approx(ledger[1]["value"] - ledger[0]["value"])
    assert ledger[1]["difference"]["low"] > 0
    assert ledger[2]["difference"] == {"value": 0, "low": 0, "high": 0}


def test_a_step_of_another_shape_is_named(run, judged):
    answers, samples = judged
    short, groups = [("short", answers.decided[1:], answers.logits[1:])], run.folds.groups_of(samples)
    with pytest.raises(HolotypeError, match="step 'short'"):
        step_effects(short, answers.truth, "multiclass", groups, "accuracy", 1)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(0, 50))
def test_grouped_folds_keep_units_whole_and_leave_no_fold_empty(units, seed):
    folds = grouped_folds(np.array(units), 5, seed)
    assert all(len(set(folds[np.array(units) == unit].tolist())) == 1 for unit in set(units))
    assert set(folds.tolist()) == set(range(min(5, len(set(units)))))
    np.testing.assert_array_equal(folds, grouped_folds(np.array(units), 5, seed))
