"""The rate that `lr: find` chooses against a sweep of rates, on jurkat: short trainings of fold 0, each from the start.

python bench/finder.py [--epochs 3] [--size 64] [--rates 0.0003 0.001 ...]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import polars as pl
from _common import CHECKOUT, real_data

import holotype

RECIPE = CHECKOUT / "recipes" / "jurkat.yaml"
RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]


def trained(out: Path, rate: float | str, given: argparse.Namespace) -> tuple[float, float, float]:
    """The rate, the validation loss and the score of the fold's network after its last epoch."""
    changes = [
        "split.folds_to_train=[0]",
        f"seed={given.seed}",
        f"models.0.input.size={given.size}",
        f"models.0.phases=[{{epochs: {given.epochs}, lr: {rate}}}]",
    ]
    holotype.run(RECIPE, out, tuple(changes))
    fold = out / "models" / "lite0" / "fold0"
    history = pl.read_parquet(fold / "history.parquet")
    rates = json.loads((fold / "card.json").read_text())["rates"]
    used = float(next(iter(rates.values()))) if rate == "find" else float(rate)
    return used, float(history["validation_loss"][-1]), float(history["validation_score"][-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    given = parser.parse_args()
    if real_data("jurkat") is not None:
        with tempfile.TemporaryDirectory() as place:
            os.environ["HOLOTYPE_STORE"] = f"{place}/store"
            found = [trained(Path(place) / f"rate{number}", rate, given) for number, rate in enumerate(given.rates)]
            chosen = trained(Path(place) / "found", "find", given)
            for name, (rate, loss, score) in [*(("sweep", one) for one in found), ("lr: find", chosen)]:
                print(f"{name:<9} {rate:8.2g}: validation loss {loss:.4f}, macro F1 {score:.4f}")
            best = min(found, key=lambda one: one[1])[0]
            print(
                f"found {chosen[0]:.2g}, lowest loss of the sweep at {best:.2g}: a factor of "
                f"{max(chosen[0] / best, best / chosen[0]):.1f}"
            )
