"""More than two thousand classes: the whole road, with the scores of a hundred classes a sample."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from holotype.cache import RunLog, Steps, Store
from holotype.core.errors import InputError
from holotype.core.progress import Progress
from holotype.data import read_table
from holotype.pipeline.prepare import prepare
from holotype.pipeline.run import run
from holotype.pipeline.runtime import make_runtime
from holotype.recipe.load import Recipe, parse_recipe
from holotype.runs.fitted_run import open_run
from holotype.types import LabelMatrix, TopKScores

CLASSES, TRAINED, ASKED = 2_100, 600, 40
MODELS = [
    {
        "name": name,
        "backbone": "test_efficientnet",
        "weights": "none",
        "input": {"size": 32},
        "sampler": sampler,
        "head": {"hidden": 16},
        "augment": {"rotate": 0},
        "predict": {"tta": "none"},
        "phases": [{"epochs": 1}],
    }
    for name, sampler in (("one", "shuffle"), ("two", "sqrt"))
]


def recipe_of(folder: Path, **changes: Any) -> Recipe:
    content = {
        "data": {
            "train": "train.csv",
            "test": "test.csv",
            "id": "id",
            "images": "images/{id}.png",
            "labels": {"column": "species", "kind": "multiclass", "classes": "classes.csv"},
            "groups": ["sheet"],
        },
        "split": {"folds": 2},
        "models": MODELS,
        "calibration": "temperature",
        **changes,
    }
    return parse_recipe(content, folder)


@pytest.fixture(scope="session")
def herbarium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny sheets of five hundred species of 2,100, twenty of them with several."""
    folder = tmp_path_factory.mktemp("herbarium")
    (folder / "images").mkdir()
    random = np.random.default_rng(5)
    for number in range(TRAINED + ASKED):
        pixels = random.integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"s{number}.png")
    species = np.append(np.arange(500), random.integers(0, 20, TRAINED - 500))
    ids = [f"s{number}" for number in range(TRAINED + ASKED)]
    names = [f"species {number:04d}" for number in species]
    sheets = [f"sheet {number // 3}" for number in random.permutation(TRAINED + ASKED)]
    pl.DataFrame({"id": ids[:TRAINED], "species": names, "sheet": sheets[:TRAINED]}).write_csv(folder / "train.csv")
    pl.DataFrame({"id": ids[TRAINED:], "sheet": [f"new {number}" for number in range(ASKED)]}).write_csv(
        folder / "test.csv"
    )
    pl.DataFrame({"name": [f"species {number:04d}" for number in range(CLASSES)]}).write_csv(folder / "classes.csv")
    return folder


@pytest.fixture(scope="session")
def finished(herbarium: Path) -> Path:
    """A run of two models, weighted and calibrated; a matrix of all rows and classes would end it."""
    recipe, dense = recipe_of(herbarium), LabelMatrix.__getitem__

    def batches_only(labels: LabelMatrix, rows: Any) -> Any:
        assert len(labels.rows(rows)) <= 128
        return dense(labels, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LabelMatrix, "__getitem__", batches_only)
        runtime = make_runtime(recipe, herbarium, progress=Progress(quiet=True), batch=128, threads=1)
        run(recipe, herbarium / "run", runtime)
    return herbarium / "run"


def read_scores(path: Path) -> TopKScores:
    table = pl.read_parquet(path)
    top, logit = (np.array(table[name].to_list()) for name in ("top_classes", "top_logits"))
    return TopKScores(CLASSES, top.astype(np.int32), logit.astype(np.float32), table["rest_logsumexp"].to_numpy())


