"""A whole run: every file of the run's folder, and what stands in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score

import holotype
from holotype.simulate.cells import CLASSES

FOLDS = 3


def read_json(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text(encoding="utf-8"))


def array_of(run: Path, name: str) -> np.ndarray:
    return np.array(pl.read_parquet(run / name)["scores"].to_list())


AUDITED = (
    "statistics",
    "clusters",
    "duplicate_pairs",
    "conflicts",
    "image_problems",
    "label_cooccurrence",
    "label_errors",
)


def test_a_run_leaves_the_files_of_the_contract_and_no_others(finished: Path) -> None:
    found = {file.relative_to(finished).as_posix() for file in finished.rglob("*") if file.is_file()}
    of_folds = {
        f"models/main/fold{fold}/{name}"
        for fold in range(FOLDS)
        for name in ("weights.safetensors", "card.json", "history.parquet")
    }
    of_the_run = {
        "recipe.yaml",
        "images.parquet",
        "folds.parquet",
        "classes.csv",
        "oof.parquet",
        "test.parquet",
        "models/main/oof.parquet",
        "models/main/test.parquet",
        "decision.json",
        "ensemble.json",
        "predictions.csv",
        "scores.json",
        "digests.json",
        "submission.csv",
        "report.html",
        "log.jsonl",
    }
    tables = {f"audit/{name}.parquet" for name in AUDITED}
    assert found == of_folds | of_the_run | tables | {"audit/warnings.json"}


def test_every_labelled_row_has_a_fold_and_every_test_row_none(finished: Path) -> None:
    folds = pl.read_parquet(finished / "folds.parquet")
    assert folds.columns == ["id", "sample", "fold", "role", "independent_group"]
    by_role = folds.group_by("role").agg("fold").sort("role")
    of_test, of_train = by_role["fold"].to_list()
    assert (len(of_test), set(of_test)) == (20, {None})
    assert (len(of_train), set(of_train)) == (60, {0, 1, 2})


def test_no_plate_and_no_duplicate_crosses_a_fold(finished: Path) -> None:
    images = pl.read_parquet(finished / "images.parquet").with_columns(
        pl.read_parquet(finished / "folds.parquet")["fold"]
    )
    folds_of_plate = images.filter(pl.col("role") == "train").group_by("group.plate").agg(pl.col("fold").n_unique())
    assert folds_of_plate.height == 8
    assert folds_of_plate["fold"].to_list() == [1] * 8
    twins = pl.read_parquet(finished / "audit" / "clusters.parquet").join(images, on="id")
    assert twins.height >= 2
    assert twins.group_by("cluster").agg(pl.col("fold").n_unique())["fold"].unique().to_list() == [1]


def test_scores_are_lists_of_32_bit_logits_in_the_order_of_the_tables(finished: Path, screen: Path) -> None:
    classes = pl.read_csv(finished / "classes.csv")["name"].to_list()
    assert classes == sorted(CLASSES)
    for name, table in (("oof.parquet", "train.csv"), ("test.parquet", "test.csv")):
        scores = pl.read_parquet(finished / name)
        decided = {"decided": pl.List(pl.UInt32)} if name == "oof.parquet" else {}
        assert dict(scores.schema) == {"id": pl.String, "scores": pl.List(pl.Float32), **decided}
        assert scores["id"].to_list() == pl.read_csv(screen / table)["id"].to_list()
        assert set(scores["scores"].list.len()) == {len(CLASSES)}
        assert np.isfinite(array_of(finished, name)).all()
        assert np.array_equal(array_of(finished, name), array_of(finished, f"models/main/{name}"))


def test_what_was_decided_out_of_fold_is_what_was_scored(finished: Path) -> None:
    given = pl.read_parquet(finished / "oof.parquet")["decided"].explode().value_counts()
    counts = dict(given.drop_nulls().iter_rows())
    classes = json.loads((finished / "scores.json").read_text(encoding="utf-8"))["classes"]
    assert [counts.get(number, 0) for number in range(len(classes))] == [entry["predicted"] for entry in classes]


def test_labels_follow_from_the_scores_and_the_decision(finished: Path) -> None:
    decision = read_json(finished, "decision.json")
    assert decision["kind"] == "threshold"
    assert decision["fallback"] == "argmax"
    classes = np.array(decision["classes"])
    said = expit(array_of(finished, "test.parquet"))
    submission = pl.read_csv(finished / "submission.csv", infer_schema=False)
    assert submission.columns == ["id", "labels"]
    for row, labels in zip(said, submission["labels"], strict=True):
        above = row > np.array(decision["thresholds"])
        above[row.argmax()] |= not above.any()
        assert labels.split(" ") == classes[above].tolist()


def test_the_spreadsheet_holds_the_likeliest_classes(finished: Path) -> None:
    table = pl.read_csv(finished / "predictions.csv")
    assert table["id"].to_list() == pl.read_csv(finished / "submission.csv")["id"].to_list()
    said = np.sort(expit(array_of(finished, "test.parquet")), axis=1)[:, ::-1]
    for rank in (1, 2, 3):
        assert table[f"probability_{rank}"].to_list() == pytest.approx(said[:, rank - 1].tolist(), abs=6e-5)


def test_the_score_is_the_one_of_the_out_of_fold_labels(finished: Path) -> None:
    scores = read_json(finished, "scores.json")
    assert set(scores) == {"metrics", "steps", "classes", "groups", "domains", "subsets", "ranks", "back_off"}
    name, metric = next(iter(scores["metrics"].items()))
    assert name == "macro_f1"
    for each in scores["metrics"].values():
        assert set(each) == {"value", "low", "high", "prediction_interval", "samples", "groups", "method"}
        assert set(each["prediction_interval"]) == {"low", "high", "rows"}
        assert each["low"] <= each["value"] <= each["high"]
        assert (each["samples"], each["groups"], each["prediction_interval"]["rows"]) == (60, 8, 20)
        assert "learned nothing from the scores" in each["method"]
    said = expit(array_of(finished, "oof.parquet"))
    decided = said > 0.5
    decided[np.arange(60), said.argmax(axis=1)] |= ~decided.any(axis=1)
    labels = pl.read_parquet(finished / "images.parquet").filter(pl.col("role") == "train")["labels"]
    truth = np.array([[number in row for number in range(len(CLASSES))] for row in labels])
    assert metric["value"] == pytest.approx(f1_score(truth, decided, average="macro", zero_division=0.0))


def test_scores_by_class_plate_and_domain_are_complete(finished: Path) -> None:
    scores = read_json(finished, "scores.json")
    assert [entry["name"] for entry in scores["classes"]] == sorted(CLASSES)
    assert {"support", "predicted", "precision", "recall", "f1"} <= set(scores["classes"][0])
    assert sum(entry["samples"] for entry in scores["groups"]) == 60
    assert {entry["column"] for entry in scores["groups"]} == {"plate"}
    assert [entry["domain"] for entry in scores["domains"]] == ["A-431", "HEK 293", "U-2 OS"]
    first, last = scores["steps"]
    assert (first["step"], last["step"]) == ("main, one view", "main, all views")
    assert last["value"] == scores["metrics"]["macro_f1"]["value"]
    assert first["difference"] is None
    assert last["difference"]["low"] <= last["value"] - first["value"] <= last["difference"]["high"]


def test_each_fold_has_a_network_that_trained_without_it(finished: Path) -> None:
    folds = pl.read_parquet(finished / "folds.parquet")
    for fold in range(FOLDS):
        card = read_json(finished, f"models/main/fold{fold}/card.json")
        own = folds.filter(pl.col("fold") == fold).height
        assert card["rows"] == {"train": 60 - own, "inner": 0, "validation": own}
        assert card["fold"] == fold
        history = pl.read_parquet(finished / f"models/main/fold{fold}/history.parquet")
        assert history["epoch"].to_list() == [1, 2]


def test_the_recipe_is_kept_with_every_default_and_can_be_run_again(finished: Path) -> None:
    recipe = holotype.load_recipe(finished / "recipe.yaml")
    assert recipe == holotype.load_recipe(finished.parents[1] / "recipe.yaml")
    assert "near_duplicate_bits" in (finished / "recipe.yaml").read_text()


def test_the_report_opens_offline(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "macro" in page.lower()
    assert 'src="http' not in page
    assert "<link" not in page


def test_the_report_names_the_machine_in_words(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert ", 1 thread, device cpu" in page


def test_warnings_are_said_written_and_shown(finished: Path) -> None:
    warnings = read_json(finished, "audit/warnings.json")
    log = (finished / "log.jsonl").read_text(encoding="utf-8").splitlines()
    said = [line["text"] for line in map(json.loads, log) if line["event"] == "message"]
    assert warnings
    notes = [line for line in said if line.startswith("note: ")]
    alike = "note: all 20 images were labeled nucleoplasm."  # of the predictions, which are no part of the audit
    assert notes == [*(f"note: {warning}" for warning in warnings), alike]
