"""Simulated herbarium sheets: leaves of species within genera within families.

The family sets the venation and the breadth of the leaf; the genus its lobes and where it is widest; the species its
teeth, tip and color. Single leaves vary a little around their species.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from holotype.core.seeds import keyed_generator
from holotype.core.table_files import write_table
from holotype.simulate.plan import require_within

PAPER = np.array([0.93, 0.91, 0.85])


@dataclass(frozen=True)
class LeafForm:
    """Leaf form of a species.

    Args:
        widest: Position of the greatest width, 0 at the stalk to 1 at the tip.
        lobe_depth: Depth of the lobes as a share of the width.
        tooth_depth: Depth of the teeth as a share of the width.
        tip: Elongation of the tip; 1 is round.
        color: Red, green and blue of the dried blade, 0 to 1.
    """

    breadth: float
    widest: float
    lobes: int
    lobe_depth: float
    teeth: int
    tooth_depth: float
    tip: float
    veins: int
    color: tuple[float, float, float]


@dataclass(frozen=True)
class LeavesPlan:
    """Herbarium plan: numbers of taxa and sheets.

    Args:
        genera: Genera per family.
        species: Species per genus.
        sheets: Labeled sheets of the most frequent species; the others have fewer, down to a third for the rarest.
        test: Test sheets per species.
        size: Side of an image in pixels, 32 to 1024.

    Raises:
        DataError: A field is out of its range.
    """

    families: int = 3
    genera: int = 2
    species: int = 3
    sheets: int = 20
    test: int = 4
    size: int = 48

    def __post_init__(self) -> None:
        for name in ("families", "genera", "species"):
            require_within(name, getattr(self, name), 1, 100)
        require_within("sheets", self.sheets, 3, 10**5)
        require_within("test", self.test, 0, 10**5)
        require_within("size", self.size, 32, 1024)


STANDARD_LEAVES = LeavesPlan()


def species_leaf_form(seed: int, species: str) -> LeafForm:
    """Leaf form of a species under a seed. `species`: indices of family, genus and species, as in `1.0.2`."""
    family, genus, _ = species.split(".")
    far = keyed_generator(seed, "family", family)
    middle = keyed_generator(seed, "genus", f"{family}.{genus}")
    near = keyed_generator(seed, "species", species)
    breadth = far.uniform(0.3, 0.75) * np.exp(middle.normal(0, 0.12) + near.normal(0, 0.08))
    veins = int(far.integers(4, 10))
    lobes = int(middle.choice([0, 0, 2, 3, 4]))
    color = np.clip(np.array([0.36, 0.37, 0.2]) + near.normal(0, 0.07, 3), 0.05, 0.7)
    return LeafForm(
        float(np.clip(breadth, 0.2, 0.9)),
        float(np.clip(middle.uniform(0.3, 0.6) + near.normal(0, 0.04), 0.2, 0.7)),
        lobes,
        float(middle.uniform(0.25, 0.5)) if lobes else 0.0,
        int(near.choice([0, 7, 11, 16])),
        float(near.uniform(0.06, 0.16)),
        float(near.uniform(0.8, 1.8)),
        veins,
        (float(color[0]), float(color[1]), float(color[2])),
    )


def draw_leaf(form: LeafForm, size: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Draw a sheet: one leaf on paper, slightly rotated and off-center.

    Returns red, green and blue, shape (3, size, size), 0 to 1.
    """
    length = 0.82 * random.uniform(0.85, 1.0)
    angle, lean = np.pi / 2 + random.normal(0, 0.25), random.normal(0, 0.06)
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5 - random.normal(0, 0.03, (2, 1, 1))
    along = (x * np.cos(angle) + y * np.sin(angle)) / length + 0.5
    side = (x * -np.sin(angle) + y * np.cos(angle)) / length - lean * np.sin(np.pi * np.clip(along, 0, 1))
    inside = np.clip(along, 1e-6, 1 - 1e-6)
    rise, fall = 1.4 * form.widest, 1.4 * (1 - form.widest) * form.tip
    top = rise / (rise + fall)
    peak = top**rise * (1 - top) ** fall
    half = 0.5 * form.breadth * random.uniform(0.92, 1.08) * inside**rise * (1 - inside) ** fall / peak
    wave = random.uniform(-0.3, 0.3)
    half *= 1 - form.lobe_depth * (0.5 - 0.5 * np.cos(2 * np.pi * form.lobes * inside + wave))
    half *= 1 - form.tooth_depth * ((form.teeth * inside + wave) % 1)
    blade = 1 / (1 + np.exp(np.clip(-(half - np.abs(side)) * size * length / 0.5, -40, 40)))
    blade *= (along > 0) & (along < 1)
    stalk = (np.abs(side) < 0.016) & (along > -0.12) & (along <= 0.1)
    cover = np.maximum(blade, 0.9 * stalk)
    veins = np.exp(-((side / 0.012) ** 2))
    veins += 0.6 * np.exp(-((((form.veins * (along - 0.8 * np.abs(side))) % 1 - 0.5) / 0.12) ** 2))
    color = np.clip(np.array(form.color) * random.uniform(0.85, 1.15), 0, 1)[:, None, None]
    leaf = color * (1 + 0.45 * np.clip(veins, 0, 1))
    paper = (PAPER * random.uniform(0.93, 1.04))[:, None, None]
    sheet = cover * leaf + (1 - cover) * paper + random.normal(0, 0.02, (3, size, size))
    return np.asarray(np.clip(sheet, 0, 1), dtype=np.float32)


