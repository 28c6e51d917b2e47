from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from holotype.recipe.sections import (
    ClassifierSpec,
    KnnClassifierSpec,
    LdaClassifierSpec,
    LightgbmClassifierSpec,
    LogisticClassifierSpec,
    RidgeClassifierSpec,
)

PARSE = TypeAdapter(ClassifierSpec).validate_python
SECTIONS = {
    "logistic": LogisticClassifierSpec,
    "ridge": RidgeClassifierSpec,
    "lda": LdaClassifierSpec,
    "knn": KnnClassifierSpec,
    "lightgbm": LightgbmClassifierSpec,
}


@pytest.mark.parametrize("kind", SECTIONS)
def test_the_kind_alone_stands_for_its_defaults(kind: str) -> None:
    assert PARSE(kind) == PARSE({"kind": kind})
    assert type(PARSE(kind)) is SECTIONS[kind]


def test_options_are_read() -> None:
    assert PARSE({"kind": "logistic", "c": 0.5, "class_weight": "balanced", "standardize": False}).c == 0.5
    assert PARSE({"kind": "lda", "shrinkage": 0}).shrinkage == 0
    assert PARSE({"kind": "knn", "k": 5, "temperature": 0.07}).k == 5
    assert PARSE({"kind": "lightgbm", "rounds": 50, "learning_rate": 0.1, "leaves": 7}).leaves == 7


@pytest.mark.parametrize(
    "value",
    [
        "forest",
        {"kind": "forest"},
        {},
        {"kind": "logistic", "c": 0},
        {"kind": "logistic", "c": "best"},
        {"kind": "logistic", "class_weight": "even"},
        {"kind": "lda", "shrinkage": 1.1},
        {"kind": "knn", "k": 0},
        {"kind": "knn", "temperature": 0},
        {"kind": "lightgbm", "leaves": 1},
    ],
)
def test_wrong_values_are_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        PARSE(value)


def test_a_key_of_another_kind_is_refused_with_those_allowed() -> None:
    with pytest.raises(ValidationError, match=r"unknown key 'k'.*allowed: kind, c, class_weight, standardize"):
        PARSE({"kind": "logistic", "k": 3})
