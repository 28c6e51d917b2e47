"""Every section, walked from the models themselves: unknown keys, keys of later versions, limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from holotype.core.errors import RecipeError
from holotype.recipe.load import Recipe, parse_recipe
from holotype.recipe.sections import AugmentSpec, DataSpec, InputSpec, ModelSpec, PhaseSpec, RunSpec, Section, SplitSpec

FOLDER = Path("/data")
Keys = tuple[str | int, ...]


def sections(model: type[Section], path: Keys = ()) -> Iterator[tuple[type[Section], Keys]]:
    """Every section within a section, with the keys that lead to it."""
    yield model, path
    for name, field in model.model_fields.items():
        in_list = get_origin(field.annotation) is list
        for inner in inner_sections(field.annotation):
            yield from sections(inner, (*path, name, *([0] if in_list else [])))


def inner_sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in inner_sections(part)]


def recipe_with(path: Keys, value: Any) -> dict[str, Any]:
    """The shortest recipe, and one value at one place."""
    for key in reversed(path):
        value = [value] if key == 0 else {key: value}
    own = value.pop("data", {})
    return {"data": {"train": "train.csv", **own}, **value}


def kinds(section: type[Section]) -> list[str]:
    """The kinds of a section that is one of several; the key must say which."""
    for name in ("kind", "name"):
        field = section.model_fields.get(name)
        if field and get_origin(field.annotation) is Literal and section.__name__ != "LabelSpec":
            return list(get_args(field.annotation))
    return []


def kind_key(section: type[Section]) -> str:
    return "kind" if "kind" in section.model_fields else "name"


def key_of(path: Keys) -> str:
    return ".".join(map(str, path)) or "recipe"


ALL = list(sections(Recipe))


def test_the_walk_reaches_what_it_should():
    paths = {key_of(path) for _, path in ALL}
    assert {"recipe", "data.labels", "audit.duplicates", "models.0.phases.0.optimizer", "decision", "ensemble"} <= paths


@pytest.mark.parametrize(("model", "path"), ALL, ids=[f"{key_of(path)}-{model.__name__}" for model, path in ALL])
def test_an_unknown_key_of_any_section_is_refused_with_its_place_and_the_nearest(model, path):
    name = max(model.model_fields, key=len)
    given = {f"{name}s": 1, **({kind_key(model): kinds(model)[0]} if kinds(model) else {})}
    if path:
        content = recipe_with(path, given if model is not DataSpec else {"train": "t.csv", **given})
    else:
        content = {"data": {"train": "t.csv"}, **given}
    with pytest.raises(RecipeError) as caught:
        parse_recipe(content, FOLDER)
    message = str(caught.value)
    assert message.startswith(f"{key_of(path)}: unknown key '{name}s'; did you mean '{name}'?; allowed: "), message
    assert type(caught.value) is RecipeError
    assert all(known in message for known in model.model_fields)


# ---- limits


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("seed",), -1, "-1 should be greater than or equal to 0"),
        (("seed",), "x", "'x' should be a valid integer"),
        (("name",), "a b", "'a b' should match pattern"),
        (("name",), None, "None should be a valid string"),
        (("metric",), "f1", "no metric is named 'f1'; .*macro_f1"),
        (("data",), None, "None should be a mapping"),
        (("data", "channels"), ["a", "a"], "channels must be a list of at least one name, each once"),
        (("data", "channels"), [], "channels must be a list of at least one name, each once"),
        (("data", "groups"), ["a", "a"], "groups must name each column once"),
        (("data", "labels", "separator"), "", "an empty separator is not allowed"),
        (("data", "labels", "kind"), "multilable", "'multilable' should be 'multiclass' or 'multilabel'"),
        (("run", "threads"), 0, "0 should be 'auto' or greater than or equal to 1"),
        (("run", "batch"), "big", "'big' should be 'auto' or a valid integer"),
        (("split", "folds_to_train"), [7], r"\[7\] must name folds from 0 to 4, each once"),
        (("split", "folds_to_train"), [], r"\[\] must name folds"),
        (("split", "folds_to_train"), [1, 1], r"\[1, 1\] must name folds"),
        (("split", "folds"), 1, "1 should be greater than or equal to 2"),
        (("models",), [], "should have at least 1 item"),
        (("models",), {"name": "a"}, "should be a valid list"),
        (("models", 0), 3, "3 should be a mapping"),
        (("models", 0, "name"), "a/b", "'a/b' should match pattern"),
        (("models", 0, "input", "size"), 8, "8 should be 'auto' or greater than or equal to 16"),
        (("models", 0, "head", "dropout"), 1.0, "1.0 should be less than 1"),
        (("models", 0, "augment", "flip"), "diagonal", "'diagonal' should be a valid boolean or 'horizontal' or 'vert"),
        (("models", 0, "augment", "scale"), [2, 1], r"scale \[2.0, 1.0\] must be \[smallest, largest\]"),
        (("models", 0, "augment", "rotate"), 181, "181 should be less than or equal to 180"),
        (("models", 0, "predict", "tta"), "d5", "'d5' should be 'none', 'flips' or 'd4' or a mapping"),
        (("models", 0, "phases"), [], "should have at least 1 item"),
        (("models", 0, "phases", 0, "epochs"), 0, "0 should be greater than or equal to 1"),
        (("models", 0, "phases", 0, "lr"), 0, "0 should be greater than 0"),
        (("models", 0, "phases", 0, "lr"), float("inf"), "inf should be a finite number"),
        (("models", 0, "phases", 0, "loss"), {}, "loss must name at least one loss, or be left out"),
        (("submission", "separator"), "", "'' should have at least 1 character"),
    ],
)
def test_a_value_beyond_its_limits_is_refused_with_its_place_the_value_and_the_limit(path, value, message):
    content = recipe_with(path, value) if path != ("data",) else {"data": value}
    with pytest.raises(RecipeError, match=f"^{key_of(path)}: {message}"):
        parse_recipe(content, FOLDER)


def test_folds_that_are_used_are_told_in_order():
    assert SplitSpec(folds=4).folds_used(4) == (0, 1, 2, 3)
    assert SplitSpec(folds=4, folds_to_train=[3, 0]).folds_used(4) == (0, 3)
    assert SplitSpec(folds="leave-group-out", folds_to_train=[40]).folds_used(67) == (40,)


def test_the_name_of_an_optimizer_is_an_optimizer():
    assert PhaseSpec(optimizer="sgd").optimizer.name == "sgd"


def test_sections_are_frozen_and_stand_alone_in_a_notebook():
    for section in (AugmentSpec(), InputSpec(), ModelSpec(), RunSpec(), SplitSpec()):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, next(iter(type(section).model_fields)), None)
