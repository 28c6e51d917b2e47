"""Macro F1 on unseen plates of mitocheck, against a script written by hand for this one set, the two taking turns.

Holotype runs `recipes/mitocheck.yaml`, fold 0 alone. The script has the same rows, weights, size, batch and epochs.

    python bench/mitocheck.py [--seeds 1 2 3] [--alone] [--set KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from statistics import mean
from time import perf_counter

import numpy as np
import polars as pl
from _common import CHECKOUT, real_data
from PIL import Image

import holotype

RECIPE = CHECKOUT / "recipes" / "mitocheck.yaml"


def ours(seed: int, out: Path, changes: list[str]) -> tuple[float, float, float]:
    """Macro F1 with eight views, with one view (as validated while training), and seconds of the whole run."""
    started = perf_counter()
    holotype.run(RECIPE, out, ("split.folds_to_train=[0]", f"seed={seed}", *changes))
    spent = perf_counter() - started
    history = pl.read_parquet(out / "models" / "lite0" / "fold0" / "history.parquet")
    value = json.loads((out / "scores.json").read_text())["metrics"]["macro_f1"]["value"]
    return value, float(history["validation_score"][-1]), spent


def by_hand(seed: int, out: Path, images: Path) -> tuple[float, float, float]:
    """The same for the script, on the rows that our run divided."""
    from _plain_script import plain_fit

    started = perf_counter()
    table = pl.read_parquet(out / "images.parquet").filter(pl.col("role") == "train")
    fold = table.join(pl.read_parquet(out / "folds.parquet").select("id", "fold"), on="id", maintain_order="left")[
        "fold"
    ]
    pixels = np.stack([np.asarray(Image.open(images / f"{name}.png")) for name in table["id"]])
    held_out = (fold == 0).to_numpy()
    epochs = pl.read_parquet(out / "models" / "lite0" / "fold0" / "history.parquet").height
    labels = np.array(table["labels"].list.first())
    one, eight = plain_fit(pixels, labels, np.flatnonzero(~held_out), np.flatnonzero(held_out), seed, epochs)
    return eight, one, perf_counter() - started


def line(name: str, seed: int, result: tuple[float, float, float]) -> None:
    """Print one result."""
    print(f"{name:<10} seed {seed}: macro F1 {result[0]:.4f} (one view {result[1]:.4f}), {result[2]:.0f} s", flush=True)


def summary(name: str, results: list[tuple[float, float, float]]) -> None:
    """Print the means."""
    eight, one, spent = (mean(column) for column in zip(*results, strict=True))
    print(f"{name:<10} mean  : macro F1 {eight:.4f} (one view {one:.4f}), {spent:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--alone", action="store_true", help="leave the script out")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    given = parser.parse_args()
    data = real_data("mitocheck")
    if data is not None:
        with tempfile.TemporaryDirectory() as place:
            os.environ["HOLOTYPE_STORE"] = f"{place}/store"  # nothing is taken from an earlier run
            own, script = [], []
            for number in given.seeds:
                folder = Path(place) / f"seed{number}"
                own.append(ours(number, folder, given.changes))
                line("holotype", number, own[-1])
                if not given.alone:
                    script.append(by_hand(number, folder, data / "images"))
                    line("by hand", number, script[-1])
            summary("holotype", own)
            if script:
                summary("by hand", script)
