"""Simulated stand-in for the RxRx1 screen, with known ground truth.

Each perturbation changes the shape of the cells and the brightness of the six stains in the same way everywhere; cell
lines, experiments and plates change them too. The layout follows Taylor et al. 2019, "RxRx1: an image set for cellular
morphological variation across many experimental batches": an experiment has one cell line and several plates, a plate
holds one of a few fixed sets of perturbations, one per well, and each well is imaged at two sites.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from holotype.core.seeds import keyed_generator
from holotype.core.table_files import write_table
from holotype.simulate.cell_geometry import CellShape, grow_cells
from holotype.simulate.microscopy import PATTERNS, Optics, equalized, render_microscope_image
from holotype.simulate.plan import require_within

# In the order of the channels 1 to 6: nucleus, reticulum, actin, nucleoli, mitochondria, golgi.
STAINS = ("nucleoplasm", "cytosol", "plasma-membrane", "nucleoli", "mitochondria", "golgi")
CELL_LINES: dict[str, CellShape] = {
    "HEPG2": CellShape(12.0, 1.10, 0.08, 0.52, 1.15, 1.45),
    "HUVEC": CellShape(15.0, 1.60, 0.12, 0.42, 1.30, 1.55),
    "RPE": CellShape(16.0, 1.25, 0.10, 0.45, 1.20, 1.50),
    "U2OS": CellShape(14.0, 1.30, 0.18, 0.38, 1.25, 1.60),
}
PHOTONS = np.array([220.0, 150.0, 150.0, 140.0, 140.0, 140.0])
LEVEL = 0.42  # of full scale for an unchanged stain, so that twice as much does not saturate
ROWS, COLUMNS = "BCDEFGHIJKLMNO", range(2, 24)
NO_FIBERS = np.zeros((1, 1))  # none of the six stains is drawn from microtubules


@dataclass(frozen=True)
class Effect:
    """Perturbation effect, as logarithms of factors.

    Args:
        shape: Factors of the cell's radius, stretch, ruggedness, nucleus, nucleus stretch and crowding.
    """

    shape: tuple[float, ...]
    stains: tuple[float, ...]


@dataclass(frozen=True)
class PerturbationPlan:
    """Screen size of a simulated perturbation screen.

    Args:
        perturbations: Number of perturbations; these are the classes.
        plates: Plates per experiment; each holds one set of the perturbations, one per well.
        train_experiments: Labeled experiments per cell line.
        test_experiments: Test experiments per cell line.
        sites: Images per well.
        size: Side of an image in pixels, 32 to 1024.

    Raises:
        DataError: A field is out of its range.
    """

    perturbations: int = 200
    plates: int = 4
    train_experiments: int = 3
    test_experiments: int = 1
    sites: int = 2
    size: int = 32

    def __post_init__(self) -> None:
        require_within("perturbations", self.perturbations, 2, 4 * len(ROWS) * len(COLUMNS))
        require_within("plates", self.plates, max(1, -(-self.perturbations // (len(ROWS) * len(COLUMNS)))), 8)
        require_within("train_experiments", self.train_experiments, 1, 100)
        require_within("test_experiments", self.test_experiments, 0, 100)
        require_within("sites", self.sites, 1, 8)
        require_within("size", self.size, 32, 1024)


STANDARD_PERTURBATIONS = PerturbationPlan()


def perturbation_effect(seed: int, perturbation: int, cell_line: str) -> Effect:
    """Draw the effect of a perturbation on a cell line; a sixth of its strength depends on the cell line."""
    common = keyed_generator(seed, "effect", perturbation).normal(0, 1, 12)
    cell_line_change = keyed_generator(seed, "effect", perturbation, cell_line).normal(0, 1, 12)
    change = common + cell_line_change / 6
    shape = change[:6] * np.array([0.16, 0.25, 0.5, 0.16, 0.15, 0.12])
    return Effect(tuple(shape.tolist()), tuple((0.45 * change[6:]).tolist()))


def plan_perturbations(plan: PerturbationPlan, seed: int) -> pl.DataFrame:
    """Plan the images of a screen before anything is drawn.

    Returns one row per image, training experiments first: `id`, `id_code` (the well), `role`, `experiment`, `plate`
    (its number within the experiment), `batch` (the unique plate name), `well`, `site`, `cell_type`, `sirna`, `set`.
    """
    sets = np.arange(plan.perturbations) % plan.plates
    sets = keyed_generator(seed, "sets").permutation(sets)
    rows: list[dict[str, Any]] = []
    for role, count in (("train", plan.train_experiments), ("test", plan.test_experiments)):
        for cell_line in CELL_LINES:
            for number in range(1, count + 1):
                position = number if role == "train" else plan.train_experiments + number
                experiment = f"{cell_line}-{position:02d}"
                order = keyed_generator(seed, "plates", experiment).permutation(plan.plates)
                for plate, set_number in enumerate(order.tolist(), start=1):
                    plate_values = {
                        "role": role,
                        "experiment": experiment,
                        "plate": plate,
                        "batch": f"{experiment}_{plate}",
                        "cell_type": cell_line,
                        "set": set_number,
                    }
                    rows += _plan_plate(plate_values, np.flatnonzero(sets == set_number), plan.sites, seed)
    columns = ["id", "id_code", "role", "experiment", "plate", "batch", "well", "site", "cell_type", "sirna", "set"]
    return pl.DataFrame(rows).select(columns)


def draw_perturbed_field(
    effect: Effect, cell_line: str, size: int, optics: Optics, random: np.random.Generator
) -> NDArray[np.float32]:
    """Draw one site of a well as the microscope records it.

    Args:
        size: Side of the field in pixels.
        optics: Batch effect of the plate, for six channels.

    Returns:
        Shape (6, size, size) in the order of `STAINS`, 0 to 1.
    """
    base_shape = CELL_LINES[cell_line]
    factors = np.exp(effect.shape)
    shape = replace(
        base_shape,
        radius=base_shape.radius * factors[0],
        stretch=1 + (base_shape.stretch - 1) * factors[1],
        ruggedness=base_shape.ruggedness * factors[2],
        nucleus=min(base_shape.nucleus * factors[3], 0.8),
        nucleus_stretch=base_shape.nucleus_stretch * factors[4],
        crowding=base_shape.crowding * factors[5],
    )
    cells = grow_cells(shape, size, random)
    light = np.stack([equalized(PATTERNS[name](cells, NO_FIBERS, random), cells.unit) for name in STAINS])
    light *= np.exp(effect.stains)[:, None, None]
    return render_microscope_image(light, cells.unit, optics, random, PHOTONS, LEVEL)


def simulate_perturbations(
    folder: Path, plan: PerturbationPlan = STANDARD_PERTURBATIONS, seed: int = 1
) -> pl.DataFrame:
    """Draw the screen: `images/{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png` and the tables.

    `train.csv` and `test.csv` have one row per image, `sets.csv` lists the perturbations that share a plate, and
    `truth.csv` has everything. They are written last, so a folder that has its tables is complete. The same seed gives
    the same bytes, and adding experiments leaves the others unchanged.

    Returns the ground truth, as returned by `plan_perturbations`.
    """
    truth = plan_perturbations(plan, seed)
    for row in truth.iter_rows(named=True):
        random = keyed_generator(seed, "image", row["id"])
        effect = perturbation_effect(seed, row["sirna"], row["cell_type"])
        field = draw_perturbed_field(effect, row["cell_type"], plan.size, _plate_optics(seed, row), random)
        plate_folder = folder / "images" / row["experiment"] / f"Plate{row['plate']}"
        plate_folder.mkdir(parents=True, exist_ok=True)
        for channel, pixels in enumerate(np.rint(field * 255).astype(np.uint8), start=1):
            Image.fromarray(pixels).save(
                plate_folder / f"{row['well']}_s{row['site']}_w{channel}.png", compress_level=1
            )
    columns = ["id", "id_code", "experiment", "plate", "batch", "well", "site", "cell_type"]
    write_table(truth.filter(pl.col("role") == "train").select(*columns, "sirna"), folder / "train.csv")
    write_table(truth.filter(pl.col("role") == "test").select(columns), folder / "test.csv")
    sets = truth.select(pl.col("sirna").alias("name"), "set").unique().sort("name")
    write_table(sets, folder / "sets.csv")
    write_table(truth, folder / "truth.csv")
    return truth


def _plan_plate(
    plate_values: dict[str, Any], perturbations: NDArray[np.int64], sites: int, seed: int
) -> list[dict[str, Any]]:
    every = [f"{row}{column:02d}" for row in ROWS for column in COLUMNS]
    wells = keyed_generator(seed, "wells", plate_values["batch"]).permutation(len(every))
    rows = []
    for perturbation, well_index in zip(perturbations.tolist(), wells.tolist(), strict=False):
        code = f"{plate_values['batch']}_{every[well_index]}"
        for site in range(1, sites + 1):
            image_values = {
                "id": f"{code}_s{site}",
                "id_code": code,
                "well": every[well_index],
                "site": site,
                "sirna": perturbation,
            }
            rows.append(plate_values | image_values)
    return sorted(rows, key=lambda row: row["id"])


def _plate_optics(seed: int, row: dict[str, Any]) -> Optics:
    staining = keyed_generator(seed, "experiment", row["experiment"]).normal(0, 0.2, len(STAINS))
    random = keyed_generator(seed, "plate", row["batch"])
    gain = np.exp(staining + random.normal(0, 0.06, len(STAINS)))
    background = random.uniform(0.01, 0.05, len(STAINS))
    down, right = random.uniform(-0.12, 0.12, 2).tolist()
    return Optics(tuple(gain.tolist()), tuple(background.tolist()), float(random.uniform(0.45, 0.8)), (down, right))
