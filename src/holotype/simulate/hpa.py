"""Simulated stand-in for the Human Protein Atlas images of 2018, with known ground truth.

It has four stains, 28 classes of which the rarest have less than a tenth of the images of the most frequent, external
images with other optics, and copies within and between the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from holotype.core.seeds import keyed_generator
from holotype.core.table_files import write_table
from holotype.simulate.cell_geometry import SHAPES
from holotype.simulate.microscopy import draw_cell_field, plate_optics
from holotype.simulate.organelles import ORGANELLES
from holotype.simulate.plan import balanced_draw, draw_labels, require_within

COLORS = ("red", "green", "blue", "yellow")
"""Microtubules, protein, nucleus, endoplasmic reticulum."""
FROM_STAINS = [0, 3, 1, 2]  # `draw_cell_field` gives microtubules, nucleus, reticulum, protein
# Square roots of the original counts, divided by six: a few hundred images contain every class, with a long tail.
LABEL_WEIGHTS = (19, 6, 10, 7, 7, 8, 5, 9, 1, 1, 1, 6, 4, 4, 5, 1, 4, 2, 5, 6, 2, 10, 5, 9, 3, 15, 3, 1)
EXTRA_LABELS = (0.5, 0.4, 0.1)  # probabilities of one, two and three labels


@dataclass(frozen=True)
class HpaPlan:
    """Data set plan: numbers of images and of copies.

    Args:
        train: Labeled images.
        external: Labeled external images, with other optics.
        test: Images to predict.
        size: Side of an image in pixels, 32 to 1024.
        train_train: Training images that copy another training image.
        train_external: External images that show a training image with other optics.
        external_test: External images that show a test image with other optics.

    Raises:
        DataError: A field is out of its range.
    """

    train: int = 320
    external: int = 100
    test: int = 100
    size: int = 48
    train_train: int = 8
    train_external: int = 8
    external_test: int = 8

    def __post_init__(self) -> None:
        require_within("train", self.train, 2, 10**6)
        require_within("external", self.external, self.train_external + self.external_test, 10**6)
        require_within("test", self.test, self.external_test, 10**6)
        require_within("size", self.size, 32, 1024)
        require_within("train_train", self.train_train, 0, self.train // 2)
        require_within("train_external", self.train_external, 0, self.train - 2 * self.train_train)
        require_within("external_test", self.external_test, 0, self.test)


STANDARD_HPA = HpaPlan()


def plan_hpa(plan: HpaPlan, seed: int) -> pl.DataFrame:
    """Plan the images and their labels before anything is drawn.

    Returns one row per image: `Id`, `role`, `Target` (class indices separated by spaces), `cell_type`, `duplicate_of`
    (the Id of another row, or null).
    """
    rows: list[dict[str, Any]] = []
    for role, count in (("train", plan.train), ("test", plan.test), ("external", plan.external)):
        first = balanced_draw(seed, f"{role} labels", count, np.repeat(np.arange(len(LABEL_WEIGHTS)), LABEL_WEIGHTS))
        cell_type = balanced_draw(seed, f"{role} cell types", count, np.arange(len(SHAPES)))
        for index in range(count):
            random = keyed_generator(seed, "labels", role, index)
            labels = " ".join(map(str, draw_labels(int(first[index]), LABEL_WEIGHTS, EXTRA_LABELS, random)))
            row = {"Id": f"{role}-{index:05d}", "role": role, "Target": labels}
            rows.append(row | {"cell_type": list(SHAPES)[cell_type[index]], "duplicate_of": None})
    rows_by_role = {
        role: [n for n, row in enumerate(rows) if row["role"] == role] for role in ("train", "test", "external")
    }
    train, test, outside = rows_by_role["train"], rows_by_role["test"], rows_by_role["external"]
    copies = [(copy, train[n]) for n, copy in enumerate(train[len(train) - plan.train_train :])]
    sources = [*train[plan.train_train : plan.train_train + plan.train_external], *test[: plan.external_test]]
    sources = sources[: plan.train_external + plan.external_test]
    copies += list(zip(outside, sources, strict=False))
    for copy, source in copies:
        rows[copy] |= {name: rows[source][name] for name in ("Target", "cell_type")} | {
            "duplicate_of": rows[source]["Id"]
        }
    return pl.DataFrame(rows, schema_overrides={"duplicate_of": pl.String})


def other_lab_appearance(field: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Change the appearance of an image to that of another laboratory: blur, contrast, gain and offset per channel.

    `field`: shape (channels, H, W), 0 to 1.
    """
    random = keyed_generator(seed, "laboratory")
    gain = random.uniform(0.75, 1.2, (len(field), 1, 1))
    darkness = random.uniform(0.01, 0.05, (len(field), 1, 1))
    soft = gaussian_filter(field, (0, 0.45, 0.45))
    return np.asarray(np.clip(gain * soft**1.15 + darkness, 0, 1), dtype=np.float32)


def simulate_hpa(folder: Path, plan: HpaPlan = STANDARD_HPA, seed: int = 1) -> pl.DataFrame:
    """Draw the stand-in: `images/{Id}_{color}.png`, `train.csv`, `external.csv`, `test.csv` and `truth.csv`.

    The tables have the columns of the original, `Id` and `Target`. They are written last, so a folder that has its
    tables is complete. Existing files are overwritten. The same seed gives the same bytes.

    Returns the ground truth, as returned by `plan_hpa`.
    """
    truth = plan_hpa(plan, seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for row in truth.iter_rows(named=True):
        field = _draw_field(row["duplicate_of"] or row["Id"], row, plan.size, seed)
        field = other_lab_appearance(field, seed) if row["role"] == "external" else field
        for color, pixels in zip(COLORS, np.rint(field * 255).astype(np.uint8), strict=True):
            Image.fromarray(pixels).save(folder / "images" / f"{row['Id']}_{color}.png", compress_level=1)
    for role in ("train", "external"):
        write_table(truth.filter(pl.col("role") == role).select("Id", "Target"), folder / f"{role}.csv")
    write_table(truth.filter(pl.col("role") == "test").select("Id"), folder / "test.csv")
    write_table(truth, folder / "truth.csv")
    return truth


def _draw_field(name: str, row: dict[str, Any], size: int, seed: int) -> NDArray[np.float32]:
    random = keyed_generator(seed, "image", name)
    names = [list(ORGANELLES)[int(number)] for number in row["Target"].split()]
    amounts = dict(zip(names, random.uniform(0.5, 1.0, len(names)), strict=True))
    optics = plate_optics(seed, f"slide {random.integers(12)}")
    return draw_cell_field(amounts, row["cell_type"], size, optics, random, ORGANELLES)[FROM_STAINS]
