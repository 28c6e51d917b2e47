"""The whole road where data are flawed: unreadable images, leaks into the test rows, training rows unlike the test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from holotype.cli.main import main

CHANNELS = ["microtubules", "nucleus", "reticulum", "protein"]


def copied(screen: Path, folder: Path) -> Path:
    """The screen, to be spoilt."""
    return Path(shutil.copytree(screen, folder / "screen"))


def data_of(place: Path, **more: object) -> dict[str, object]:
    """The recipe's data section, and all training images as external ones where that is asked for."""
    section = {"train": str(place / "train.csv"), "test": str(place / "test.csv")}
    return section | {"images": f"{place}/images/{{id}}_{{channel}}.png"} | more


def test_unreadable_images_are_listed_and_skipped(screen, write_recipe, tmp_path):
    place = copied(screen, tmp_path)
    train, test = (pl.read_csv(place / name)["id"] for name in ("train.csv", "test.csv"))
    (place / "images" / f"{train[3]}_nucleus.png").write_bytes(b"")
    (place / "images" / f"{test[2]}_protein.png").unlink()
    path = write_recipe(tmp_path, data=data_of(place), audit={"on_unreadable": "skip"})
    assert main(["run", str(path), "--out", str(tmp_path / "run")]) == 0
    problems = pl.read_parquet(tmp_path / "run" / "audit" / "image_problems.parquet")
    unread = problems.filter(pl.col("problem") == "unreadable")
    assert unread["id"].to_list() == [train[3], test[2]]
    assert unread["action"].unique().to_list() == ["skipped"]
    folds = pl.read_parquet(tmp_path / "run" / "folds.parquet")
    assert folds.filter(pl.col("id") == train[3])["fold"].to_list() == [None]
    assert train[3] not in pl.read_parquet(tmp_path / "run" / "oof.parquet")["id"].to_list()
    submission = pl.read_csv(tmp_path / "run" / "submission.csv")
    assert submission.height == len(test)
    assert not submission["labels"][2]


def test_leaks_into_the_test_rows_make_a_validation_set_of_their_own(screen, write_recipe, tmp_path):
    place = copied(screen, tmp_path)
    test = pl.read_csv(place / "test.csv", infer_schema=False)
    truth = pl.read_csv(place / "truth.csv", infer_schema=False).select("id", "labels")
    known = test.join(truth, on="id", how="left", maintain_order="left")
    outside = known.with_columns(("x" + pl.col("id")).alias("id"), ("y" + pl.col("plate")).alias("plate"))
    for old, new in zip(test["id"], outside["id"], strict=True):
        for channel in CHANNELS:
            pixels = np.asarray(Image.open(place / "images" / f"{old}_{channel}.png"))
            Image.fromarray(np.ascontiguousarray(pixels.T)).save(place / "images" / f"{new}_{channel}.png")
    outside.write_csv(place / "outside.csv")
    data = data_of(place, external=[str(place / "outside.csv")])
    path = write_recipe(tmp_path, data=data, audit={"duplicates": {"external_test": "validate"}})
    assert main(["run", str(path), "--out", str(tmp_path / "run")]) == 0
    clusters = pl.read_parquet(tmp_path / "run" / "audit" / "clusters.parquet")
    apart = clusters.filter(pl.col("action") == "validated")
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert apart.height >= 15
    assert scores["subsets"]["external like test"]["macro_f1"]["samples"] == apart.height
    folds = pl.read_parquet(tmp_path / "run" / "folds.parquet")
    assert folds.filter(pl.col("id").is_in(apart["id"].to_list()))["fold"].null_count() == apart.height


def test_a_holdout_like_the_test_rows(write_recipe, tmp_path):
    path = write_recipe(tmp_path, split={"folds": 3, "like_test": True, "folds_to_train": [0]}, data={"groups": []})
    assert main(["run", str(path), "--out", str(tmp_path / "run")]) == 0
    likeness = pl.read_parquet(tmp_path / "run" / "audit" / "train_test_similarity.parquet")
    oof = pl.read_parquet(tmp_path / "run" / "oof.parquet")
    assert sorted(oof["id"]) == sorted(likeness.filter("in_holdout")["sample"])
    assert pl.read_parquet(tmp_path / "run" / "audit" / "train_test_features.parquet").height > 20
    assert main(["run", str(path), "--out", str(tmp_path / "run")]) == 0