def test_a_run_over_thousands_of_classes_ends_in_scores_of_the_likeliest_hundred(finished: Path) -> None:
    for name, rows in (("oof", TRAINED), ("test", ASKED), ("models/one/oof", TRAINED), ("models/two/test", ASKED)):
        table = pl.read_parquet(finished / f"{name}.parquet")
        assert table.columns == [
            "id",
            "top_classes",
            "top_logits",
            "rest_logsumexp",
            *(["decided"] if name == "oof" else []),
        ]
        assert table.height == rows
        assert set(table["top_classes"].list.len()) == {100}
        assert all((np.diff(row) <= 0).all() for row in table["top_logits"].head(20).to_list())
    submission = pl.read_csv(finished / "submission.csv")
    test, classes = read_scores(finished / "test.parquet"), pl.read_csv(finished / "classes.csv")["name"]
    assert submission["species"].to_list() == [classes[int(number)] for number in test.top_classes[:, 0]]


def test_the_scores_of_thousands_of_classes_have_the_same_metrics_and_intervals(finished: Path) -> None:
    scores = json.loads((finished / "scores.json").read_text())
    assert list(scores["metrics"]) == [
        "macro_f1",
        "micro_f1",
        "accuracy",
        "balanced_accuracy",
        "top_5_accuracy",
        "log_loss",
        "calibration_error",
    ]
    for metric in scores["metrics"].values():
        assert metric["low"] <= metric["value"] <= metric["high"]
        assert metric["prediction_interval"]["rows"] == ASKED
    oof, table = read_scores(finished / "oof.parquet"), pl.read_parquet(finished / "oof.parquet")
    train = read_table(finished / "../train.csv", "train")
    number = {name: place for place, name in enumerate(pl.read_csv(finished / "classes.csv")["name"])}
    truth = np.array([number[name] for name in table.join(train, on="id", maintain_order="left")["species"]])
    assert scores["metrics"]["accuracy"]["value"] == pytest.approx((oof.top_classes[:, 0] == truth).mean())
    assert scores["metrics"]["log_loss"]["value"] == pytest.approx(-oof.log_probability(truth).mean(), rel=1e-5)
    assert [entry["step"] for entry in scores["steps"]][:3] == ["one", "two", "weighted of 2"]


def test_the_report_of_thousands_of_classes_stays_a_page(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "weakest and most frequent classes are listed" in page
    assert "the report has no confusion matrix" in page
    assert len(page) < 6_000_000


def test_a_finished_run_of_thousands_of_classes_predicts_new_images(finished: Path, herbarium: Path) -> None:
    told = open_run(finished).predict([herbarium / "images" / f"s{TRAINED + number}.png" for number in range(5)])
    assert told["labels"].to_list() == pl.read_csv(finished / "submission.csv")["species"].to_list()[:5]


def test_what_a_run_wrote_of_thousands_of_classes_is_read_as_a_model_again(finished: Path, herbarium: Path) -> None:
    given = {"kind": "logit", "rows": "id"}
    model = {"name": "given", "predictions": {"oof": "run/oof.parquet", "test": "run/test.parquet", **given}}
    recipe = recipe_of(herbarium, models=[model], calibration=None)
    run(recipe, herbarium / "again", make_runtime(recipe, herbarium, progress=Progress(quiet=True), threads=1))
    one, two = (pl.read_csv(herbarium / name / "submission.csv") for name in ("run", "again"))
    assert one.equals(two)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ensemble": {"kind": "stack"}}, "stack"),
        ({"ensemble": {"kind": "mean", "space": "rank"}}, "rank"),
        ({"calibration": "isotonic"}, "isotonic"),
        ({"calibration": {"prediction_sets": 0.9}}, "calibration.prediction_sets"),
        ({"decision": {"kind": "prior"}}, "prior"),
        ({"metric": "map"}, "map"),
    ],
)
def test_a_choice_that_needs_all_scores_is_refused_before_training(
    herbarium: Path, changes: dict[str, Any], word: str
) -> None:
    recipe = recipe_of(herbarium, **changes)
    runtime = replace(make_runtime(recipe, herbarium), progress=Progress(quiet=True))
    steps = Steps(Store(runtime.store), RunLog(herbarium / "log.jsonl"), runtime.progress)
    with pytest.raises(InputError, match=word) as caught:
        prepare(recipe, steps, runtime)
    assert "allowed" in str(caught.value)
