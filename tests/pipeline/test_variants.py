"""The road with other recipes: one holdout, no test table, one label a sample, external rows, two models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from holotype.api import run
from holotype.core.errors import RecipeError
from holotype.core.tensor_files import load_tensors
from holotype.types import ImageTable

WriteRecipe = Callable[..., Path]
ONE_EPOCH = {
    "name": "main",
    "backbone": "test_efficientnet",
    "weights": "none",
    "input": {"size": 32},
    "phases": [{"epochs": 1}],
}


def scores_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def one_label(screen: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The screen with the first of each image's labels, and `sample` for the plate and well."""
    folder = tmp_path_factory.mktemp("one_label")
    table = pl.read_csv(screen / "train.csv", infer_schema=False)
    first = table.with_columns(pl.col("labels").str.split(" ").list.first().replace("vesicles", "golgi"))
    first.write_csv(folder / "train.csv")
    return {"train": str(folder / "train.csv"), "labels": {"column": "labels", "kind": "multiclass"}}


def test_one_label_a_sample_is_decided_by_the_likeliest(
    write_recipe: WriteRecipe, one_label: dict[str, Any], tmp_path: Path
) -> None:
    folder = run(write_recipe(tmp_path, data=one_label, models=[ONE_EPOCH])).folder.root
    assert json.loads((folder / "decision.json").read_text())["kind"] == "argmax"
    scores = np.array(pl.read_parquet(folder / "test.parquet")["scores"].to_list())
    classes = pl.read_csv(folder / "classes.csv")["name"].to_list()
    assert len(classes) == scores.shape[1] == 7
    assert pl.read_csv(folder / "submission.csv")["labels"].to_list() == [classes[row.argmax()] for row in scores]
    table = pl.read_csv(folder / "predictions.csv")
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert table["probability_1"].to_list() == pytest.approx(chances.max(axis=1).tolist(), abs=6e-5)
    assert "balanced_accuracy" in scores_of(folder)["metrics"]


