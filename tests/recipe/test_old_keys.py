"""Keys and values of older recipes, each refused with its present name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from holotype.cli.main import main
from holotype.core.errors import RecipeError
from holotype.recipe.load import Recipe, load_recipe, parse_recipe
from holotype.recipe.old_keys import OLD_KEYS, OLD_VALUES

# Every key of the recipe before keys were renamed, section by section.
OLD_RECIPE = """
recipe: name seed metric run data audit split members ensemble calibrate decide final submit report
run: device precision threads workers batch processes save_minutes
data: train external test id sample images channels projection labels groups domain pack review
data.labels: column kind separator classes taxonomy
audit: near_duplicate_bits on_unreadable on_leak
audit.on_leak: within_train train_external external_test
split: folds by stratify like_test discriminator use
members: name backbone weights activation classes input head augment sampler phases keep specialise pseudo
  neighbours predictions predict
members.input: size resize tile channels normalise
members.input.tile: side training
members.head: pool batch_norm hidden activation dropout margin sampled levels
members.head.margin: scale centres
members.head.levels: kind weights
members.augment: flip rotate scale shear warp crop brightness contrast channels gamma saturation noise blur erase
  mix
members.augment.crop: from
members.augment.mix: kind alpha share
members.sampler: cap
members.phases: epochs freeze lr optimizer schedule warm_up size rows draws on_nonfinite layer_decay loss
  label_smoothing class_weights logit_adjust accumulate clip ema stop_after
members.phases.optimizer: name weight_decay amsgrad momentum nesterov options carry
members.phases.schedule: name cycles factor every patience rewind rewinds minimum
members.phases.stop_after: epochs on least
members.keep: last best cycles merge by on
members.specialise: by phases least
members.specialise.phases: epochs freeze lr optimizer schedule warm_up size rows draws on_nonfinite layer_decay loss
  label_smoothing class_weights logit_adjust accumulate clip ema stop_after
members.specialise.phases.optimizer: name weight_decay amsgrad momentum nesterov options carry
members.specialise.phases.schedule: name cycles factor every patience rewind rewinds minimum
members.specialise.phases.stop_after: epochs on least
members.pseudo: rounds rows confidence weight ramp
members.neighbours: k take_over index
members.predictions: oof test kind rows
members.predict: views pool
members.predict.views: crops from as_trained plain
ensemble: kind space even by rounds model inner repeats features
calibrate: method sets abstain back_off
decide: kind thresholds fallback most levels folds repeats shrink like k one_class_per sets unique_set_per
submit: id column separator order
report: attributions channels map
"""
DATA = {"train": "train.csv", "images": "{id}.png"}


def old_paths() -> Iterator[str]:
    for line in OLD_RECIPE.strip().replace("\n  ", " ").splitlines():
        section, _, keys = line.partition(": ")
        yield from (key if section == "recipe" else f"{section}.{key}" for key in keys.split())


def sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections_in(part)


def keys_of_mappings(annotation: Any) -> Iterator[str]:
    """The keys of mappings that are no section: `{crops: 4, image_size: 768}`."""
    parts = get_args(annotation)
    if get_origin(annotation) is dict and get_origin(parts[0]) is Literal:
        yield from get_args(parts[0])
    for part in parts:
        yield from keys_of_mappings(part)


def present_paths(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        address = f"{path}.{name}" if path else name
        yield address
        yield from (f"{address}.{key}" for key in keys_of_mappings(field.annotation))
        for section in sections_in(field.annotation):
            yield from present_paths(section, address)


def renamed(path: str) -> str:
    address = ""
    for key in path.split("."):
        name = OLD_KEYS.get(address, {}).get(key, key)
        address = f"{address}.{name}" if address else name
    return address


def test_every_key_of_the_old_recipe_has_its_present_name() -> None:
    assert {renamed(path) for path in old_paths()} <= set(present_paths(Recipe))  # keys are added


def test_the_table_holds_keys_of_the_old_recipe_alone() -> None:
    old = list(old_paths())
    used = {(renamed(section), key) for path in old for section, _, key in [path.rpartition(".")]}
    assert {(section, key) for section, keys in OLD_KEYS.items() for key in keys} <= used


def test_no_present_key_is_taken_for_an_old_one() -> None:
    present = set(present_paths(Recipe))
    assert not {f"{section}.{key}".lstrip(".") for section, keys in OLD_KEYS.items() for key in keys} & present


@pytest.mark.parametrize("section", OLD_KEYS)
def test_an_old_key_is_refused_with_its_present_name(section: str) -> None:
    for old, new in OLD_KEYS[section].items():
        content: Any = {old: None}
        for key in reversed(section.split(".") if section else []):
            content = {key: [content] if key in {"models", "phases"} else content}
        with pytest.raises(RecipeError, match=f"`{old}` was renamed to `{new}`") as caught:
            parse_recipe({"data": DATA} | content, Path())
        address = section.replace("models", "models.0").replace("phases", "phases.0")
        assert caught.value.field == f"{address}.{old}".lstrip(".")


@pytest.mark.parametrize("path", OLD_VALUES)
def test_an_old_value_is_refused_with_its_present_name(path: str) -> None:
    for old, new in OLD_VALUES[path].items():
        content: Any = old
        for key in reversed(path.split(".")):
            content = [{key: content}] if key == "models" else {key: content}
        (models,) = content
        with pytest.raises(RecipeError, match=f"`{old}` was renamed to `{new}`"):
            parse_recipe({"data": DATA} | models, Path())


def test_an_old_key_in_a_change_is_refused_with_its_present_name(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "recipe.yaml").write_text("data: {train: train.csv}")
    for change, message in (
        ("members.0.keep.best=3", "--set members: `members` was renamed to `models`; rename also members.0.keep"),
        ("models.2.keep.on=fold", "--set models.2.keep: `keep` was renamed to `checkpoints`"),
        ("models.0.checkpoints.rows=fold", "--set models.0.checkpoints.rows: `fold` was renamed to `scored-fold`"),
        ("decision={kind: top, k: 1, most: 2}", "--set decision.most: `most` was renamed to `max_labels`"),
    ):
        with pytest.raises(RecipeError) as caught:
            load_recipe(tmp_path / "recipe.yaml", (change,))
        assert str(caught.value).startswith(message)
    assert main(["check", str(tmp_path / "recipe.yaml"), "--recipe-only", "--set", "members.0.backbone=resnet18"]) == 2
    assert "`members` was renamed to `models`" in " ".join(capsys.readouterr().err.split())


def test_all_old_keys_of_a_recipe_are_named_at_once() -> None:
    old = {"data": DATA, "members": [{"keep": {"best": 3, "by": "loss"}}], "submit": {"order": "test"}}
    with pytest.raises(RecipeError) as caught:
        parse_recipe(old, Path())
    assert caught.value.field == "members"
    for name in ("members.0.keep ('keep' to 'checkpoints')", "members.0.keep.by ('by' to 'metric')", "submit ("):
        assert name in str(caught.value)
