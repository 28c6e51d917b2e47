"""How soon exact thresholds are found: every cut of the sorted scores, against a grid with scikit-learn's `f1_score`.

python bench/thresholds.py [--rows 100000] [--slow-rows 2000]
"""

from __future__ import annotations

import argparse
from statistics import median

import numpy as np
from _common import seconds
from sklearn.metrics import f1_score

from holotype.postprocessing.decision import average_thresholds, fit_thresholds, sort_scores

CLASSES, GRID, HPA_ROWS = 28, 100, 31_072


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels, common classes and rare ones."""
    random = np.random.default_rng(seed)
    share = np.geomspace(0.4, 0.001, CLASSES)
    truth = random.random((rows, CLASSES)) < share
    odds = random.normal(0, 1.5, (rows, CLASSES)) + 3 * truth + np.log(share) - 1
    return 1 / (1 + np.exp(-odds)), truth


def by_grid(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The F1 of each class at the best of a hundred thresholds, as it is usually done."""
    cuts = np.linspace(0, 1, GRID, endpoint=False)
    return np.array(
        [max(f1_score(truth[:, k], scores[:, k] > cut, zero_division=0) for cut in cuts) for k in range(CLASSES)]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--slow-rows", type=int, default=2_000)
    given = parser.parse_args()
    said, labels = drawn(given.rows, 1)
    exact = median(seconds(lambda: fit_thresholds(sort_scores(said, labels))) for _ in range(5))
    print(f"exact, {given.rows:,} x {CLASSES}: {exact:.2f} s")
    few, few_labels = said[: given.slow_rows], labels[: given.slow_rows]
    slow = seconds(lambda: by_grid(few, few_labels))
    quick = seconds(lambda: fit_thresholds(sort_scores(few, few_labels)))
    gain = fit_thresholds(sort_scores(few, few_labels))[1] - by_grid(few, few_labels)
    print(
        f"{given.slow_rows:,} rows: a grid of {GRID} with scikit-learn {slow:.1f} s, exact {1000 * quick:.0f} ms, "
        f"{slow / quick:,.0f} times faster; F1 of a class higher by {np.nanmean(gain):.4f} on average, lower by at "
        f"most {max(-gain.min(), 0):.1e}"
    )
    many, many_labels = drawn(HPA_ROWS, 2)
    spent = seconds(lambda: average_thresholds(many, many_labels, np.arange(HPA_ROWS), (5, 20), seed=1))
    print(f"averaged over 5 folds x 20 repeats, {HPA_ROWS:,} x {CLASSES}: {spent:.1f} s")
