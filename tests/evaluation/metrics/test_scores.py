"""Metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax

from holotype.core.errors import DataError, RecipeError
from holotype.evaluation.metrics import (
    METRICS,
    auroc_per_class,
    average_precision_per_class,
    classes_without_positives,
    count_groups,
    f1_per_class,
    log_loss,
    precision_recall_per_class,
    top_k_accuracy,
)
from holotype.types import LabelMatrix

some_seeds = settings(max_examples=15, deadline=None)
ONCE = given(st.integers(0, 10_000))


def multilabel(seed: int, samples: int = 60, classes: int = 5):
    generator = np.random.default_rng(seed)
    truth = generator.random((samples, classes)) < 0.3
    truth[np.arange(classes), np.arange(classes)] = True
    logits = np.round(generator.normal(size=truth.shape) + 2 * truth - 1, 1).astype(np.float32)  # rounding makes ties
    return truth, logits > 0, logits


def multiclass(seed: int, samples: int = 60, classes: int = 5):
    generator = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(classes), generator.integers(0, classes, samples - classes)])
    truth = np.eye(classes, dtype=bool)[codes]
    logits = (generator.normal(size=truth.shape) + 2 * truth).astype(np.float32)
    return truth, np.eye(classes, dtype=bool)[logits.argmax(axis=1)], logits


@some_seeds
@ONCE
def test_metrics_of_many_labels_are_those_of_scikit_learn(seed):
    truth, decided, logits = multilabel(seed)
    expected = {
        "macro_f1": oracle.f1_score(truth, decided, average="macro", zero_division=0),
        "micro_f1": oracle.f1_score(truth, decided, average="micro", zero_division=0),
        "accuracy": oracle.accuracy_score(truth, decided),
        "balanced_accuracy": np.mean(
            [oracle.balanced_accuracy_score(*pair) for pair in zip(truth.T, decided.T, strict=True)]
        ),
        "map": oracle.average_precision_score(truth, logits, average="macro"),
        "auroc": oracle.roc_auc_score(truth, logits, average="macro"),
        "mcc": np.mean([oracle.matthews_corrcoef(*pair) for pair in zip(truth.T, decided.T, strict=True)]),
        "cohen_kappa": np.mean([oracle.cohen_kappa_score(*pair) for pair in zip(truth.T, decided.T, strict=True)]),
    }
    names = set(METRICS) - {"quadratic_weighted_kappa"}
    found = {name: METRICS[name](truth, decided, logits, "multilabel") for name in names}
    assert found == pytest.approx(expected, abs=1e-9)


@some_seeds
@ONCE
def test_metrics_of_one_label_are_those_of_scikit_learn(seed):
    truth, decided, logits = multiclass(seed)
    labels, guesses = truth.argmax(axis=1), decided.argmax(axis=1)
    expected = {
        "macro_f1": oracle.f1_score(labels, guesses, average="macro"),
        "micro_f1": oracle.f1_score(labels, guesses, average="micro"),
        "accuracy": oracle.accuracy_score(labels, guesses),
        "balanced_accuracy": oracle.balanced_accuracy_score(labels, guesses),
        "map": oracle.average_precision_score(truth, softmax(logits.astype(float), axis=1), average="macro"),
        "auroc": oracle.roc_auc_score(labels, softmax(logits.astype(float), axis=1), multi_class="ovr"),
        "mcc": oracle.matthews_corrcoef(labels, guesses),
        "cohen_kappa": oracle.cohen_kappa_score(labels, guesses),
        "quadratic_weighted_kappa": oracle.cohen_kappa_score(labels, guesses, weights="quadratic"),
    }
    found = {name: metric(truth, decided, logits, "multiclass") for name, metric in METRICS.items()}
    assert found == pytest.approx(expected, abs=1e-9)


@some_seeds
@ONCE
def test_auroc_of_draws_is_that_of_repeated_samples(seed):
    truth, _, logits = multilabel(seed)
    draws = np.random.default_rng(seed).multinomial(len(truth), np.full(len(truth), 1 / len(truth)), size=3)
    resampled = auroc_per_class(truth, logits, "multilabel", draws)
    for values, counts in zip(resampled, draws, strict=True):
        rows = np.repeat(np.arange(len(truth)), counts)
        for number, value in enumerate(values):
            labels = truth[rows, number]
            defined = 0 < labels.sum() < len(labels)
            expected = oracle.roc_auc_score(labels, logits[rows, number]) if defined else np.nan
            assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_a_class_without_positives_or_without_negatives_has_no_auroc():
    truth = np.array([[True, False, True], [True, False, False]])
    values = auroc_per_class(truth, np.float32([[1, 2, 3], [2, 1, 0]]), "multilabel")
    np.testing.assert_array_equal(values, [np.nan, np.nan, 1])


def test_agreement_without_a_spread_is_that_of_scikit_learn():
    truth = np.eye(3, dtype=bool)[[0, 1, 2, 2]]
    constant = np.eye(3, dtype=bool)[[1, 1, 1, 1]]
    assert METRICS["mcc"](truth, constant) == oracle.matthews_corrcoef([0, 1, 2, 2], [1] * 4) == 0
    assert METRICS["cohen_kappa"](truth, constant) == oracle.cohen_kappa_score([0, 1, 2, 2], [1] * 4) == 0
    assert np.isnan(METRICS["cohen_kappa"](constant, constant))
    assert np.isnan(METRICS["quadratic_weighted_kappa"](constant, constant))


def test_a_sample_without_a_predicted_label_is_wrong_in_every_agreement():
    truth, decided = np.eye(3, dtype=bool)[[0, 1, 2, 2]], np.eye(3, dtype=bool)[[0, 1, 2, 2]]
    decided[0] = False
    farthest = np.eye(3, dtype=bool)[[2, 1, 2, 2]]
    with_fourth = oracle.matthews_corrcoef([0, 1, 2, 2], [3, 1, 2, 2])
    assert METRICS["mcc"](truth, decided) == pytest.approx(with_fourth)
    assert METRICS["cohen_kappa"](truth, decided) == pytest.approx(oracle.cohen_kappa_score([0, 1, 2, 2], [3, 1, 2, 2]))
    distances = [
        count_groups(truth, side, None, "multiclass", np.arange(4)).resample().squared_distance
        for side in (decided, farthest)
    ]
    assert distances == [[4.0], [4.0]]


def test_quadratic_weighted_kappa_refuses_many_labels():
    truth, decided, _ = multilabel(1)
    with pytest.raises(DataError, match="ordered classes"):
        METRICS["quadratic_weighted_kappa"](truth, decided, None, "multilabel")


def test_thirty_thousand_classes_cost_no_more_than_their_counts():
    draw = np.random.default_rng(1)
    samples, classes = 3_000, 32_000
    codes, guesses = draw.integers(0, classes, samples), draw.integers(0, classes, samples)
    guesses[::2] = codes[::2]
    truth, decided = (LabelMatrix.from_pairs(np.arange(samples), each, (samples, classes)) for each in (codes, guesses))
    assert METRICS["mcc"](truth, decided) == pytest.approx(oracle.matthews_corrcoef(codes, guesses))
    kappa = METRICS["quadratic_weighted_kappa"](truth, decided)
    assert kappa == pytest.approx(
        1 - ((codes - guesses) ** 2).sum() / np.mean([((codes[:, None] - guesses) ** 2).sum() / samples])
    )


def test_log_loss_is_that_of_scikit_learn():
    truth, _, logits = multiclass(3)
    expected = oracle.log_loss(truth.argmax(axis=1), softmax(logits.astype(float), axis=1))
    assert log_loss(truth, None, logits, "multiclass") == pytest.approx(expected)
    truth, _, logits = multilabel(3)
    each = [oracle.log_loss(has, says) for has, says in zip(truth.T, expit(logits.astype(float)).T, strict=True)]
    assert log_loss(truth, None, logits, "multilabel") == pytest.approx(np.mean(each))


def test_log_loss_of_sure_and_wrong_logits_is_finite():
    truth = np.array([[True, False]])
    assert log_loss(truth, None, np.float32([[-900, 900]]), "multilabel") == pytest.approx(900)
    assert log_loss(truth, None, np.float32([[-900, 900]]), "multiclass") == pytest.approx(1800)


def test_log_loss_refuses_a_second_label_in_a_multiclass_row():
    with pytest.raises(DataError, match="exactly one label"):
        log_loss(np.array([[True, True]]), None, np.zeros((1, 2), np.float32), "multiclass")


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k_accuracy_is_that_of_scikit_learn(k):
    truth, _, logits = multiclass(1)
    assert top_k_accuracy(truth, logits, k) == oracle.top_k_accuracy_score(truth.argmax(axis=1), logits, k=k)


def test_top_k_accuracy_refuses_more_classes_than_there_are():
    with pytest.raises(DataError, match="between 1 and"):
        top_k_accuracy(np.eye(3, dtype=bool), np.zeros((3, 3), np.float32), 4)


def test_scores_by_class_are_those_of_scikit_learn():
    truth, decided, _ = multilabel(2)
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(truth, decided)
    np.testing.assert_allclose(precision_recall_per_class(truth, decided), [precision, recall])
    np.testing.assert_allclose(f1_per_class(truth, decided), f1)


def test_a_class_without_a_positive_row_is_left_out_of_the_macro_average_and_named():
    truth, decided, logits = multilabel(4)
    truth[:, 2] = False
    kept = [0, 1, 3, 4]
    for name in ("macro_f1", "balanced_accuracy", "map"):
        whole = METRICS[name](truth, decided, logits, "multilabel")
        assert whole == pytest.approx(METRICS[name](truth[:, kept], decided[:, kept], logits[:, kept], "multilabel"))
    assert classes_without_positives(truth, "abcde") == ("c",)
    assert np.isnan(f1_per_class(truth, decided)[2])


def test_average_precision_does_not_depend_on_a_constant_of_a_multiclass_row():
    truth, decided, logits = multiclass(5)
    moved = logits + np.random.default_rng(0).normal(size=(len(logits), 1)).astype(np.float32) * 50
    same = METRICS["map"](truth, decided, moved, "multiclass")
    assert same == pytest.approx(METRICS["map"](truth, decided, logits, "multiclass"), abs=1e-3)


@some_seeds
@ONCE
def test_a_weight_of_average_precision_counts_like_a_repeated_row(seed):
    truth, _, logits = multilabel(seed, samples=25)
    weights = np.random.default_rng(seed).multinomial(25, np.full(25, 1 / 25), size=3)
    weights[:, :5] += 1  # every class stays
    found = average_precision_per_class(truth, logits, "multilabel", weights)
    for number, weight in enumerate(weights):
        repeated = [np.repeat(array, weight, axis=0) for array in (truth, logits)]
        np.testing.assert_allclose(found[number], oracle.average_precision_score(*repeated, average=None))


def test_an_unknown_metric_is_refused_with_a_suggestion():
    with pytest.raises(RecipeError, match="did you mean 'macro_f1'"):
        METRICS["macrof1"]


def test_arrays_of_different_shapes_are_refused():
    with pytest.raises(DataError, match="of the same shape"):
        f1_per_class(np.ones((3, 2), bool), np.ones((2, 2), bool))
