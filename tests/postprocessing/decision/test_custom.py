"""Decision rules of plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from holotype.core.errors import InputError, RecipeError
from holotype.postprocessing.decision import (
    DECISIONS,
    DecisionContext,
    decide,
    decision_from_json,
    decision_to_json,
    fit_decision,
)
from holotype.recipe.sections import CustomDecisionSpec
from holotype.runs.export.model_card import simple_rule

LOGITS = np.log(np.float32([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]]))


@pytest.fixture
def register() -> Iterator[Callable[..., None]]:
    """Registers a rule for the time of a test."""
    names = []

    def add(rule: Callable[..., object]) -> None:
        DECISIONS.register(name="a_rule")(rule)
        names.append("a_rule")

    yield add
    for name in names:
        del DECISIONS._functions[name], DECISIONS._plugins[name]


def fitted(kind: str, **options: object):
    spec = CustomDecisionSpec(kind="custom", name="a_rule", options=options)
    return fit_decision(None, None, spec, DecisionContext(("a", "b", "c"), kind))


def test_a_rule_gets_probabilities_and_its_options(register) -> None:
    seen = {}

    def rule(probability, kind, *, share=0.5):
        seen[kind] = probability
        return probability >= share * probability.max(axis=1, keepdims=True)

    register(rule)
    decided = decide(fitted("multilabel", share=0.8), LOGITS)
    assert seen["multilabel"] == pytest.approx(1 / (1 + np.exp(-LOGITS.astype(float))))
    assert decided.tolist() == [[True, False, False], [True, True, False]]
    decide(fitted("multiclass", share=1.0), LOGITS)
    assert seen["multiclass"] == pytest.approx(np.exp(LOGITS.astype(float)), abs=1e-6)


def test_a_rule_survives_its_file(register) -> None:
    register(lambda probability, kind, *, share: probability > share)
    decision = fitted("multilabel", share=0.3)
    content = decision_to_json(decision)
    assert {name: content[name] for name in ("kind", "name", "options")} == {
        "kind": "custom",
        "name": "a_rule",
        "options": {"share": 0.3},
    }
    assert decision_from_json(content) == decision


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda p, kind: p, r"the decision 'a_rule' returns float64 of shape \(2, 3\), not a mask of shape \(2, 3\)"),
        (lambda p, kind: p[:, 0] > 0, r"returns bool of shape \(2,\), not a mask"),
        (lambda p, kind: p > 0, "gives a sample several labels"),
    ],
)
def test_a_rule_that_gives_no_labels_is_refused(register, rule, message) -> None:
    register(rule)
    with pytest.raises(RecipeError, match=message):
        decide(fitted("multiclass"), LOGITS)


def test_a_rule_is_not_exported(register) -> None:
    register(lambda probability, kind: probability > 0.5)
    with pytest.raises(InputError, match="the decision 'a_rule' is code of a plugin"):
        simple_rule(fitted("multilabel"), "multilabel")
