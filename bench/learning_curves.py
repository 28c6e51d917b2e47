"""Score against epochs, folds and size on small sets: the curves that plans for a time budget are calibrated by.

One line per setting: the out-of-fold score with its interval, the score of the submission where the truth of the test
rows is known, steps per network, and seconds.

    python bench/learning_curves.py [--sets plates wells] [--epochs 2 4 8 16 32] [--folds all 0] [--size 64]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
from _sets import find_few_group_sets
from sklearn.metrics import f1_score

import holotype
from holotype.core.progress import Progress
from holotype.core.table_files import read_parquet


def measure(name: str, data: dict[str, Any], truth: Path | None, epochs: int, folds: str, size: int) -> str:
    """One line: train one setting in a cache of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOLOTYPE_STORE"] = f"{folder}/store"
        model = {"name": "main", "input": {"size": size}, "phases": [{"epochs": epochs}], "predict": {"tta": "d4"}}
        split = {"folds_to_train": "all" if folds == "all" else [int(folds)]}
        recipe = {"name": name, "data": data, "models": [model], "split": split}
        started = perf_counter()
        holotype.run(recipe, f"{folder}/run", progress=Progress(quiet=True))
        seconds = perf_counter() - started
        metric = json.loads(Path(f"{folder}/run/scores.json").read_text(encoding="utf-8"))["metrics"]["macro_f1"]
        history = read_parquet(Path(f"{folder}/run/models/main/fold0/history.parquet"))
        submission = "-" if truth is None else f"{score_submission(Path(folder) / 'run', truth):.3f}"
        curve = " ".join(f"{score:.2f}" for score in history["validation_score"].to_list()[:: max(epochs // 8, 1)])
    return (
        f"{name:8} {size} px, folds {folds:>3}, {epochs:3} epochs: {metric['value']:.3f} "
        f"({metric['low']:.3f} to {metric['high']:.3f}); submission {submission}; {seconds:.0f} s; fold 0: {curve}"
    )


def score_submission(run: Path, truth: Path) -> float:
    """Macro F1 of the submission over the classes that the test rows have."""
    known = pl.read_csv(truth, infer_schema=False).filter(pl.col("role") == "test").select("id", "labels")
    joined = pl.read_csv(run / "submission.csv", infer_schema=False).join(known, on="id", suffix="_true")
    labels = joined["labels_true"].to_list()
    return float(f1_score(labels, joined["labels"].to_list(), labels=sorted(set(labels)), average="macro"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["plates"])
    parser.add_argument("--epochs", type=int, nargs="+", default=[2, 4, 8, 16, 32])
    parser.add_argument("--folds", nargs="+", default=["all"])
    parser.add_argument("--size", type=int, nargs="+", default=[64])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "few-groups")
    given = parser.parse_args()
    sets = find_few_group_sets(given.folder)
    for name in given.sets:
        data, truth = sets[name]
        for size in given.size:
            for folds in given.folds:
                for epochs in given.epochs:
                    print(measure(name, data, truth, epochs, folds, size), flush=True)


if __name__ == "__main__":
    main()
