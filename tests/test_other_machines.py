"""A whole run on a system that has less than Linux: no core affinity, no allocation of files, no home, no rights.

Macs and Windows lack the calls, containers and batch systems the home, and everything but the run's folder and the
store may be read-only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

RECIPE = """
name: small
data:
  train: train.csv
  test: test.csv
  id: id
  images: "images/{id}.png"
  labels: {column: label, kind: multiclass}
split: {folds: 2}
models:
  - name: main
    backbone: test_efficientnet
    weights: none
    input: {size: 32}
    phases: [{epochs: 1}]
"""
PRELUDE = """
import os, pwd, sys
from pathlib import Path

for name in ("sched_getaffinity", "posix_fallocate"):
    delattr(os, name)

def nobody(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")

pwd.getpwuid = nobody
WRITABLE = tuple(map(os.path.realpath, sys.argv.pop(1).split(os.pathsep))) + ("/dev/",)
CHANGES = {"os.mkdir": 0, "os.remove": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1, "os.truncate": 0}

def read_only(event, values):
    writes = event == "open" and isinstance(values[2], int) and values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    path = values[0] if writes else values[CHANGES[event]] if event in CHANGES else None
    if isinstance(path, (str, bytes, os.PathLike)):
        path = os.path.realpath(os.fsdecode(path))
        if not path.startswith(WRITABLE):
            raise PermissionError(13, "Permission denied", path)

sys.addaudithook(read_only)
from holotype.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of sixteen images for training and four to predict, in a folder that only its owner may change."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "images").mkdir()
    random = np.random.default_rng(5)
    names, labels = [f"i{number:02d}" for number in range(20)], ["dim", "bright"] * 10
    for name, label in zip(names, labels, strict=True):
        pixels = random.integers(0, 120, (32, 32)) + (120 if label == "bright" else 0)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{name}.png")
    table = pl.DataFrame({"id": names, "label": labels})
    table.head(16).write_csv(folder / "train.csv")
    table.tail(4).select("id").write_csv(folder / "test.csv")
    (folder / "recipe.yaml").write_text(RECIPE)
    for name in ("run", "store"):
        (folder / name).mkdir()
    return folder


def holotype(place: Path, *words: str | Path) -> str:
    """What a command says on such a machine, once it has ended well."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "OPENBLAS_CORETYPE"}}
    paths = [str(Path(__file__).parents[1] / "src"), kept.get("PYTHONPATH", "")]
    kept |= {"HOLOTYPE_STORE": str(place / "store"), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    writable = os.pathsep.join([str(place / "run"), str(place / "store")])
    done = subprocess.run(
        [sys.executable, "-B", "-c", PRELUDE, writable, *map(str, words)],
        env=kept,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_run_a_prediction_and_a_report_come_out_on_a_machine_with_less(place: Path) -> None:
    run, recipe = place / "run", place / "recipe.yaml"
    holotype(place, "run", recipe, "--out", run)
    assert pl.read_csv(run / "predictions.csv").height >= 4
    assert (run / "report.html").stat().st_size > 10_000
    holotype(place, "predict", run, place / "images", "-o", run / "new.csv")
    assert pl.read_csv(run / "new.csv").height == 20
    assert "macro_f1" in holotype(place, "report", run)
    assert sorted(path.name for path in place.iterdir()) == [
        "images",
        "recipe.yaml",
        "run",
        "store",
        "test.csv",
        "train.csv",
    ]
