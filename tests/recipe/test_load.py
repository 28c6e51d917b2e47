"""Recipes: from YAML and `--set` to sections, refused with a path and a remedy, and back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from holotype.core.errors import InputError, RecipeError, UnsupportedError
from holotype.data import read_images
from holotype.recipe.load import Recipe, dump_recipe, json_schema, load_recipe, parse_recipe

SHORTEST = "data: {train: train.csv}\n"
MANY = "data: {train: train.csv, labels: {kind: multilabel}}\n"
Load = Callable[..., Recipe]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Writes a recipe and reads it."""

    def from_text(text: str, *changes: str, more: str = "") -> Recipe:
        (tmp_path / "recipe.yaml").write_text(text + more, encoding="utf-8")
        return load_recipe(tmp_path / "recipe.yaml", changes)

    return from_text


# ---- what is left out


def test_data_alone_is_a_recipe_of_which_every_default_is_allowed(load):
    recipe = load(SHORTEST)
    assert (recipe.name, recipe.seed, recipe.decision, len(recipe.models)) == ("run", 1, None, 1)
    assert recipe.ensemble is None  # weighted or mean, as there are scores to learn from
    assert parse_recipe({"data": {"train": "t.csv"}}, Path("/d")).data.train == "/d/t.csv"


@pytest.mark.parametrize("text", ["", "- 1", "only text", "3"])
def test_what_is_no_mapping_is_no_recipe_with_changes_or_without(load, text):
    for changes in ((), ("seed=3",)):
        with pytest.raises(RecipeError, match="a recipe is a mapping of sections; the shortest is"):
            load(text, *changes)


@pytest.mark.parametrize(("text", "place"), [("data: {}", "data.train"), ("seed: 3", "data")])
def test_a_key_that_must_be_there_is_named(load, text, place):
    with pytest.raises(RecipeError, match=f"^{place}: Field required"):
        load(text)


def test_a_recipe_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*absent\.yaml': No such file"):
        load_recipe(tmp_path / "absent.yaml")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: é".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"the recipe .*latin\.yaml' is not UTF-8 text"):
        load_recipe(tmp_path / "latin.yaml")


# ---- YAML


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("seed: 1\nseed: 2\n", 'at line 3, column 1: found duplicate key "seed"'),
        ("split: {folds: 3, folds: 4}\n", 'at line 2, column 19: found duplicate key "folds"'),
        ("name: [unclosed\n", "at line 3, column 1: "),
        ("\tseed: 3\n", "at line 2, column 1: found character"),
        ("---\nseed: 3\n", "at line 2, column 1: but found another document"),
        ("name: !!python/object:os.system ls\n", "at line 2, column 7: could not determine a constructor"),
    ],
)
def test_yaml_that_is_wrong_is_refused_with_its_line(load, more, message):
    with pytest.raises(RecipeError, match=rf"^the recipe '.*recipe\.yaml' is not YAML {message}"):
        load(SHORTEST, more=more)


def test_words_that_other_readers_take_for_truth_stay_words(load):
    recipe = load("data: {train: t.csv, labels: {classes: [yes, no, on, off, NO, y]}}")
    assert recipe.data.labels.classes == ["yes", "no", "on", "off", "NO", "y"]


@pytest.mark.parametrize("text", ["1e-4", "1.0e-4", "1E-4", "0.0001"])
def test_numbers_may_be_written_with_an_exponent(load, text):
    assert load(SHORTEST, more=f"models: [{{phases: [{{lr: {text}}}]}}]").models[0].phases[0].lr == 1e-4
    assert load(SHORTEST, f"models.0.phases.0.lr={text}").models[0].phases[0].lr == 1e-4


def test_classes_are_text_and_a_number_is_a_good_name(load):
    for classes in ("['0', '01']", "[0, 01]"):
        assert load(f"data: {{train: t.csv, labels: {{classes: {classes}}}}}").data.labels.classes == ["0", "01"]