def plan_leaves(plan: LeavesPlan, seed: int) -> pl.DataFrame:
    """Plan the sheets of a herbarium before anything is drawn.

    Returns one row per sheet, labeled ones first: `id`, `role`, `file_name`, `category_id`, `species`, `genus`,
    `family`, `form` (indices of the species, see `species_leaf_form`).
    """
    forms = [
        f"{family}.{genus}.{species}"
        for family in range(plan.families)
        for genus in range(plan.genera)
        for species in range(plan.species)
    ]
    ids = keyed_generator(seed, "categories").permutation(10 * len(forms))[: len(forms)].tolist()
    rows: list[dict[str, Any]] = []
    for role in ("train", "test"):
        for number, (form, category) in enumerate(zip(forms, ids, strict=True)):
            family, genus, species = form.split(".")
            share = 1 - 2 / 3 * number / max(1, len(forms) - 1)
            for _ in range(round(plan.sheets * share) if role == "train" else plan.test):
                name = len(rows)
                rows.append(
                    {
                        "id": f"{name}",
                        "role": role,
                        "category_id": category,
                        "file_name": f"images/{category:03d}/{name}.jpg" if role == "train" else f"images/{name}.jpg",
                        "species": f"Genus{family}{genus} species{species}",
                        "genus": f"Genus{family}{genus}",
                        "family": f"Family{family}aceae",
                        "form": form,
                    }
                )
    columns = ["id", "role", "file_name", "category_id", "species", "genus", "family", "form"]
    return pl.DataFrame(rows).select(columns)


def simulate_leaves(folder: Path, plan: LeavesPlan = STANDARD_LEAVES, seed: int = 1) -> pl.DataFrame:
    """Draw the sheets: `train/metadata.json`, `test/metadata.json` (COCO format), their images, and `truth.csv`.

    Existing files of the same names are overwritten. The same seed gives the same bytes.

    Returns the ground truth, as returned by `plan_leaves`.
    """
    truth = plan_leaves(plan, seed)
    for row in truth.iter_rows(named=True):
        sheet = draw_leaf(species_leaf_form(seed, row["form"]), plan.size, keyed_generator(seed, "sheet", row["id"]))
        path = folder / row["role"] / row["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(sheet.transpose(1, 2, 0) * 255).astype(np.uint8)).save(path, quality=92)
    for role in ("train", "test"):
        (folder / role).mkdir(parents=True, exist_ok=True)
        text = json.dumps(_make_metadata(truth.filter(pl.col("role") == role), role == "train"))
        (folder / role / "metadata.json").write_text(text, encoding="utf-8")
    write_table(truth, folder / "truth.csv")
    return truth


def _make_metadata(sheets: pl.DataFrame, labeled: bool) -> dict[str, Any]:
    images = [{"id": int(name), "file_name": file} for name, file in sheets.select("id", "file_name").iter_rows()]
    if not labeled:
        return {"images": images}
    notes = sheets.select(pl.col("id").cast(pl.Int64), "category_id").with_row_index("number")
    annotations = [
        {"id": number, "image_id": name, "category_id": category} for number, name, category in notes.iter_rows()
    ]
    taxa = sheets.select(pl.col("category_id").alias("id"), pl.col("species").alias("name"), "genus", "family")
    return {"images": images, "annotations": annotations, "categories": taxa.unique().sort("id").to_dicts()}
