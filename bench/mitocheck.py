"""Macro F1 on unseen plates of mitocheck: `recipes/mitocheck.yaml`, fold 0 alone, three seeds.

    python bench/mitocheck.py [--seeds 1 2 3] [--set KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from statistics import mean
from time import perf_counter

import polars as pl
from _common import CHECKOUT, real_data

import holotype

RECIPE = CHECKOUT / "recipes" / "mitocheck.yaml"


def score(seed: int, folder: Path, changes: list[str]) -> tuple[float, float, float]:
    """Macro F1 with the recipe's views, seconds of the whole run, and images a second of training."""
    started = perf_counter()
    out = folder / f"seed{seed}"
    holotype.run(RECIPE, out, ("split.use=[0]", f"seed={seed}", *changes))
    history = pl.read_parquet(out / "members" / "lite0" / "fold0" / "history.parquet")
    value = json.loads((out / "scores.json").read_text())["metrics"]["macro_f1"]["value"]
    return value, perf_counter() - started, float(history["images_per_second"].median())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--set", dest="changes", action="append", default=[])
    given = parser.parse_args()
    if real_data("mitocheck"):
        with tempfile.TemporaryDirectory() as place:
            os.environ["HOLOTYPE_STORE"] = f"{place}/store"  # nothing is taken from an earlier run
            values = []
            for seed in given.seeds:
                value, spent, rate = score(seed, Path(place), given.changes)
                values.append(value)
                print(f"seed {seed}: macro F1 {value:.4f}, {spent:.0f} s in all, {rate:.0f} images/s", flush=True)
            print(f"mean of {len(values)} seeds: {mean(values):.4f}")
