"""What a budget buys: wall time of the whole command, macro F1 on the validation samples of fold 0, and the plan.

The recipe is written by `holotype new` and run as a person would, each run in a process and a store of its own. Where
several folds are trained, fold 0 is scored alone, by the networks that never saw it, so that budgets can be compared.

    python bench/budget.py [--set mitocheck] [--budgets 2m 5m 15m 30m] [--seeds 1 2 3]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean
from time import perf_counter

import numpy as np
import polars as pl
from _common import CHECKOUT, real_data
from ruamel.yaml import YAML

from holotype.decide import decide_plainly
from holotype.metrics import macro_f1
from holotype.plan import look, propose, read_budget, write_recipe


def score_of_fold_0(run: Path, kind: str) -> float:
    """Macro F1 of the samples of fold 0, each class by its highest score or one half."""
    scored = pl.read_parquet(run / "oof.parquet")
    samples = pl.read_parquet(run / "folds.parquet").filter(pl.col("fold") == 0)["sample"].unique(maintain_order=True)
    rows = scored.filter(pl.col("id").is_in(samples.to_list()))
    labels = dict(pl.read_parquet(run / "images.parquet").select("sample", "labels").iter_rows())
    logits = np.array(rows["scores"].to_list(), np.float32)
    truth = np.zeros(logits.shape, bool)
    for row, name in enumerate(rows["id"]):
        truth[row, labels[name]] = True
    return float(macro_f1(truth, decide_plainly(logits, kind), logits, kind))


def spend(recipe: Path, budget: str, seed: int, place: Path) -> tuple[float, float, str]:
    """Seconds of the whole command, its score, and what was planned."""
    out = place / "run"
    command = [sys.executable, "-m", "holotype.cli", "run", str(recipe), "--budget", budget, "--out", str(out)]
    paths = os.pathsep.join([str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")])
    settings = {"HOLOTYPE_STORE": str(place / "store"), "PYTHONPATH": paths}  # nothing is taken from an earlier run
    started = perf_counter()
    command += ["--set", f"seed={seed}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | settings)
    spent = perf_counter() - started
    if done.returncode:
        return spent, float("nan"), done.stderr.splitlines()[-1]
    planned = YAML(typ="safe", pure=True).load((out / "recipe.yaml").read_text(encoding="utf-8"))
    (told,) = [
        json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
        if json.loads(line)["event"] == "plan"
    ]  # fmt: skip
    return spent, score_of_fold_0(out, planned["data"]["labels"]["kind"]), told["reasons"][1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="mitocheck", dest="name")
    parser.add_argument("--budgets", nargs="+", default=["2m", "5m"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    data = real_data(given.name)
    if data is not None:
        with tempfile.TemporaryDirectory() as place:
            recipe = Path(place) / "recipe.yaml"
            write_recipe(propose(look(data)), recipe)
            print(f"{given.name}: budget, wall time, share of the budget, macro F1 of fold 0, plan", flush=True)
            for budget in given.budgets:
                results = []
                for seed in given.seeds:
                    folder = Path(place) / f"{budget}-{seed}"
                    folder.mkdir()
                    results.append(spend(recipe, budget, seed, folder))
                    wall, score, plan = results[-1]
                    share = wall / read_budget(budget)
                    print(f"{budget:>4} seed {seed}: {wall:6.0f} s, {share:4.0%}, {score:.4f}; {plan}", flush=True)
                if len(results) > 1:
                    wall, score = (mean(column) for column in list(zip(*results, strict=True))[:2])
                    share = wall / read_budget(budget)
                    print(f"{budget:>4} mean  : {wall:6.0f} s, {share:4.0%}, {score:.4f}", flush=True)
