"""The page on extensions: its plugin is run as a person would run it, on a few simulated cells."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.classifiers import fit_classifier
from holotype.core.errors import RecipeError
from holotype.core.plugins import load_plugin
from holotype.pipeline.validate import validate_names
from holotype.recipe.load import load_recipe
from holotype.recipe.sections import CustomClassifierSpec
from holotype.simulate.cells import SimulationPlan, simulate_cells

PAGE = Path(__file__).parents[2] / "docs" / "extend.md"
PARTS = ["A loss", "A metric", "An augmentation", "A backbone", "An optimizer", "A decision"]
RECIPE = """
name: cells
data: {train: cells/train.csv, images: "cells/images/{id}_{channel}.png",
       channels: [microtubules, nucleus, protein, reticulum],
       labels: {column: labels, kind: multilabel, separator: " "}}
split: {folds: 2}
"""


def blocks_of(language: str) -> dict[str, str]:
    """The blocks of the page in a language, by the heading above them."""
    parts = re.split(r"^##? (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    blocks = {
        heading: re.findall(rf"^```{language}\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }
    return {heading: "\n".join(each) for heading, each in blocks.items() if each}


def holotype(folder: Path, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "holotype", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, the recipe and plugin of the page, and a finished run of them."""
    folder = tmp_path_factory.mktemp("extend")
    simulate_cells(folder / "cells", SimulationPlan(train=24, test=4, size=32))
    blocks = blocks_of("python")
    assert list(blocks) == [*PARTS, "A classifier", "In Python"]
    (folder / "my_parts.py").write_text("\n".join(blocks[name] for name in PARTS), encoding="utf-8")
    used = (
        blocks_of("yaml")["Extend"].replace("epochs: 12", "epochs: 1").replace("[my_parts]", "[my_parts], device: cpu")
    )
    recipe = RECIPE + used.replace(
        "    weights: none", "    weights: none\n    input: {size: 32}\n    predict: {tta: none}"
    )
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    output = holotype(folder, "run", "recipe.yaml")
    assert output.count("note: the plugin my_parts is loaded from ") == 1
    return folder


def test_the_plugin_of_the_page_is_short_and_trains(cells: Path) -> None:
    assert len((cells / "my_parts.py").read_text(encoding="utf-8").splitlines()) < 60
    run = cells / "runs" / "cells"
    history = pl.read_parquet(run / "models" / "main" / "fold0" / "history.parquet")
    assert history["train_loss"].is_finite().all()
    metric = json.loads((run / "scores.json").read_text(encoding="utf-8"))["metrics"]["worst_recall"]
    assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
    recorded = (run / "recipe.yaml").read_text(encoding="utf-8")
    assert json.loads((run / "decision.json").read_text(encoding="utf-8"))["name"] == "half_of_top"
    assert "module: my_parts" in recorded
    assert "folder: ../.." in recorded


def test_a_run_predicts_with_its_plugin_and_refuses_other_code(cells: Path) -> None:
    (cells / "elsewhere").mkdir()
    image = [str(path) for path in sorted((cells / "cells" / "images").glob("*"))[:4]]
    predict = ("predict", str(cells / "runs" / "cells"), *image)
    output = holotype(cells / "elsewhere", *predict)
    assert "my_parts is loaded from" in output
    plugin = cells / "my_parts.py"
    text = plugin.read_text(encoding="utf-8")
    plugin.write_text(text.replace("margin: float = 1.0", "margin: float = 2.0"), encoding="utf-8")
    try:
        output = holotype(cells / "elsewhere", *predict, status=2)
    finally:
        plugin.write_text(text, encoding="utf-8")
    assert "the plugin 'my_parts'" in output
    assert "has other code than recorded" in output


def forecast(folder: Path) -> dict[str, dict[str, Any]]:
    """The steps of a dry run by name."""
    steps = json.loads(holotype(folder, "run", "recipe.yaml", "--dry-run", "--json").partition("\nnote")[0])["steps"]
    return {step["step"]: step for step in steps}


def test_the_networks_of_changed_code_are_trained_again(cells: Path) -> None:
    assert {step["state"] for step in forecast(cells).values()} == {"kept"}
    plugin = cells / "my_parts.py"
    text = plugin.read_text(encoding="utf-8")
    plugin.write_text(f"{text}# a remark\n", encoding="utf-8")
    try:
        steps = forecast(cells)
    finally:
        plugin.write_text(text, encoding="utf-8")
    parts = ("plain_sgd", "small_convnet", "squared_hinge", "stripes")
    for fold in (0, 1):
        assert steps[f"fit main {fold}"]["state"] == "runs"
        assert steps[f"fit main {fold}"]["changed"] == [f"code of {name}" for name in parts]
    assert steps["statistics"]["state"] == steps["folds"]["state"] == "kept"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("metric=best_recall", "metric: no metric is named 'best_recall'; did you mean 'worst_recall'?"),
        ("models.0.augment.custom=[stripe]", "no augmentation is named 'stripe'; did you mean 'stripes'?"),
        ("models.0.augment.custom.0.options={width: 2}", "its options are strength"),
        ("models.0.backbone=small_convnets", "the nearest are small_convnet"),
        ("models.0.phases.0.loss=squared_hing", "no loss is named 'squared_hing'; did you mean 'squared_hinge'?"),
        ("decision.name=half_of_to", "no decision is named 'half_of_to'; did you mean 'half_of_top'?"),
        ("decision.options={shares: 1}", "its options are share"),
        ("run.plugins=[your_parts]", "there is no plugin 'your_parts'"),
    ],
)
@pytest.mark.usefixtures("without_plugins")
def test_a_name_that_no_plugin_registers_is_refused_with_the_nearest(cells: Path, change: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        validate_names(load_recipe(cells / "recipe.yaml", [change]))
    assert message in str(caught.value)


def test_a_check_with_a_plugin_does_without_the_slow_libraries(cells: Path) -> None:
    program = (
        "import sys\nfrom holotype.cli.main import main\n"
        "status = main(['check', 'recipe.yaml', '--recipe-only'])\n"
        "sys.exit(status or ('torch' in sys.modules and 3) or ('timm' in sys.modules and 4))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=cells, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("without_plugins")
def test_the_classifier_of_the_page_fits(tmp_path: Path) -> None:
    (tmp_path / "plugin_centroids.py").write_text(blocks_of("python")["A classifier"], encoding="utf-8")
    load_plugin("plugin_centroids", tmp_path)
    features, truth = np.float32([[0, 0], [0, 1], [4, 4], [4, 5]]), np.eye(2, dtype=bool)[[0, 0, 1, 1]]
    spec = CustomClassifierSpec(kind="custom", name="Centroids")
    fitted = fit_classifier(features, truth, spec, classes=2, kind="multiclass", groups=np.arange(4))
    assert (fitted.logits(features).argmax(axis=1) == [0, 0, 1, 1]).all()


def test_parts_that_a_script_registers_need_no_entry(cells: Path, tmp_path: Path) -> None:
    script = blocks_of("python")["In Python"].replace("holotype.run(", "holotype.check(")
    lines = (cells / "recipe.yaml").read_text(encoding="utf-8").replace("plugins: [my_parts], ", "")
    (cells / "other.yaml").write_text(lines, encoding="utf-8")
    (cells / "script.py").write_text(script.replace("recipe.yaml", "other.yaml"), encoding="utf-8")
    done = subprocess.run([sys.executable, "script.py"], cwd=cells, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
