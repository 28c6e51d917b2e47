"""What a model sees: some of the channels, tiles of an image, pixels scaled by image or by plate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import holotype
from holotype.core.errors import DataError, RecipeError
from holotype.networks import load_network, open_checkpoint
from holotype.recipe.load import load_recipe

WriteRecipe = Callable[..., Path]


def model(**section: Any) -> dict[str, Any]:
    return {
        "name": "main",
        "backbone": "test_efficientnet",
        "weights": "none",
        "phases": [{"epochs": 1}],
        "input": {"size": 32, **section},
        "predict": {"tta": "flips"},
    }


LOOKS = {
    "two channels": {"channels": ["protein", "nucleus"]},
    "tiles": {"tile": 16, "size": 16},
    "tiles of a grid": {"tile": {"size": 20, "sampling": "grid"}, "size": 16},
    "by image": {"normalize": "image"},
    "by plate": {"normalize": "plate"},
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_run_and_its_opened_networks_see_the_same(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path, look: dict[str, Any]
) -> None:
    opened = holotype.run(write_recipe(tmp_path, models=[model(**look)], split={"folds": 3, "folds_to_train": [0]}))
    known = dict(pl.read_parquet(opened.folder.root / "test.parquet").iter_rows())
    table = opened.read_images(screen / "test.csv")
    logits = opened.logits(table)
    ids = table.samples.frame["id"].to_list()
    assert np.abs(logits - np.array([known[name] for name in ids])).max() < 1e-5


VIEWS = {
    "crops": {"tta": {"crops": 3, "image_size": 48}},
    "drawn": {"tta": {"train_augmentation": 3, "identity": 1}, "pooling": "geometric"},
    "fitted": {"tta": "flips", "pooling": "fit"},
}


@pytest.mark.parametrize("look", VIEWS.values(), ids=VIEWS)
def test_views_of_a_run_are_those_of_its_opened_networks(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path, look: dict[str, Any]
) -> None:
    plain = model()
    section = plain | {"predict": look}
    opened = holotype.run(write_recipe(tmp_path, models=[section], split={"folds": 3, "folds_to_train": [0, 1]}))
    known = dict(pl.read_parquet(opened.folder.root / "test.parquet").iter_rows())
    table = opened.read_images(screen / "test.csv")
    ids = table.samples.frame["id"].to_list()
    assert np.abs(opened.logits(table) - np.array([known[name] for name in ids])).max() < 1e-5
    told = json.loads((opened.folder.root / "scores.json").read_text())
    assert [entry["step"] for entry in told["steps"]][:2] == ["main, one view", "main, all views"]
    chosen = json.loads((opened.folder.root / "ensemble.json").read_text())["pools"][0]
    fits = look.get("pooling") == "fit"
    assert (
        chosen in {"mean-logit", "mean-probability", "max", "geometric"}
        if fits
        else chosen == look.get("pooling", "mean-logit")
    )
    assert ("the pooling of views" in told["metrics"]["macro_f1"]["method"]) == fits


def test_the_network_has_a_stem_of_the_channels_it_sees(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    models = [model(channels=["protein", "nucleus"]), {**model(), "name": "all"}]
    opened = holotype.run(write_recipe(tmp_path, models=models, split={"folds": 3, "folds_to_train": [0]}))
    for name, channels in (("main", 2), ("all", 4)):
        network = load_network(open_checkpoint(opened.folder.root / "models" / name / "fold0"))
        assert next(network.parameters()).shape[1] == channels


def test_new_images_without_a_table_have_no_plate(write_recipe: WriteRecipe, screen: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, models=[model(normalize="plate")], split={"folds": 3, "folds_to_train": [0]})
    opened = holotype.run(recipe)
    with pytest.raises(DataError, match="normalization by plate needs a column of plates"):
        opened.predict(screen / "images")


@pytest.mark.parametrize(
    ("section", "data", "message"),
    [
        ({"channels": ["protien"]}, {}, "models.0.input.channels: there is no channel 'protien'"),
        ({"channels": ["protein", "protein"]}, {}, "each once"),
        ({"normalize": "plate"}, {"groups": []}, "models.0.input.normalize: 'plate' requires"),
        ({"tile": 16, "resize": "stretch"}, {}, "cannot be combined with tiles"),
        ({"tile": "large"}, {}, "models.0.input.tile"),
        ({"tile": {"size": 64, "samplin": "grid"}}, {}, "did you mean 'sampling'"),
    ],
)
def test_what_cannot_be_seen_is_refused(
    write_recipe: WriteRecipe, tmp_path: Path, section: dict[str, Any], data: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write_recipe(tmp_path, models=[model(**section)], data=data))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("seen", "changed", "message"),
    [
        (None, ["protien"], "models.0.augment.channels: there is no channel 'protien'"),
        (["nucleus"], ["protein"], "models.0.augment.channels: there is no channel 'protein'; allowed: nucleus"),
        (None, [], "at least one name"),
        (None, ["protein", "protein"], "each once"),
    ],
)
def test_channels_that_cannot_be_changed_are_refused(
    write_recipe: WriteRecipe, tmp_path: Path, seen: list[str] | None, changed: list[str], message: str
) -> None:
    models = [model(channels=seen) | {"augment": {"channels": changed}}]
    with pytest.raises(RecipeError) as caught:
        load_recipe(write_recipe(tmp_path, models=models))
    assert message in str(caught.value)


def test_a_tile_is_one_number_or_a_section(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, models=[model(tile=64)])
    section = load_recipe(path).models[0].input
    assert json.loads(section.model_dump_json())["tile"] == {"size": 64, "sampling": "random"}
