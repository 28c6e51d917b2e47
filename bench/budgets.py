"""What budgets buy: per set and budget the out-of-fold score, the width of its interval and the seconds used.

Each run is a process with a cache of its own, with the shortest recipe that describes the data. Real sets are read from
HOLOTYPE_DATA; three drawn sets have 6, 8 and 11 groups, and the truth of their test rows is known.

    python bench/budgets.py [--sets plates bccd] [--budgets 1m 2m 5m 10m] [--seeds 1] [--disturb take|free]
                            [--base FOLDER] [--folder FOLDER]

`--disturb take` starts a process that keeps half of the cores busy when half of the budget is over; `free` starts one
before the run, and stops it then. `--base` alternates with another checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from time import perf_counter
from typing import Any

import polars as pl
from _common import CHECKOUT
from _sets import find_few_group_sets, find_real_sets
from sklearn.metrics import f1_score

from holotype.planning import read_budget

BUSY = "while True: pass"


@dataclass(frozen=True)
class Outcome:
    """What a run used and reached; NaN where the command failed or the truth is unknown."""

    seconds: float
    score: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    submitted: float = float("nan")
    plan: str = ""


def run_budget(
    checkout: Path, data: dict[str, Any], truth: Path | None, budget: str, seed: int, disturbance: str | None
) -> Outcome:
    """Run the command line of a checkout in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        recipe, out = Path(folder) / "recipe.yaml", Path(folder) / "run"
        recipe.write_text(json.dumps({"name": "budget", "seed": seed, "data": data}), encoding="utf-8")
        command = [sys.executable, "-m", "holotype", "run", str(recipe), "--budget", budget, "--out", str(out)]
        settings = {"HOLOTYPE_STORE": f"{folder}/store", "PYTHONPATH": str(checkout / "src")}
        with disturb(disturbance, read_budget(budget) / 2):
            started = perf_counter()
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | settings)
            seconds = perf_counter() - started
        if done.returncode:
            return Outcome(seconds, plan=(done.stderr.strip().splitlines() or ["failed"])[-1])
        metric = json.loads((out / "scores.json").read_text(encoding="utf-8"))["metrics"]["macro_f1"]
        log = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        reasons = next(line["reasons"] for line in log if line["event"] == "plan")
        plan = next((reason for reason in reasons if reason.startswith("main:")), reasons[0])
        submitted = float("nan") if truth is None else score_submission(out, truth)
        return Outcome(seconds, metric["value"], metric["low"], metric["high"], submitted, plan)


@contextmanager
def disturb(disturbance: str | None, after: float) -> Iterator[None]:
    """Keep half of the cores busy from the middle of the budget on (`take`), or until then (`free`)."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        cores = os.cpu_count() or 2
        processes.extend(subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(max(cores // 2, 1)))

    def stop() -> None:
        for process in processes:
            process.kill()

    if disturbance == "free":
        start()
    timer = Timer(after, start if disturbance == "take" else stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        stop()


def score_submission(run: Path, truth: Path) -> float:
    """Macro F1 of the submission over the classes that the test rows have."""
    labels = pl.read_csv(truth, infer_schema=False).filter(pl.col("role") == "test").select("id", "labels")
    joined = pl.read_csv(run / "submission.csv", infer_schema=False).join(labels, on="id", suffix="_true")
    actual = joined["labels_true"].to_list()
    return float(f1_score(actual, joined["labels"].to_list(), labels=sorted(set(actual)), average="macro"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", help="all by default")
    parser.add_argument("--budgets", nargs="+", default=["1m", "2m", "5m", "10m"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--disturb", choices=["take", "free"])
    parser.add_argument("--base", type=Path, help="another checkout, run in turns with this one")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "few-groups")
    options = parser.parse_args()
    sets: dict[str, tuple[dict[str, Any], Path | None]] = {
        **{name: (trial_set.data, None) for name, trial_set in find_real_sets().items()},
        **find_few_group_sets(options.folder),
    }
    checkouts = {"here": CHECKOUT} | ({} if options.base is None else {"base": options.base.resolve()})
    print("set, budget, seed, checkout: seconds, share of the budget; macro F1 (interval, width); submission; plan")
    for name in options.sets or sets:
        data, truth = sets[name]
        for budget in options.budgets:
            for seed in options.seeds:
                for label, checkout in checkouts.items():
                    outcome = run_budget(checkout, data, truth, budget, seed, options.disturb)
                    print(
                        f"{name:9} {budget:>4} {seed} {label}: {outcome.seconds:5.0f} s, "
                        f"{outcome.seconds / read_budget(budget):4.0%}; {outcome.score:.3f} ({outcome.low:.3f} to "
                        f"{outcome.high:.3f}, {outcome.high - outcome.low:.3f}); {outcome.submitted:.3f}; "
                        f"{outcome.plan}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