# ---- kinds


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        (SHORTEST, "ensemble: {space: probability}", r"ensemble\.kind: Field required"),
        (SHORTEST, "ensemble: {kind: sack}", r"ensemble\.kind: 'sack' should be one of 'mean', .*'stack'"),
        (SHORTEST, "ensemble: mean", "ensemble: 'mean' should be a mapping"),
        (SHORTEST, "ensemble: {kind: mean, inner: 3}", "ensemble: unknown key 'inner'; allowed: kind, space"),
        (SHORTEST, "decision: {kind: argmax, repeats: 3}", "decision: unknown key 'repeats'; allowed: kind"),
        (
            SHORTEST,
            "decision: {kind: threshold}",
            r"decision: 'threshold' .* data\.labels\.kind is 'multiclass'; allowed: argmax, prior, assign",
        ),
        (
            MANY,
            "decision: {kind: argmax}",
            r"decision: 'argmax' .* data\.labels\.kind is 'multilabel'; allowed: thresh",
        ),
        (
            MANY,
            "decision: {kind: threshold, thresholds: [a, 1]}",
            r"decision\.thresholds\.0: 'a' should be a valid number\.$",
        ),
        (SHORTEST, "models: [{}, {}]", r"models: two are named 'main'; names must be unique"),
    ],
)
def test_kinds_that_do_not_fit_are_refused_where_they_stand(load, text, more, message):
    with pytest.raises(RecipeError, match=f"^{message}"):
        load(text, more=more)


def test_a_decision_of_either_kind_is_taken_where_it_fits(load):
    assert load(SHORTEST, more="decision: {kind: argmax}").decision.kind == "argmax"
    for thresholds in (0.3, [0.1, 0.2], {"a": 0.4}):
        assert (
            load(
                MANY, more=f"decision: {json.dumps({'kind': 'threshold', 'thresholds': thresholds})}"
            ).decision.thresholds
            == thresholds
        )


def test_several_complaints_are_counted_and_the_first_is_told(load):
    with pytest.raises(RecipeError, match=r"^seed: 'x' should be a valid integer.* \(and 1 more\)\.$"):
        load(SHORTEST, more="seed: x\nmetric: []\n")


# ---- --set


@pytest.mark.parametrize(
    ("change", "read", "value"),
    [
        ("seed=4", lambda recipe: recipe.seed, 4),
        ("models.0.backbone=resnet18", lambda recipe: recipe.models[0].backbone, "resnet18"),
        ("models.0.phases.0.epochs=3", lambda recipe: recipe.models[0].phases[0].epochs, 3),
        ("data.groups.0=plate", lambda recipe: recipe.data.groups, ["plate"]),
        ("data.groups=[a, b]", lambda recipe: recipe.data.groups, ["a", "b"]),
        ("split.folds_to_train=[1]", lambda recipe: recipe.split.folds_used(5), (1,)),
        ("decision.kind=argmax", lambda recipe: recipe.decision.kind, "argmax"),
        (" submission.id = Id", lambda recipe: recipe.submission.id, "Id"),
        ("submission.separator='='", lambda recipe: recipe.submission.separator, "="),
    ],
)
def test_a_change_reaches_its_address_and_makes_the_sections_on_its_way(load, change, read, value):
    assert read(load(SHORTEST, change)) == value


def test_changes_are_made_in_turn_and_the_next_place_of_a_list_is_a_new_entry(load):
    changes = ("models.1.name=b", "models.1.backbone=resnet18", "models.0.name=a", "seed=2", "seed=3")
    recipe = load(SHORTEST, *changes, more="models: [{backbone: resnet34}]")
    assert [(model.name, model.backbone) for model in recipe.models] == [("a", "resnet34"), ("b", "resnet18")]
    assert recipe.seed == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("nonsense", "--set 'nonsense' has no value; write --set models"),
        ("models.2.name=b", r"--set models\.2\.name: there is no such list entry; allowed: 0, 1"),
        ("models.x.name=b", r"--set models\.x\.name: there is no such list entry"),
        ("models.².name=b", "there is no such list entry"),
        ("models.-1.name=b", "there is no such list entry"),
        ("data.train.x=b", r"--set data\.train\.x: data\.train is a single value without keys"),
        ("seed=", "seed: None should be a valid integer"),
        ("seed=a: b: c", "--set seed is not YAML at line 1, column 5: "),
        ("sed=4", "recipe: unknown key 'sed'; did you mean 'seed'"),
        ("=4", "recipe: unknown key ''"),
    ],
)
def test_a_change_that_leads_nowhere_is_refused(load, change, message):
    with pytest.raises(RecipeError, match=message):
        load(SHORTEST, change, more="models: [{name: a}]")


# ---- paths


