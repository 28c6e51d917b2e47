"""What predicts in the end, and what a score says of how it came about."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.api import run
from holotype.simulate.cells import SimulationPlan, simulate_cells

WriteRecipe = Callable[..., Path]


def model(**changes: Any) -> dict[str, Any]:
    return {
        "name": "main",
        "backbone": "test_efficientnet",
        "weights": "none",
        "input": {"size": 32},
        "predict": {"tta": "none"},
        "phases": [{"epochs": 2}],
        **changes,
    }


def how_of(folder: Path) -> str:
    return str(json.loads((folder / "scores.json").read_text())["metrics"]["macro_f1"]["method"])


def test_one_network_of_all_rows_predicts_the_test_rows_and_new_images(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    early = {"epochs": 6, "early_stopping": 1}
    recipe = write_recipe(tmp_path, models=[model(phases=[early])], final_model="refit")
    opened = run(recipe)
    folder = opened.folder.root
    card = json.loads((folder / "models" / "main" / "refit" / "card.json").read_text())
    assert card["rows"] == {"train": 60, "inner": 0, "validation": 0}
    told = [pl.read_parquet(folder / f"models/main/fold{fold}/history.parquet").height for fold in range(3)]
    assert card["epochs"] == [int(np.median(told))]
    known = dict(pl.read_parquet(folder / "test.parquet").iter_rows())
    table = opened.read_images(screen / "test.csv")
    logits = opened.logits(table)
    ids = table.samples.frame["id"].to_list()
    assert np.abs(logits - np.array([known[name] for name in ids])).max() < 1e-5
    assert "trained on all rows, which were not scored" in how_of(folder)
    folds = run(write_recipe(tmp_path, models=[model(phases=[early])], name="folds")).folder.root
    assert (folds / "oof.parquet").read_bytes() == (folder / "oof.parquet").read_bytes()
    assert (folds / "test.parquet").read_bytes() != (folder / "test.parquet").read_bytes()


def test_a_checkpoint_chosen_by_the_scored_fold_is_said_with_every_score(
    write_recipe: WriteRecipe, tmp_path: Path
) -> None:
    folder = run(write_recipe(tmp_path, models=[model(checkpoints={"best": 1, "rows": "scored-fold"})])).folder.root
    assert how_of(folder).startswith("selected on the scored fold (main): the value is too high; ")


@pytest.mark.slow
def test_labels_without_meaning_are_scored_at_chance_however_many_epochs_may_be_chosen(
    write_recipe: WriteRecipe, tmp_path: Path
) -> None:
    place = simulate_cells(tmp_path / "cells", SimulationPlan(train=240, test=10, size=32, plates=24)).folder
    table = pl.read_csv(place / "train.csv", infer_schema=False)
    many = model(checkpoints={"best": 1}, phases=[{"epochs": 20, "lr": 0.003, "schedule": "constant"}])
    scores = []
    for seed in (6, 7, 8):
        coins = np.random.default_rng(seed).permutation(["heads", "tails"] * 120)
        path = tmp_path / f"coins{seed}.csv"
        table.with_columns(pl.Series("coin", coins)).write_csv(path)
        labels = {"column": "coin", "kind": "multiclass"}
        data = {
            "train": str(path),
            "test": None,
            "channels": None,
            "labels": labels,
            "images": f"{place}/images/{{id}}_nucleus.png",
        }
        recipe = write_recipe(tmp_path / str(seed), data=data, models=[many], metric="accuracy")
        told = json.loads((run(recipe).folder.root / "scores.json").read_text())
        scores.append(told["metrics"]["accuracy"]["value"])
    assert np.mean(scores) == pytest.approx(0.5, abs=2.6 * np.sqrt(0.25 / 720))
