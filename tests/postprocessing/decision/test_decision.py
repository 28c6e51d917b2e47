"""The recipe's decision: thresholds written in any way, applied to any scores."""

from __future__ import annotations

import numpy as np
import pytest

from holotype.core.errors import RecipeError
from holotype.postprocessing.decision import (
    DecisionContext,
    DecisionStep,
    decide,
    decision_to_json,
    fit_decision,
    label_names,
    thresholds_by_class,
)
from holotype.recipe.sections import ArgmaxSpec, ThresholdSpec
from holotype.types import Decision, OofPredictions

CLASSES = ("nucleus", "golgi", "cytosol")
SCORES = np.array([[2.0, -1.0, 0.1], [-3.0, -2.0, -1.0]], np.float32)
ONE, MANY = DecisionContext(CLASSES, "multiclass"), DecisionContext(CLASSES, "multilabel")
EVIDENCE = OofPredictions(np.arange(2), SCORES, np.array([0, 1]))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0.3, (0.3, 0.3, 0.3)),
        ([0.1, 0.2, 0.9], (0.1, 0.2, 0.9)),
        ({"golgi": 0.2}, (0.5, 0.2, 0.5)),
        ({}, (0.5, 0.5, 0.5)),
        (1, (1, 1, 1)),
    ],
    ids=str,
)
def test_thresholds_are_one_for_all_one_a_class_or_some_by_name(given: object, expected: tuple[float, ...]) -> None:
    assert thresholds_by_class(given, CLASSES) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            [0.1, 0.2],
            "decision.thresholds: there are 2 thresholds but 3 classes; give one per class, or a mapping by name.",
        ),
        (
            {"golgy": 0.1},
            "decision.thresholds.golgy: unknown class; did you mean 'golgi'?; allowed: nucleus, golgi, cytosol.",
        ),
        ([1.2, -0.5, 1.2], "decision.thresholds: thresholds must be from 0 to 1, got 1.2, -0.5."),
        (7.0, "decision.thresholds: thresholds must be from 0 to 1, got 7.0."),
    ],
    ids=["too few", "unknown class", "two outside", "one for all outside"],
)
def test_wrong_thresholds_are_refused_in_one_sentence(given: object, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        thresholds_by_class(given, CLASSES)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_left_out_it_is_the_likeliest_for_one_label_and_thresholds_by_class_for_many() -> None:
    assert fit_decision(EVIDENCE, None, None, ONE) == Decision("argmax", CLASSES, "multiclass")
    many = fit_decision(None, None, None, MANY)  # without scores there is nothing to fit them to
    assert many == Decision("threshold", CLASSES, "multilabel", (0.5, 0.5, 0.5), "argmax")
    fitted = fit_decision(EVIDENCE, np.array([[True, False, True], [False, False, True]]), None, MANY)
    assert (fitted.rule, len(fitted.thresholds)) == ("per-class", 3)


def test_a_decision_is_applied_as_it_was_written() -> None:
    one = fit_decision(EVIDENCE, None, ArgmaxSpec(), ONE)
    assert decide(one, SCORES).tolist() == [[True, False, False], [False, False, True]]
    spec = ThresholdSpec(thresholds={"golgi": 0.1, "cytosol": 0.9}, fallback="none")
    many = fit_decision(EVIDENCE, None, spec, MANY)
    assert decide(many, SCORES).tolist() == [[True, True, False], [False, True, False]]


def test_labels_are_named_in_the_order_of_the_classes() -> None:
    decided = np.array([[True, False, True], [False, False, False]])
    assert label_names(decided, CLASSES) == [["nucleus", "cytosol"], []]


def test_json_holds_what_is_needed_to_decide_again() -> None:
    many = fit_decision(EVIDENCE, None, ThresholdSpec(thresholds=0.25, fallback="none"), MANY)
    assert decision_to_json(many) == {
        "kind": "threshold",
        "labels": "multilabel",
        "classes": list(CLASSES),
        "thresholds": [0.25] * 3,
        "fallback": "none",
    }
    one = decision_to_json(fit_decision(EVIDENCE, None, None, ONE))
    assert one == {"kind": "argmax", "labels": "multiclass", "classes": list(CLASSES)}


def test_as_a_choice_it_learns_nothing_and_decides_the_same() -> None:
    choice = DecisionStep(ThresholdSpec(), MANY)
    apply = choice.fit(EVIDENCE, np.zeros((2, 3), bool))
    assert apply(EVIDENCE).tolist() == [[True, False, True], [False, False, True]]
    assert choice.learns is False
    assert DecisionStep(None, MANY).learns is True
