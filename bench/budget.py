"""What a budget buys: the plan, wall time of the whole command, its own score, and that of its submission.

A sixth of the plates becomes the test rows, whose truth is known then. The recipe is written by `holotype init` and run
as a person would, each run in a process and a store of its own.

    python bench/budget.py [--budgets 2m 5m 15m 30m] [--seeds 1 2 3] [--record]

`--record` keeps the rows in docs/budgets.json, from which `make docs` fills docs/plan.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from time import perf_counter

import polars as pl
from _common import CHECKOUT, real_data
from sklearn.metrics import f1_score

from holotype.inspect.inspect_folder import inspect_folder
from holotype.inspect.propose import propose
from holotype.inspect.write_recipe import write_recipe
from holotype.planning import read_budget
from holotype.split import stratified_folds

ASIDE = 6
"""One in so many of the plates becomes the test rows."""
RECORDED = CHECKOUT / "docs" / "budgets.json"


def put_aside(folder: Path, place: Path) -> dict[str, str]:
    """A set of which some plates are the test rows, in a folder of its own, and the labels of these rows."""
    table = pl.read_csv(folder / "train.csv", infer_schema=False)
    truth = table["label"].to_dummies().to_numpy().astype(bool)
    fold = stratified_folds(truth, table["plate"].rank("dense").to_numpy(), ASIDE, 0)
    train, test = (table.filter(pl.Series(fold == 0) == aside) for aside in (False, True))
    place.mkdir()
    train.write_csv(place / "train.csv")
    test.drop("label").write_csv(place / "test.csv")
    (place / "images").symlink_to(folder / "images")
    return dict(test.select("id", "label").iter_rows())


def score_of(submission: Path, truth: dict[str, str]) -> float:
    """Macro F1 over the classes that the rows put aside have."""
    said = pl.read_csv(submission, infer_schema=False)
    known = [truth[name] for name in said["id"]]
    return float(f1_score(known, said["label"].to_list(), labels=sorted(set(known)), average="macro", zero_division=0))


def spend(recipe: Path, truth: dict[str, str], budget: str, seed: int, place: Path) -> tuple[float, float, float, str]:
    """Seconds of the whole command, its own score, that of its submission, and what was planned."""
    out = place / "run"
    command = [sys.executable, "-m", "holotype.cli.main", "run", str(recipe), "--budget", budget, "--out", str(out)]
    paths = os.pathsep.join([str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")])
    settings = {"HOLOTYPE_STORE": str(place / "store"), "PYTHONPATH": paths}  # nothing is taken from an earlier run
    started = perf_counter()
    command += ["--set", f"seed={seed}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | settings)
    spent = perf_counter() - started
    if done.returncode:
        return spent, float("nan"), float("nan"), done.stderr.splitlines()[-1]
    own = json.loads((out / "scores.json").read_text(encoding="utf-8"))["metrics"]["macro_f1"]["value"]
    (told,) = [
        json.loads(line)
        for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
        if json.loads(line)["event"] == "plan"
    ]
    return spent, own, score_of(out / "submission.csv", truth), told["reasons"][1]


def record(budget: str, seed: int, found: tuple[float, float, float, str]) -> None:
    """Keep a row in place of an earlier one of the same budget and seed."""
    known = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.is_file() else []
    seconds, own, score, plan = found
    words = re.sub(r"^[^:]*: |, more would not help|\.$", "", plan)
    row = {
        "budget": budget,
        "seed": seed,
        "seconds": round(seconds),
        "own": round(own, 4),
        "score": round(score, 4),
        "plan": re.sub(r" of [\d,]+ steps", "", words),
    }
    rows = [one for one in known if (one["budget"], one["seed"]) != (budget, seed)] + [row]
    rows.sort(key=lambda one: (read_budget(one["budget"]), one["seed"]))
    RECORDED.write_text("[" + ",\n ".join(map(json.dumps, rows)) + "]\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", nargs="+", default=["2m", "5m"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--record", action="store_true", help="keep the rows for docs/plan.md")
    given = parser.parse_args()
    data = real_data("mitocheck")
    if data is None:
        return
    with tempfile.TemporaryDirectory() as place:
        recipe, truth = Path(place) / "recipe.yaml", put_aside(data, Path(place) / "mitocheck")
        write_recipe(propose(inspect_folder(Path(place) / "mitocheck")), recipe)
        print("budget, wall time, share of the budget, own macro F1, that on plates put aside, plan", flush=True)
        for budget in given.budgets:
            results = []
            for seed in given.seeds:
                folder = Path(place) / f"{budget}-{seed}"
                folder.mkdir()
                results.append(spend(recipe, truth, budget, seed, folder))
                tell(f"seed {seed}", budget, results[-1][:3], results[-1][3])
                if given.record:
                    record(budget, seed, results[-1])
            if len(results) > 1:
                tell("mean  ", budget, [mean(column) for column in list(zip(*results, strict=True))[:3]])


def tell(which: str, budget: str, found: Sequence[float], plan: str = "") -> None:
    """A line of the table."""
    share = found[0] / read_budget(budget)
    print(f"{budget:>4} {which}: {found[0]:6.0f} s, {share:4.0%}, {found[1]:.4f}, {found[2]:.4f}; {plan}", flush=True)


if __name__ == "__main__":
    main()
