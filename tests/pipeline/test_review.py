"""A run, decisions about it, and a second run that follows them: labels, drops, and what it changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.api import run
from holotype.core.digest import digest_file
from holotype.planning.reruns import explain
from holotype.review import COLUMNS, ReviewRow, row_text


@pytest.fixture(scope="module")
def reviewed(write_recipe: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run of the screen, and one that follows a review of it."""
    place = tmp_path_factory.mktemp("reviewed")
    decide = {"kind": "threshold"}
    recipe = write_recipe(place, decision=decide)
    first = run(recipe).folder.root
    earlier = place / "earlier"
    shutil.copytree(first, earlier)
    suspects = pl.read_parquet(first / "audit/label_errors.parquet")
    named = dict(suspects.select("sample", "given_label").iter_rows())
    samples = list(named)
    classes = pl.read_csv(first / "classes.csv")["name"].to_list()
    other = next(name for name in classes if name not in named[samples[0]])
    about = f"runs/cells {digest_file(first / 'oof.parquet')}"
    rows = [
        ReviewRow("sample", samples[0], "relabel", tuple(named[samples[0]]), (other,), run=about),
        ReviewRow("sample", samples[1], "drop", run=about),
        ReviewRow("sample", samples[2], "keep", tuple(named[samples[2]]), run=about),
        ReviewRow("sample", samples[3], "drop", run=about),
        ReviewRow("sample", samples[3], "undo", run=about),
        ReviewRow("sample", "nobody", "drop", run=about),
        ReviewRow("sample", samples[4], "relabel", (), ("nonsense",), run=about),
    ]
    (place / "review.csv").write_text(",".join(COLUMNS) + "\n" + "".join(map(row_text, rows)), encoding="utf-8")
    recipe = write_recipe(
        place, decision=decide, data={**json.loads(recipe.read_text())["data"], "review": "review.csv"}
    )
    told = explain(first, ("data.review=review.csv",))
    second = run(recipe).folder.root
    return {"recipe": recipe, "earlier": earlier, "run": second, "samples": samples, "other": other, "told": told}


def test_labels_are_those_of_the_review(reviewed: dict[str, Any]) -> None:
    images, before = (pl.read_parquet(reviewed[name] / "images.parquet") for name in ("run", "earlier"))
    classes = pl.read_csv(reviewed["run"] / "classes.csv")["name"].to_list()
    labels = dict(images.select("sample", "labels").iter_rows())
    assert labels.pop(reviewed["samples"][0]) == [classes.index(reviewed["other"])]
    assert all(labels[name] == old for name, old in before.select("sample", "labels").iter_rows() if name in labels)


def test_a_dropped_sample_neither_trains_nor_is_scored_and_an_undone_drop_does(reviewed: dict[str, Any]) -> None:
    folds = dict(pl.read_parquet(reviewed["run"] / "folds.parquet").select("sample", "fold").iter_rows())
    scored = set(pl.read_parquet(reviewed["run"] / "oof.parquet")["id"])
    assert folds[reviewed["samples"][1]] is None
    assert reviewed["samples"][1] not in scored
    assert folds[reviewed["samples"][3]] is not None
    assert reviewed["samples"][3] in scored


def test_what_a_person_settled_is_no_suspect(reviewed: dict[str, Any]) -> None:
    suspects = pl.read_parquet(reviewed["run"] / "audit/label_errors.parquet")
    settled = suspects.filter(pl.col("sample").is_in([reviewed["samples"][0], reviewed["samples"][2]]))
    assert settled.height == 2
    assert not settled["suspect"].any()


def test_what_does_not_fit_is_said(reviewed: dict[str, Any]) -> None:
    warnings = json.loads((reviewed["run"] / "audit/warnings.json").read_text())
    said = " ".join(warnings)
    assert "1 sample relabeled by review." in said
    assert "1 sample dropped from training and scoring by review" in said
    assert "nobody" in said
    assert "'nonsense' is not a class" in said


def test_why_names_the_review_and_nothing_before_it(reviewed: dict[str, Any]) -> None:
    told = dict(line.split(": ", 1) for line in reviewed["told"])
    assert told["folds"] == "would run again; changed: review"
    assert all("taken from the cache" in told[step] for step in ("images", "statistics", "audit"))


def test_the_change_in_score_is_reported(reviewed: dict[str, Any]) -> None:
    found = json.loads((reviewed["run"] / "audit/review.json").read_text())
    assert (found["relabeled"], found["dropped"], found["confirmed"], found["reason"]) == (1, 1, 2, "")
    runs = found["runs"]
    assert runs["samples"] == 59
    assert runs["difference"]["low"] <= runs["difference"]["value"] <= runs["difference"]["high"]
    assert np.isclose(runs["now"] - runs["earlier"], runs["difference"]["value"])
    scores = json.loads((reviewed["run"] / "scores.json").read_text())
    assert scores["subsets"]["labels before the review"]["macro_f1"]["samples"] == 59
    assert "only labels that earlier models doubted were reviewed" in scores["metrics"]["macro_f1"]["method"]
    page = (reviewed["run"] / "report.html").read_text(encoding="utf-8")
    assert "Label review" in page
    assert "Compared with the reviewed run" in page


def test_the_comparison_outlives_the_folder_of_the_reviewed_run(reviewed: dict[str, Any]) -> None:
    # The second run took the first one's folder; running it once more must not lose what it was compared with.
    before = json.loads((reviewed["run"] / "audit/review.json").read_text())
    run(reviewed["recipe"])
    assert json.loads((reviewed["run"] / "audit/review.json").read_text()) == before


def test_a_note_or_a_kept_label_trains_nothing_again(reviewed: dict[str, Any]) -> None:
    place = reviewed["recipe"].parent / "review.csv"
    before = place.read_text(encoding="utf-8")
    place.write_text(before + row_text(ReviewRow("sample", reviewed["samples"][6], "keep")), encoding="utf-8")
    try:
        assert all("taken from the cache" in line for line in explain(reviewed["run"]))
    finally:
        place.write_text(before, encoding="utf-8")
