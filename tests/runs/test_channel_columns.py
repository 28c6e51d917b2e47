"""A run whose channels are columns of files: trained, asked by a table, by files and through a server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from holotype.api import run
from holotype.runs.fitted_run import FittedRun
from holotype.runs.serve import RunPredictor


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> FittedRun:
    """Twelve images of two channels, whose files are named `r1_w1.png`, `r1_w2.png` by two columns."""
    folder = tmp_path_factory.mktemp("columns")
    random = np.random.default_rng(0)
    rows = []
    for number in range(12):
        row = {"id": f"i{number:02d}", "label": "xy"[number % 2]}
        for wave, channel in (("w1", "DNA"), ("w2", "ER")):
            name = f"r{number}_{wave}.png"
            level = 40 if (wave == "w1") == (number % 2 == 0) else 200
            Image.fromarray(random.integers(0, level, (32, 32), dtype=np.uint8)).save(folder / name)
            row[f"FileName_{channel}"] = name
        rows.append(row)
    pl.DataFrame(rows).write_csv(folder / "train.csv")
    recipe = {
        "run": {"threads": 1, "workers": 0, "batch": 4, "device": "cpu"},
        "data": {"train": "train.csv", "images": {"dna": "{FileName_DNA}", "er": "{FileName_ER}"}},
        "split": {"folds": 2},
        "models": [
            {
                "backbone": "test_efficientnet",
                "weights": "none",
                "input": {"size": 32},
                "phases": [{"epochs": 1}],
                "predict": {"tta": "none"},
            }
        ],
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return run(folder / "recipe.yaml")


def test_a_table_and_bare_files_get_the_same_answers(opened: FittedRun) -> None:
    folder = Path(opened.folder.root).parents[1]
    by_table = opened.predict(folder / "train.csv")
    by_files = opened.predict(sorted(folder.glob("r*.png")))
    scores = [name for name, kind in by_table.schema.items() if kind.is_float()]
    assert scores
    order = pl.Series("id", [f"r{number}" for number in range(12)])
    same = pl.DataFrame({"id": order}).join(by_files, on="id", how="left", maintain_order="left")
    assert np.allclose(same.select(scores).to_numpy(), by_table.select(scores).to_numpy())
    assert same["labels"].to_list() == by_table["labels"].to_list()


def test_a_server_tells_uploads_apart_by_the_names_learnt_from_the_run(opened: FittedRun) -> None:
    served = RunPredictor(opened, opened.folder.root / "store", nearest=False)
    assert served.files_per_image == 2
    assert served.match_file("r77_w2.png") == ("r77", 1)
    assert served.about.pattern == "{image}_w1.png | {image}_w2.png"


def test_the_page_of_the_run_shows_its_channels(opened: FittedRun) -> None:
    assert "dna" in (opened.folder.root / "report.html").read_text()
