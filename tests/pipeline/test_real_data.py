"""The recipes of real image sets, from their files to a submission; slow, and left out where the data are not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import holotype
from holotype.recipe.load import load_recipe

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HOLOTYPE_DATA") or CHECKOUT.parent / "shared" / "data")
SETS = {"mitocheck": 2_383 + 894, "jurkat": 2_392 + 1_026, "leaf": 693 + 297, "bccd": 254 + 110}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there; set HOLOTYPE_DATA to the folder of the sets"),
]


def changes(name: str) -> list[str]:
    """The recipe's paths, wherever the data are."""
    data = load_recipe(CHECKOUT / "recipes" / f"{name}.yaml").data
    images, taxonomy = Path(str(data.images)), data.labels.taxonomy
    named = [f"data.labels.taxonomy={DATA / name / Path(taxonomy).name}"] if isinstance(taxonomy, str) else []
    return [
        *named,
        f"data.train={DATA / name / 'train.csv'}",
        f"data.test={DATA / name / 'test.csv'}",
        f'data.images="{DATA / name / images.parent.name / images.name}"',
    ]


@pytest.mark.parametrize("name", SETS)
def test_a_real_set_goes_the_whole_road(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLOTYPE_STORE", str(tmp_path / "store"))
    small = [
        "split.folds_to_train=[0]",
        "models.0.backbone=test_resnet",
        "models.0.weights=none",
        "models.0.input.size=64",
    ]
    one_epoch = ["models.0.phases=[{epochs: 1}]"]
    holotype.run(CHECKOUT / "recipes" / f"{name}.yaml", tmp_path / "run", (*changes(name), *small, *one_epoch))
    images = pl.read_parquet(tmp_path / "run" / "images.parquet")
    assert images.height == SETS[name]
    test = pl.read_csv(DATA / name / "test.csv", infer_schema=False)
    submission = pl.read_csv(tmp_path / "run" / "submission.csv", infer_schema=False)
    assert submission[submission.columns[0]].to_list() == test["id"].to_list()
    classes = pl.read_csv(tmp_path / "run" / "classes.csv", infer_schema=False)["name"].to_list()
    given = {label for row in submission[submission.columns[1]] for label in row.split(" ")}
    assert given <= set(classes)
    scores = json.loads((tmp_path / "run" / "scores.json").read_text(encoding="utf-8"))
    assert 0 <= scores["metrics"]["macro_f1"]["low"] <= scores["metrics"]["macro_f1"]["high"] <= 1
    assert (tmp_path / "run" / "report.html").stat().st_size < 15e6


def test_pretrained_weights_learn_phenotypes_of_unseen_plates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLOTYPE_STORE", str(tmp_path / "store"))
    short = ["split.folds_to_train=[0]", "models.0.phases=[{epochs: 2}]", "models.0.predict.tta=none"]
    out = tmp_path / "run"
    holotype.run(CHECKOUT / "recipes" / "mitocheck.yaml", out, (*changes("mitocheck"), *short))
    table = pl.read_parquet(out / "images.parquet")
    plates = {role: set(table.filter(pl.col("role") == role)["group.plate"]) for role in ("train", "test")}
    assert not plates["train"] & plates["test"]
    value = json.loads((out / "scores.json").read_text(encoding="utf-8"))["metrics"]["macro_f1"]["value"]
    assert value > 0.4  # 16 classes; by chance it would be below 0.06, and random weights reach 0.15 in two epochs
    logits = np.array(pl.read_parquet(out / "test.parquet")["scores"].to_list())
    assert np.isfinite(logits).all()
