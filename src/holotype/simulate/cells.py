"""Simulated cell screen with known ground truth, for tutorials, tests and a first run without data.

It has the difficulties of real screens: rare classes, mixed patterns, plates with batch effects, test plates that are
absent from training, copies under a second name, and wrong labels.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from holotype.core.seeds import keyed_generator
from holotype.core.table_files import write_table
from holotype.simulate.microscopy import CHANNELS, draw_cell_field, plate_optics
from holotype.simulate.plan import CLASSES, SEPARATOR, SimulationPlan, plan_images

__all__ = [
    "CHANNELS",
    "CLASSES",
    "SEPARATOR",
    "STANDARD_PLAN",
    "Simulation",
    "SimulationPlan",
    "draw_cell_field",
    "plan_images",
    "simulate_cells",
]

STANDARD_PLAN = SimulationPlan()


@dataclass(frozen=True)
class Simulation:
    """Simulated data set with its ground truth.

    Args:
        folder: Holds `images/{id}_{channel}.png`, `train.csv`, `test.csv` and `truth.csv`.
        truth: One row per image, as returned by `plan_images`.
    """

    folder: Path
    classes: tuple[str, ...]
    truth: pl.DataFrame


def simulate_cells(folder: Path, plan: SimulationPlan = STANDARD_PLAN, seed: int = 1) -> Simulation:
    """Draw a screen: four channels per field, one gray PNG per channel, and the tables.

    `train.csv` has `id, labels, plate, well, cell_type`; `test.csv` has the same columns without `labels`. The tables
    are deleted first and written last, so a folder that has its tables is complete.

    `folder`: output folder; existing files of the same names are overwritten; `seed`: the same seed gives the same
    bytes; a larger plan leaves earlier images unchanged.
    """
    truth = plan_images(plan, seed)
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name in ("train", "test", "truth"):
        (folder / f"{name}.csv").unlink(missing_ok=True)
    optics = {plate: plate_optics(seed, plate) for plate in truth["plate"].unique()}
    for row in truth.iter_rows(named=True):
        if row["duplicate_of"] is not None:
            for channel in CHANNELS:
                shutil.copyfile(images / f"{row['duplicate_of']}_{channel}.png", images / f"{row['id']}_{channel}.png")
            continue
        random = keyed_generator(seed, "image", row["role"], row["index"])
        names = row["labels"].split(SEPARATOR)
        amounts = dict(zip(names, random.uniform(0.45, 1.0, len(names)), strict=True))
        field = draw_cell_field(amounts, row["cell_type"], plan.size, optics[row["plate"]], random)
        stored = np.rint(field * (2**plan.depth - 1)).astype(np.uint8 if plan.depth == 8 else np.uint16)
        for channel, pixels in zip(CHANNELS, stored, strict=True):
            Image.fromarray(pixels).save(images / f"{row['id']}_{channel}.png", compress_level=1)
    truth = truth.drop("index")
    columns = ["id", "plate", "well", "cell_type"]
    write_table(truth, folder / "truth.csv")
    write_table(truth.filter(pl.col("role") == "test").select(columns), folder / "test.csv")
    train = truth.filter(pl.col("role") == "train").select("id", pl.col("written").alias("labels"), *columns[1:])
    write_table(train, folder / "train.csv")
    return Simulation(folder, CLASSES, truth)
