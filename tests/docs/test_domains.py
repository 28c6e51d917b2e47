"""The recipes of the guides are right: each is checked with images of the form that its page tells of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from ruamel.yaml import YAML

from holotype.cli.main import main
from holotype.data.file_patterns import pattern_fields
from holotype.simulate.hpa import HpaPlan, simulate_hpa
from holotype.simulate.rxrx1 import PerturbationPlan, simulate_perturbations

PAGES = Path(__file__).parents[2] / "docs" / "domains"
HEADINGS = ["What you have", "The recipe to start from", "What to watch", "Reading the result"]
TAXA = "species,genus,family\nclass0,genus0,family0\nclass1,genus0,family0\nclass2,genus1,family0\n"


def recipes_of(page: Path) -> list[dict[str, Any]]:
    """The recipes that a page shows."""
    shown = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [YAML(typ="safe", pure=True).load(text) for text in shown]


RECIPES = {
    recipe["name"]: (page.stem, recipe)
    for page in sorted(PAGES.glob("*.md"))
    if page.stem != "README"
    for recipe in recipes_of(page)
}


def draw_image(path: Path, number: int) -> None:
    """Noise that no other image has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    depth = np.uint16 if path.suffix == ".tif" else np.uint8
    pixels = np.random.default_rng(number).integers(0, 200, (32, 32)).astype(depth)
    Image.fromarray(pixels).save(path)


def draw_table(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Tables and images of one label a sample, as the `data` section names them; test groups are new ones."""
    data = recipe["data"]
    labels, groups = data.get("labels", {"column": "label"}), data.get("groups", [])
    fields = [name for _, name in pattern_fields(data["images"]) if name and name != "channel"]
    for role, first in (("train", 0), ("test", 30)):
        rows = []
        for number in range(first, first + (30 if role == "train" else 6)):
            row = dict.fromkeys({"id", *fields}, f"{number:03d}")
            row |= {name: f"{name}{number // 6}" for name in groups}
            rows.append(row | ({labels["column"]: f"class{number % 3}"} if role == "train" else {}))
            for channel, stain in enumerate(data.get("channels", [""])):
                draw_image(folder / data["images"].format(**row, channel=stain), 10 * number + channel)
        pl.DataFrame(rows).write_csv(folder / data[role])
    if "taxonomy" in labels:
        (folder / labels["taxonomy"]).write_text(TAXA, encoding="utf-8")


def draw_folders(folder: Path, recipe: Mapping[str, Any]) -> None:
    """A folder a class."""
    for number in range(30):
        draw_image(folder / recipe["data"]["train"] / f"class{number % 3}" / f"{number}.png", number)


def draw_atlas(folder: Path, recipe: Mapping[str, Any]) -> None:
    """The stand-in of the Human Protein Atlas."""
    simulate_hpa(folder, HpaPlan(60, 12, 12, 32, train_train=2, train_external=2, external_test=2))


def draw_screen(folder: Path, recipe: Mapping[str, Any]) -> None:
    """The stand-in of RxRx1."""
    simulate_perturbations(folder, PerturbationPlan(perturbations=4, plates=2, train_experiments=2))


DRAWN: dict[str, Callable[[Path, Mapping[str, Any]], None]] = {
    "protein-patterns": draw_atlas,
    "perturbation-screen": draw_screen,
    "photographs": draw_folders,
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_of_a_guide_reads_images_of_that_form(name: str, tmp_path: Path) -> None:
    page, recipe = RECIPES[name]
    DRAWN.get(name, draw_table)(tmp_path, recipe)
    shown = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    text = next(
        text
        for text in re.findall(r"^```yaml\n(.*?)^```$", shown, re.MULTILINE | re.DOTALL)
        if f"name: {name}\n" in text
    )
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    assert main(["check", str(tmp_path / "recipe.yaml")]) == 0


@pytest.mark.parametrize("page", sorted({page for page, _ in RECIPES.values()}))
def test_a_guide_has_its_parts_and_the_index_names_it(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    assert [heading for heading in HEADINGS if f"\n## {heading}\n" not in text] == []
    assert f"]({page}.md)" in (PAGES / "README.md").read_text(encoding="utf-8")
