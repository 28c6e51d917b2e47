"""The page on extensions: its Python blocks are run as a person would run them, on a few simulated cells."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import polars as pl

from holotype.simulate.cells import SimulationPlan, simulate_cells

PAGE = Path(__file__).parents[2] / "docs" / "extend.md"
RECIPE = """
name: cells
data: {train: cells/train.csv, images: "cells/images/{id}_{channel}.png",
       channels: [microtubules, nucleus, protein, reticulum],
       labels: {column: labels, kind: multilabel, separator: " "}}
split: {folds: 2}
models:
  - {name: narrow, backbone: resnet10_narrow, weights: none, input: {size: 32},
     phases: [{epochs: 1, optimizer: plain_sgd}], predict: {tta: none}}
run: {threads: 1, device: cpu}
"""


def python_blocks(text: str) -> dict[str, str]:
    """The Python blocks of a page by the heading above them."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    found = {
        heading: re.findall(r"^```python\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }
    return {heading: "\n".join(blocks) for heading, blocks in found.items() if blocks}


def test_the_blocks_of_the_page_run(tmp_path: Path) -> None:
    simulate_cells(tmp_path / "cells", SimulationPlan(train=24, test=4, size=32))
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    blocks = python_blocks(PAGE.read_text(encoding="utf-8"))
    assert list(blocks) == ["A loss", "A backbone", "An optimizer", "A metric", "Run with your extension"]
    # One process, since the registries are global; the names that the script imports are those of the page.
    registrations = [blocks[heading] for heading in ("A loss", "A backbone", "An optimizer")]
    (tmp_path / "my_losses.py").write_text("\n".join(registrations), encoding="utf-8")
    script = f"{blocks['Run with your extension']}\n{blocks['A metric']}\nprint(predictions.columns)\n"
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "scores" in done.stdout
    history = pl.read_parquet(tmp_path / "runs" / "cells" / "models" / "narrow" / "fold0" / "history.parquet")
    assert history["train_loss"].is_finite().all()
    resolved = (tmp_path / "runs" / "cells" / "recipe.yaml").read_text(encoding="utf-8")
    assert all(name in resolved for name in ("squared_hinge", "resnet10_narrow", "plain_sgd"))
