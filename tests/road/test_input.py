"""What a member sees: some of the channels, tiles of an image, pixels scaled by image or by plate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import holotype
from holotype.errors import DataError, RecipeError
from holotype.nets import load_network, open_checkpoint
from holotype.recipe import load_recipe

WriteRecipe = Callable[..., Path]


def member(**section: Any) -> dict[str, Any]:
    return {"name": "main", "backbone": "test_efficientnet", "weights": "none", "phases": [{"epochs": 1}],
            "input": {"size": 32, **section}, "predict": {"views": "flips"}}  # fmt: skip


LOOKS = {
    "two channels": {"channels": ["protein", "nucleus"]},
    "tiles": {"tile": 16, "size": 16},
    "tiles of a grid": {"tile": {"side": 20, "training": "grid"}, "size": 16},
    "by image": {"normalise": "image"},
    "by plate": {"normalise": "plate"},
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_run_and_its_opened_networks_see_the_same(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path, look: dict[str, Any]
) -> None:
    opened = holotype.run(write_recipe(tmp_path, members=[member(**look)], split={"folds": 3, "use": [0]}))
    known = dict(pl.read_parquet(opened.folder.root / "test.parquet").iter_rows())
    table = opened.asked(screen / "test.csv")
    logits = opened.logits(table)
    ids = table.samples.frame["id"].to_list()
    assert np.abs(logits - np.array([known[name] for name in ids])).max() < 1e-5


VIEWS = {
    "crops": {"views": {"crops": 3, "from": 48}},
    "drawn": {"views": {"as_trained": 3, "plain": 1}, "pool": "geometric"},
    "fitted": {"views": "flips", "pool": "fit"},
}


@pytest.mark.parametrize("look", VIEWS.values(), ids=VIEWS)
def test_views_of_a_run_are_those_of_its_opened_networks(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path, look: dict[str, Any]
) -> None:
    plain = member()
    section = plain | {"predict": look}
    opened = holotype.run(write_recipe(tmp_path, members=[section], split={"folds": 3, "use": [0, 1]}))
    known = dict(pl.read_parquet(opened.folder.root / "test.parquet").iter_rows())
    table = opened.asked(screen / "test.csv")
    ids = table.samples.frame["id"].to_list()
    assert np.abs(opened.logits(table) - np.array([known[name] for name in ids])).max() < 1e-5
    told = json.loads((opened.folder.root / "scores.json").read_text())
    assert [entry["step"] for entry in told["ledger"]][:2] == ["main, one view", "main, all views"]
    chosen = json.loads((opened.folder.root / "ensemble.json").read_text())["pools"][0]
    fits = look.get("pool") == "fit"
    assert (
        chosen in {"mean-logit", "mean-probability", "max", "geometric"}
        if fits
        else chosen == look.get("pool", "mean-logit")
    )
    assert ("the pooling of views" in told["metrics"]["macro_f1"]["how"]) == fits


def test_the_network_has_a_stem_of_the_channels_it_sees(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    members = [member(channels=["protein", "nucleus"]), {**member(), "name": "all"}]
    opened = holotype.run(write_recipe(tmp_path, members=members, split={"folds": 3, "use": [0]}))
    for name, channels in (("main", 2), ("all", 4)):
        network = load_network(open_checkpoint(opened.folder.root / "members" / name / "fold0"))
        assert next(network.parameters()).shape[1] == channels


def test_new_images_without_a_table_have_no_plate(write_recipe: WriteRecipe, screen: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, members=[member(normalise="plate")], split={"folds": 3, "use": [0]})
    opened = holotype.run(recipe)
    with pytest.raises(DataError, match="there is no column of plates"):
        opened.predict(screen / "images")


@pytest.mark.parametrize(
    ("section", "data", "message"),
    [
        ({"channels": ["protien"]}, {}, "members.0.input.channels: there is no channel 'protien'"),
        ({"channels": ["protein", "protein"]}, {}, "each once"),
        ({"normalise": "plate"}, {"groups": []}, "members.0.input.normalise: 'plate' needs"),
        ({"tile": 16, "resize": "stretch"}, {}, "does not go with tiles"),
        ({"tile": "large"}, {}, "members.0.input.tile"),
        ({"tile": {"side": 64, "traning": "grid"}}, {}, "did you mean 'training'"),
    ],
)
def test_what_cannot_be_seen_is_refused(
    write_recipe: WriteRecipe, tmp_path: Path, section: dict[str, Any], data: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write_recipe(tmp_path, members=[member(**section)], data=data))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("seen", "changed", "message"),
    [
        (None, ["protien"], "members.0.augment.channels: there is no channel 'protien'"),
        (["nucleus"], ["protein"], "members.0.augment.channels: there is no channel 'protein'; allowed: nucleus"),
        (None, [], "at least one name"),
        (None, ["protein", "protein"], "each once"),
    ],
)
def test_channels_that_cannot_be_changed_are_refused(
    write_recipe: WriteRecipe, tmp_path: Path, seen: list[str] | None, changed: list[str], message: str
) -> None:
    members = [member(channels=seen) | {"augment": {"channels": changed}}]
    with pytest.raises(RecipeError) as caught:
        load_recipe(write_recipe(tmp_path, members=members))
    assert message in str(caught.value)


def test_a_tile_is_one_number_or_a_section(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, members=[member(tile=64)])
    section = load_recipe(path).members[0].input
    assert json.loads(section.model_dump_json())["tile"] == {"side": 64, "training": "random"}
