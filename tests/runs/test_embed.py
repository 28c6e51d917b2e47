"""Tables of features: of a network of a run, of the backbone of a recipe, in chunks, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import holotype
from holotype.cli.main import main
from holotype.core.errors import InputError
from holotype.networks import load_network, open_checkpoint
from holotype.prediction import infer
from holotype.recipe.sections import PredictSpec
from holotype.runs.embed import open_embedder
from holotype.runs.new_dataset import dataset_for, measure_new_images

WriteRecipe = Callable[..., Path]


def features_of(table: pl.DataFrame) -> np.ndarray:
    return table.drop("id", "sample").to_numpy()


def test_features_of_a_run_are_the_input_of_the_last_layer(finished: Path, screen: Path) -> None:
    table = holotype.embed(finished, screen / "test.csv", fold=1)
    assert isinstance(table, pl.DataFrame)
    assert table.columns[:3] == ["id", "sample", "feature_0000"]
    opened = holotype.open_run(finished)
    images = opened.read_images(screen / "test.csv")
    new = measure_new_images(images, opened.runtime, opened.training_ranges)
    checkpoint = open_checkpoint(finished / "models" / "main" / "fold1")
    dataset, rows = dataset_for(checkpoint.card, new), np.arange(len(images))
    expected = infer(checkpoint, dataset, rows, PredictSpec(tta="none"), opened.runtime, torch.device("cpu"))[0].logits
    with torch.inference_mode():
        logits = load_network(checkpoint).head.last(torch.from_numpy(features_of(table))).numpy()
    assert table["id"].to_list() == images.frame["id"].to_list()
    assert np.abs(logits - expected).max() < 1e-4


def test_chunks_give_the_same_features_and_the_file_names_the_network(
    finished: Path, screen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = holotype.embed(finished, screen / "test.csv")
    embedder = open_embedder(finished)
    parts = list(embedder.tables(screen / "test.csv", max_images=7))
    assert [part.height for part in parts] == [7, 7, 6]
    assert np.abs(features_of(pl.concat(parts)) - features_of(whole)).max() < 1e-5
    tables = type(embedder).tables
    monkeypatch.setattr(type(embedder), "tables", lambda self, images: tables(self, images, 7))
    assert embedder.write(screen / "test.csv", tmp_path / "features.parquet") == 20
    assert pl.read_parquet(tmp_path / "features.parquet").columns == whole.columns
    metadata = pl.read_parquet_metadata(tmp_path / "features.parquet")
    assert metadata["holotype.network"] == "main, the network of fold 0: input of the last layer"
    assert metadata["holotype.model"] == "main"


def test_a_recipe_embeds_with_its_backbone_as_a_frozen_model_does(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    """Without a run; the features are those on which the classifier of a run is fitted."""
    model: dict[str, Any] = {"name": "probe", "backbone": "test_efficientnet", "weights": "none", "input": {"size": 32}}
    recipe = write_recipe(tmp_path, models=[model | {"classifier": "ridge"}])
    before = holotype.embed(recipe, screen / "test.csv")
    assert not (tmp_path / "runs").exists()
    run = holotype.run(recipe).folder.root
    after = holotype.embed(run, screen / "test.csv")
    assert np.abs(features_of(before) - features_of(after)).max() < 1e-5
    assert open_embedder(run).description == "probe, the network of fold 0: pooled features of the frozen backbone"


def test_the_command_writes_a_table(
    finished: Path, screen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "features.csv"
    assert main(["embed", str(finished), str(screen / "test.csv"), "--out", str(out), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["rows"] == 20
    assert "fold 0" in answer["network"]
    assert pl.read_csv(out).height == 20


def test_unknown_models_folds_and_files_are_refused(finished: Path, write_recipe: WriteRecipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--model.*allowed: main"):
        open_embedder(finished, model="mein")
    with pytest.raises(InputError, match=r"--fold.*allowed: fold0"):
        open_embedder(finished, fold=7)
    with pytest.raises(InputError, match="a recipe has no networks of folds"):
        open_embedder(write_recipe(tmp_path), fold=0)
    with pytest.raises(InputError):
        open_embedder(tmp_path / "nothing.yaml")
    with pytest.raises(InputError, match="no suffix of a table"):
        open_embedder(finished).write(tmp_path, tmp_path / "features.txt")
