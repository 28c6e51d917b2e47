"""What a command may not import: those that train nothing must not pay for what only training needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import holotype

SOURCE = Path(holotype.__file__).parents[1]
SLOW = {
    "httpx",
    "huggingface_hub.file_download",
    "lightgbm",
    "lightning_fabric",
    "networkx",
    "optuna",
    "requests",
    "scipy.fft",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.stats",
    "sklearn",
    "timm",
    "torch",
    "torchvision",
}
DATA_TOOLS = {"holotype.pipeline", "holotype.recipe.load", "jinja2", "PIL", "tifffile", "vl_convert"}
FORBIDDEN = {
    "--help": SLOW | DATA_TOOLS | {"numpy", "polars", "pydantic", "scipy"},
    "check --schema": SLOW | {"holotype.pipeline"},
    "check recipe.yaml --recipe-only": SLOW,
    "check recipe.yaml": SLOW,
    "report run1": SLOW | DATA_TOOLS,
    "compare run1 run2": SLOW,
    "score predictions.csv": SLOW | {"holotype.pipeline"},
    "run recipe.yaml --dry-run --out run1": SLOW,
    "init . --output proposed.yaml": SLOW,
    "audit recipe.yaml": SLOW,
    "cache list .": SLOW | DATA_TOOLS,
    "weights list run1": SLOW | {"holotype.pipeline", "jinja2", "tifffile"},
}
RECIPE = """\
name: small
run: {device: cpu}
data: {train: train.csv, id: id, images: "images/{id}.png", labels: {column: label}, groups: [plate]}
split: {folds: 2}
models:
  - {name: net, backbone: test_resnet, weights: none, input: {size: 32}, augment: {rotate: 0}, predict: {tta: none},
     phases: [{epochs: 1, loss: {bce: 1.0}, optimizer: {name: sgd}}], neighbors: {k: 2}}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of 24 images with two finished runs of it, and its audit, in one folder."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "images").mkdir()
    draws = np.random.default_rng(7)
    lines = ["id,label,plate"]
    for number in range(24):
        pixels = draws.integers(0, 120, (32, 32, 3)).astype(np.uint8) + np.uint8(100 * (number % 2))
        Image.fromarray(pixels).save(folder / "images" / f"s{number}.png")
        lines.append(f"s{number},{'ab'[number % 2]},p{number % 6}")
    (folder / "train.csv").write_text("\n".join(lines))
    (folder / "predictions.csv").write_text("label,predicted\n" + "a,a\nb,b\na,b\nb,b\n" * 5)
    (folder / "recipe.yaml").write_text(RECIPE)
    for command in (
        "run recipe.yaml --out run1",
        "run recipe.yaml --out run2 --set decision.kind=argmax",
        "audit recipe.yaml",
    ):
        call(command, folder)
    return folder


@pytest.mark.parametrize("command", FORBIDDEN)
def test_a_command_that_trains_nothing_does_without_the_slow_libraries(runs, command):
    _, loaded = call(command, runs)
    assert sorted(loaded & FORBIDDEN[command]) == []


def test_the_dry_run_of_a_finished_run_looks_at_all_its_steps(runs):
    output, _ = call("run recipe.yaml --dry-run --out run1", runs)
    steps = output.splitlines()
    assert sum(step.startswith("from the cache: ") for step in steps) == len(steps) - 1 > 8
    assert "from the cache: find nearest images with net, folds 0, 1" in steps


def test_an_unknown_backbone_is_refused_with_the_nearest_names_and_without_timm(runs):
    output, loaded = call("check recipe.yaml --recipe-only --set models.0.backbone=resnet1OO", runs, status=2)
    assert "timm has no network 'resnet1OO'" in output
    assert "the nearest are resnet" in output
    assert sorted(loaded & SLOW) == []


def call(command: str, folder: Path, status: int = 0) -> tuple[str, set[str]]:
    """What a command printed, and the modules that its process held in the end."""
    program = (
        "import json, sys\nfrom holotype.cli.main import main\n"
        f"status = main({command.split()!r})\nprint(json.dumps(sorted(sys.modules)))\nsys.exit(status)"
    )
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == status, done.stderr
    *printed, modules = done.stdout.splitlines()
    return "\n".join([*printed, done.stderr] if status else printed), set(json.loads(modules))
