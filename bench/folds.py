"""Folds of real multi-label data, and of a table of a million rows.

    python bench/folds.py

hpa2018/train.csv (HOLOTYPE_DATA) by five folds, alone and with random groups and duplicates, against
iterative-stratification; then a synthetic Parquet table of 1,000,000 rows read, checked and divided.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from _common import real_data
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

from holotype.audit import label_warnings
from holotype.core.independence import components
from holotype.data import read_images, table_warnings
from holotype.recipe.sections import DataSpec, LabelSpec, SplitSpec
from holotype.split import make_folds, share_deviation, stratified_folds
from holotype.types import AuditReport


def of_the_atlas(folder: Path) -> None:
    table = pl.read_csv(folder / "train.csv")
    truth = np.zeros((table.height, 28), bool)
    for row, said in enumerate(table["Target"]):
        truth[row, [int(number) for number in said.split()]] = True
    theirs = np.empty(len(truth), np.int64)
    for number, (_, held) in enumerate(MultilabelStratifiedKFold(5, shuffle=True, random_state=1).split(truth, truth)):
        theirs[held] = number
    generator = np.random.default_rng(1)
    groups = generator.integers(0, 3_000, len(truth))
    twins = np.full(len(truth), -1)
    chosen = generator.choice(len(truth), 1_000, replace=False)
    twins[chosen] = np.arange(1_000) // 2
    alone = np.arange(len(truth))
    tied = components(alone, [groups, twins])
    for name, units in (("every image alone", alone), ("3,000 groups and 500 duplicate clusters", tied)):
        started = time.perf_counter()
        fold = stratified_folds(truth, units, 5, 1)
        seconds = time.perf_counter() - started
        crossing = sum(len(set(pair)) > 1 for pair in fold[chosen].reshape(-1, 2)) if units is tied else 0
        held = np.stack([truth[fold == number].sum(axis=0) for number in range(5)])
        missing = ((held == 0).any(axis=0) & (truth.sum(axis=0) >= 5)).sum()
        print(
            f"{name}: {seconds:.1f} s; {missing} classes of 5 rows miss a fold; shares deviate by "
            f"{share_deviation(truth, fold, 5):.7f} (iterative-stratification, without ties: "
            f"{share_deviation(truth, theirs, 5):.7f}); {crossing} of 500 duplicates cross"
        )


def of_a_large_table(rows: int = 1_000_000) -> None:
    generator = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as place:
        columns = {
            "id": [f"image-{row:07}" for row in range(rows)],
            "label": generator.integers(0, 100, rows),
            "plate": generator.integers(0, 20_000, rows),
        }
        pl.DataFrame(columns).write_parquet(Path(place) / "train.parquet")
        del columns
        spec = DataSpec(
            train=f"{place}/train.parquet", images=f"{place}/images/{{id}}.png", labels=LabelSpec(), groups=["plate"]
        )
        started = time.perf_counter()
        images = read_images(spec)
        read = time.perf_counter() - started
        warnings = (*table_warnings(images), *label_warnings(images))
        checked = time.perf_counter() - started - read
        schema = {"cluster": pl.Int64, "row": pl.Int64, "id": pl.String, "role": pl.String, "action": pl.String}
        report = AuditReport(pl.DataFrame(schema=schema), pl.DataFrame(), np.empty(0, np.int64))
        folds = make_folds(images, report, SplitSpec(), 1)
        total = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{rows:,} rows: read {read:.1f} s, checked {checked:.1f} s ({len(warnings)} remarks), divided "
        f"{total - read - checked:.1f} s, in all {total:.1f} s; peak {peak:.2f} GB; folds "
        f"{np.bincount(folds.fold_of_sample).tolist()}"
    )


def main() -> None:
    of_a_large_table()
    folder = real_data("hpa2018")
    if folder is not None:
        of_the_atlas(folder)


if __name__ == "__main__":
    main()