def test_relative_paths_are_relative_to_the_recipe(load, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    recipe = load(
        "data: {train: t.csv, external: [e.csv, /abs/e.csv], test: ../t.csv, images: 'i/{id}.png', "
        "labels: {classes: c.csv}}\nmodels: [{weights: w.safetensors}, {name: b, weights: lite}]"
    )
    data = recipe.data
    assert (data.train, data.external) == (f"{tmp_path}/t.csv", [f"{tmp_path}/e.csv", "/abs/e.csv"])
    assert (data.test, data.labels.classes) == (f"{tmp_path.parent}/t.csv", f"{tmp_path}/c.csv")
    assert data.images == f"{tmp_path}/i/{{id}}.png"
    assert [model.weights for model in recipe.models] == [f"{tmp_path}/w.safetensors", "lite"]
    (tmp_path / "recipe.yaml").write_text(SHORTEST)
    monkeypatch.chdir(tmp_path)
    assert load_recipe("recipe.yaml").data.train == f"{tmp_path}/train.csv"


def test_braces_in_the_name_of_the_folder_name_no_column(tmp_path):
    folder = tmp_path / "plates {id} {x}"
    folder.mkdir()
    pl.DataFrame({"id": ["1", "2"], "label": ["a", "b"]}).write_csv(folder / "train.csv")
    (folder / "recipe.yaml").write_text("data: {train: train.csv, images: 'i/{id}.png'}")
    recipe = load_recipe(folder / "recipe.yaml")
    for one in (recipe, parse_recipe(YAML(typ="safe").load(dump_recipe(recipe)), folder)):
        assert [str(read_images(one.data).files_of_row(row)[0]) for row in (0, 1)] == [
            f"{folder}/i/1.png",
            f"{folder}/i/2.png",
        ]


# ---- and back

FULL: dict[str, Any] = {
    "name": "full",
    "data": {
        "train": "t.csv",
        "images": "{id}_{channel}.png",
        "channels": ["a", "é"],
        "labels": {"kind": "multilabel", "separator": "|", "classes": ["yes", "0", "null", " x: y"]},
    },
    "models": [{"augment": {"scale": [0.5, 2]}, "phases": [{"lr": 1e-4, "loss": {"bce": 0.5}}, {"clip": None}]}],
    "decision": {"kind": "threshold", "thresholds": {"yes": 0.25, "0": 0.75}},
    "split": {"folds": 3, "folds_to_train": [2]},
}


@pytest.mark.parametrize("content", [{"data": {"train": "t.csv"}}, FULL])
def test_a_recipe_written_out_is_read_back_the_same(content, tmp_path):
    recipe = parse_recipe(content, tmp_path)
    text = dump_recipe(recipe)
    assert parse_recipe(YAML(typ="safe").load(text), tmp_path / "elsewhere").model_dump() == recipe.model_dump()
    assert list(YAML(typ="safe").load(text)) == list(Recipe.model_fields)  # in the order of the contract, all defaults
    (tmp_path / "again.yaml").write_text(text, encoding="utf-8")
    assert load_recipe(tmp_path / "again.yaml").model_dump() == recipe.model_dump()


def test_the_schema_for_editors_knows_every_section_and_key():
    schema = json.loads(json_schema())
    assert schema["required"] == ["data"]
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert schema["$defs"]["PhaseSpec"]["properties"]["clip"]["description"] == "Gradient clipping: largest norm."
    assert schema["additionalProperties"] is False


def test_errors_of_a_recipe_are_errors_of_what_was_handed_in():
    assert issubclass(UnsupportedError, RecipeError)
    assert (issubclass(RecipeError, InputError), RecipeError("x").exit_status) == (True, 2)


@pytest.mark.parametrize("section", ["data.channels", "models", "models.0.phases", "models.0.input.channels"])
def test_a_recipe_with_very_many_faults_is_refused_in_a_moment(section: str, tmp_path: Path) -> None:
    content: dict[str, Any] = {"data": {"train": "train.csv", "labels": {}}, "models": [{"input": {}}]}
    *keys, last = (int(key) if key.isdecimal() else key for key in section.split("."))
    place: Any = content
    for key in keys:
        place = place[key]
    place[last] = [[number] for number in range(20_000)]
    begun = time.process_time()
    with pytest.raises(RecipeError, match=rf"{section}\.0.* \(and 19999 more\)"):
        parse_recipe(content, tmp_path)
    assert time.process_time() - begun < 3