def test_one_used_fold_trains_and_scores_that_fold_alone(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    folder = run(write_recipe(tmp_path, split={"folds_to_train": [1]})).folder.root
    folds = pl.read_parquet(folder / "folds.parquet").filter(pl.col("fold") == 1)
    assert [path.name for path in (folder / "models" / "main").glob("fold*")] == ["fold1"]
    assert sorted(pl.read_parquet(folder / "oof.parquet")["id"]) == sorted(folds["id"])
    assert scores_of(folder)["metrics"]["macro_f1"]["samples"] == folds.height
    assert pl.read_csv(folder / "submission.csv").height == 20


def test_without_a_test_table_a_run_ends_in_scores(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    folder = run(write_recipe(tmp_path, data={"test": None}, split={"folds_to_train": [0]})).folder.root
    assert scores_of(folder)["metrics"]["macro_f1"]["samples"] > 0
    for name in ("test.parquet", "submission.csv", "models/main/test.parquet"):
        assert not (folder / name).exists()
    ids = pl.read_parquet(folder / "oof.parquet")["id"].to_list()
    assert pl.read_csv(folder / "predictions.csv")["id"].to_list() == ids


def test_external_rows_train_and_are_not_scored(write_recipe: WriteRecipe, screen: Path, tmp_path: Path) -> None:
    table = pl.read_csv(screen / "train.csv", infer_schema=False)
    outside = table["plate"].is_in(sorted(table["plate"].unique())[:2])
    table.filter(~outside).write_csv(tmp_path / "train.csv")
    table.filter(outside).drop("plate").write_csv(tmp_path / "more.csv")
    data = {"train": "train.csv", "external": ["more.csv"]}
    folder = run(write_recipe(tmp_path, data=data, models=[ONE_EPOCH])).folder.root
    own, more = int((~outside).sum()), int(outside.sum())
    assert set(pl.read_parquet(folder / "oof.parquet")["id"]) == set(table.filter(~outside)["id"])
    rows = [json.loads((folder / f"models/main/fold{fold}/card.json").read_text())["rows"] for fold in range(3)]
    assert sum(each["validation"] for each in rows) == own
    tied = pl.read_parquet(folder / "folds.parquet").filter((pl.col("role") == "external") & (pl.col("fold") >= 0))
    for fold, each in enumerate(rows):  # an external twin does not train the model that is scored on the other
        held_back = tied.filter(pl.col("fold") == fold).height
        assert each["train"] == own - each["validation"] + more - held_back
    assert more > tied.height


def test_several_images_of_a_sample_are_one_prediction(write_recipe: WriteRecipe, screen: Path, tmp_path: Path) -> None:
    train = pl.read_csv(screen / "train.csv", infer_schema=False)
    pairs = train.with_columns(
        pl.Series("well", [f"w{row // 2}" for row in range(60)]),
        labels=pl.lit("golgi cytosol"),
        plate=pl.Series([f"p{row // 10}" for row in range(60)]),
    )
    every_other = pl.Series([row // 2 % 2 for row in range(60)])
    pairs = pairs.with_columns(labels=pl.when(every_other == 0).then(pl.lit("golgi")).otherwise("labels"))
    pairs.write_csv(tmp_path / "train.csv")
    test = pl.read_csv(screen / "test.csv", infer_schema=False)
    test.with_columns(pl.Series("well", [f"t{row % 10}" for row in range(20)])).write_csv(tmp_path / "test.csv")
    data = {"train": "train.csv", "test": "test.csv", "sample": "well"}
    folder = run(write_recipe(tmp_path, data=data, models=[ONE_EPOCH])).folder.root
    submission = pl.read_csv(folder / "submission.csv")
    assert submission.columns == ["well", "labels"]
    assert submission["well"].to_list() == [f"t{row}" for row in range(10)]
    oof = pl.read_parquet(folder / "oof.parquet")
    assert oof["id"].to_list() == [f"w{row}" for row in range(30)]
    assert scores_of(folder)["metrics"]["macro_f1"]["samples"] == 30


def test_two_models_are_averaged_and_the_ledger_says_what_it_bought(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    other = ONE_EPOCH | {"name": "other", "backbone": "test_resnet", "predict": {"tta": "flips"}}
    low = {"kind": "threshold", "thresholds": 0.2}
    both = write_recipe(tmp_path, models=[ONE_EPOCH, other], decision=low, ensemble={"kind": "mean"})
    folder = run(both).folder.root
    for name in ("oof.parquet", "test.parquet"):
        parts = [
            np.array(pl.read_parquet(folder / f"models/{model}/{name}")["scores"].to_list())
            for model in ("main", "other")
        ]
        together = np.array(pl.read_parquet(folder / name)["scores"].to_list())
        assert not np.allclose(*parts)
        assert np.allclose(together, (parts[0] + parts[1]) / 2, atol=1e-6)
    ledger = scores_of(folder)["steps"]
    assert [entry["step"] for entry in ledger] == [
        "main, one view",
        "main, all views",
        "other, one view",
        "other, all views",
        "mean of 2",
        "decision: threshold",
    ]
    assert ledger[-1]["value"] == scores_of(folder)["metrics"]["macro_f1"]["value"]
    values = {entry["step"]: entry["value"] for entry in ledger}
    best = max(list(values)[:4], key=values.get)
    assert [entry["against"] for entry in ledger] == [
        None,
        "main, one view",
        None,
        "other, one view",
        best,
        "mean of 2",
    ]
    for entry in ledger:
        if entry["against"] is not None:
            assert entry["difference"]["value"] == pytest.approx(entry["value"] - values[entry["against"]])


def test_images_kept_in_memory_give_the_same_bytes(
    write_recipe: WriteRecipe, finished: Path, tmp_path: Path, steps_of: Callable[[Path], dict[str, str]]
) -> None:
    folder = run(write_recipe(tmp_path, data={"cache": "none"}, decision={"kind": "threshold"})).folder.root
    assert not any(step.startswith("pixels") for step in steps_of(folder))
    for name in ("oof.parquet", "submission.csv", "models/main/fold2/weights.safetensors"):
        assert (folder / name).read_bytes() == (finished / name).read_bytes()


def test_the_submission_has_the_names_that_are_asked_for(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    submit = {"id": "Id", "column": "Predicted", "separator": "|"}
    models = [ONE_EPOCH | {"predict": {"tta": "none"}}]
    low = {"kind": "threshold", "thresholds": {"cytosol": 0.0, "golgi": 0.0}}
    folder = run(
        write_recipe(tmp_path, submission=submit, models=models, decision=low, split={"folds_to_train": [0]})
    ).folder.root
    submission = pl.read_csv(folder / "submission.csv")
    assert submission.columns == ["Id", "Predicted"]
    assert all(labels.startswith("cytosol|golgi") for labels in submission["Predicted"])


def test_images_read_by_the_run_are_the_table_of_the_recipe(finished: Path) -> None:
    frame = pl.read_parquet(finished / "images.parquet")
    table = ImageTable(frame, tuple(pl.read_csv(finished / "classes.csv")["name"]), "multilabel")
    assert (len(table), table.group_names) == (80, ("plate",))


def test_a_model_may_begin_where_another_runs_model_ended(
    write_recipe: WriteRecipe, finished: Path, tmp_path: Path
) -> None:
    start = {**ONE_EPOCH, "weights": f"run:{finished}#main", "phases": [{"epochs": 1, "freeze": "backbone"}]}
    folder = run(write_recipe(tmp_path, models=[start])).folder.root
    for fold in range(3):
        before, after = (
            load_tensors(place / "models" / "main" / f"fold{fold}" / "weights.safetensors")[0]
            for place in (finished, folder)
        )
        assert all(torch.equal(value, after[name]) for name, value in before.items() if name.startswith("backbone"))
    with pytest.raises(RecipeError, match=r"samples are in another fold than .*#model/fold0"):
        run(write_recipe(tmp_path / "other", models=[start], seed=5))
    with pytest.raises(RecipeError, match=r"has no network 'mian/fold0'.*main/fold0"):
        run(write_recipe(tmp_path / "wrong", models=[{**start, "weights": f"run:{finished}#mian/fold0"}]))
    one = {**start, "weights": f"run:{finished}#main/fold0"}
    assert run(write_recipe(tmp_path / "one", models=[one], seed=99, split={"folds_to_train": [0]}))


def test_a_margin_is_trained_after_a_softmax_on_the_whole_road(
    write_recipe: WriteRecipe, one_label: dict[str, Any], tmp_path: Path
) -> None:
    phases = [{"epochs": 1}, {"epochs": 1, "loss": {"cross_entropy": 0.8, "arcface": {"weight": 0.2, "margin": 0.3}}}]
    model = ONE_EPOCH | {"head": {"margin": {"scale": 12.0, "subcenters": 2}}, "phases": phases}
    opened = run(write_recipe(tmp_path, data=one_label, models=[model], split={"folds": 2}))
    scores = np.array(pl.read_parquet(opened.folder.root / "oof.parquet")["scores"].to_list())
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() <= 12.0 + 1e-4
    weights, _ = load_tensors(opened.folder.root / "models" / "main" / "fold0" / "weights.safetensors")
    assert weights["head.last.weight"].shape[0] == 2 * scores.shape[1]


def test_a_margin_without_angles_is_refused_with_the_way_out(
    write_recipe: WriteRecipe, one_label: dict[str, Any], tmp_path: Path
) -> None:
    model = ONE_EPOCH | {"phases": [{"epochs": 1, "loss": "arcface"}]}
    with pytest.raises(RecipeError, match="needs a cosine head") as caught:
        run(write_recipe(tmp_path, data=one_label, models=[model]))
    assert caught.value.field == "models.0.phases.0"
