"""The sets on which parts are tried: four real ones, and four that are drawn; each with a plain, short training.

*dated* is mitocheck once more, its latest days being the test rows, so that their truth is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
from _common import real_data

from holotype.simulate.cells import SimulationPlan, simulate_cells
from holotype.simulate.herbarium import LeavesPlan, simulate_leaves
from holotype.simulate.hpa import HpaPlan, simulate_hpa
from holotype.simulate.rxrx1 import PerturbationPlan, simulate_perturbations

SETS = ("leaf", "jurkat", "mitocheck", "bccd", "dated", "drawn", "atlas", "screen", "sheets")
SCORED = tuple(name for name in SETS if name != "dated")
"""Those on which parts of networks and decisions are tried; the other one is for parts of the folds."""
TABLES = {"train": "train.csv", "test": "test.csv"}
MANY_LABELS = ("bccd", "drawn", "atlas")


@dataclass(frozen=True)
class TrialSet:
    """A set, and how long a model is trained on it.

    Args:
        data: The recipe's section.
        epochs: Of the plain training.
        metric: What is compared.
        size: Side of the input in pixels.
        cap: Rows of a class in an epoch, where the set is large.
        network: Keys of the model that differ from the plain one's.
        folds: How many of the folds are trained and scored.
        truth: A table of the test samples' labels, in the columns of the training table.
    """

    data: dict[str, Any]
    epochs: int
    metric: str = "macro_f1"
    size: int = 64
    cap: int | None = None
    network: dict[str, Any] = field(default_factory=dict)
    folds: int = 1
    truth: Path | None = None


def find_sets(place: Path) -> dict[str, TrialSet]:
    """The real sets that are here, and the drawn ones, which are drawn into a folder once."""
    real = find_real_sets()
    dated = {"dated": _dated(real["mitocheck"], place / "dated")} if "mitocheck" in real else {}
    return {**real, **dated, **_drawn(place)}


def find_real_sets() -> dict[str, TrialSet]:
    """The real sets that are here."""
    found = {name: folder for name in ("leaf", "jurkat", "mitocheck", "bccd") if (folder := real_data(name))}
    known = {}
    for name, folder in found.items():
        data: dict[str, Any] = {role: str(folder / file) for role, file in TABLES.items()}
        data["images"] = f"{folder}/images/{{id}}.{'jpg' if name == 'bccd' else 'png'}"
        if name == "leaf":
            data["labels"] = {"column": "species", "taxonomy": str(folder / "taxonomy.csv")}
            known[name] = TrialSet(data, 12, metric="accuracy")
        elif name == "jurkat":
            data |= {"images": f"{folder}/images/{{id}}_{{channel}}.tif"}
            known[name] = TrialSet(data | {"channels": ["brightfield", "dna", "darkfield"]}, 8, cap=150)
        elif name == "mitocheck":
            known[name] = TrialSet(data | {"groups": ["plate"], "domain": "experiment_date"}, 8, cap=60)
        else:
            labels = {"column": "labels", "kind": "multilabel"}
            known[name] = TrialSet(data | {"labels": labels}, 8, folds=3)
    return known


def _dated(whole: TrialSet, place: Path) -> TrialSet:
    """Days are given to the test rows from the last one on, until these are a quarter; classes are those of both."""
    labelled = pl.read_csv(whole.data["train"], infer_schema=False)
    days = labelled.group_by("experiment_date").len().sort("experiment_date", descending=True)
    later = days.filter(pl.col("len").cum_sum() <= labelled.height // 4)["experiment_date"].implode()
    train, test = (labelled.filter(pl.col("experiment_date").is_in(later) == late) for late in (False, True))
    both = train.join(test, on="label", how="semi")["label"].unique().implode()
    tables = {name: rows.filter(pl.col("label").is_in(both)) for name, rows in (("train", train), ("truth", test))}
    place.mkdir(parents=True, exist_ok=True)
    for name, rows in (tables | {"test": tables["truth"].drop("label")}).items():
        rows.write_csv(place / f"{name}.csv")
    data = whole.data | {name: str(place / f"{name}.csv") for name in TABLES}
    return replace(whole, data=data | {"labels": {"column": "label"}}, truth=place / "truth.csv")


def _drawn(place: Path) -> dict[str, TrialSet]:
    drawn, atlas, screen, sheets = (place / name for name in ("drawn", "atlas", "screen", "sheets"))
    if not (drawn / "test.csv").is_file():
        simulate_cells(drawn, SimulationPlan(train=900, test=600, plates=30))
    if not (atlas / "truth.csv").is_file():
        simulate_hpa(atlas, HpaPlan(train=640, size=64))
    if not (screen / "truth.csv").is_file():
        plan = PerturbationPlan(perturbations=24, plates=4, train_experiments=2, size=32)
        simulate_perturbations(screen, plan)
    if not (sheets / "test" / "metadata.json").is_file():
        simulate_leaves(sheets, LeavesPlan(families=4, genera=3, species=3, sheets=12, size=64))
    many = {"column": "labels", "kind": "multilabel"}
    cells = {role: str(drawn / file) for role, file in TABLES.items()} | {
        "images": f"{drawn}/images/{{id}}_{{channel}}.png",
        "labels": many,
        "groups": ["plate"],
        "domain": "cell_type",
        "channels": ["microtubules", "nucleus", "reticulum", "protein"],
    }
    proteins = {role: str(atlas / file) for role, file in TABLES.items()} | {
        "id": "Id",
        "images": f"{atlas}/images/{{Id}}_{{channel}}.png",
        "channels": ["red", "green", "blue", "yellow"],
        "labels": {"column": "Target", "kind": "multilabel"},
    }
    wells = {role: str(screen / file) for role, file in TABLES.items()} | {
        "id": "id",
        "sample": "id_code",
        "channels": list("123456"),
        "labels": {"column": "sirna"},
        "images": f"{screen}/images/{{experiment}}/Plate{{plate}}/{{well}}_s{{site}}_w{{channel}}.png",
        "groups": ["batch", "experiment"],
        "domain": "cell_type",
    }
    pressed = {role: str(sheets / role / "metadata.json") for role in TABLES}
    pressed |= {"labels": {"column": "species", "taxonomy": ["genus", "family"]}}
    small = {"backbone": "test_efficientnet", "weights": "none", "phases": [{"epochs": 12, "lr": 0.003}]}
    return {
        "drawn": TrialSet(cells, 10),
        "atlas": TrialSet(proteins, 10),
        "screen": TrialSet(wells, 12, metric="accuracy", size=32, network=small, folds=2, truth=screen / "truth.csv"),
        "sheets": TrialSet(pressed, 8, metric="accuracy"),
    }


FEW_GROUPS = {
    "plates": SimulationPlan(train=380, test=200, plates=13, duplicates=0.0, multilabel=False),
    "slides": SimulationPlan(train=200, test=120, plates=7, duplicates=0.0, multilabel=False),
    "patients": SimulationPlan(train=700, test=200, plates=10, duplicates=0.0, multilabel=False),
}
"""Drawn sets of one label per image in 11, 6 and 8 plates."""


def find_few_group_sets(folder: Path) -> dict[str, tuple[dict[str, Any], Path]]:
    """Drawn sets with few independent groups: the recipe's data section, and the table of the truth."""
    sets = {}
    for name, plan in FEW_GROUPS.items():
        root = folder / name
        if not (root / "truth.csv").is_file():
            simulate_cells(root, plan, seed=len(name))
        data: dict[str, Any] = {role: str(root / file) for role, file in TABLES.items()}
        data |= {"images": f"{root}/images/{{id}}_{{channel}}.png", "groups": ["plate"]}
        data |= {"channels": ["microtubules", "nucleus", "reticulum", "protein"], "labels": {"column": "labels"}}
        sets[name] = data, root / "truth.csv"
    return sets
