"""Coverage of intervals of macro F1 on drawn long-tailed problems, ours against those that are common.

    python bench/intervals.py [--replicates 300] [--classes 10 100 1000 8000] [--record]

Each problem draws test sets: every class has at least one sample, class sizes fall by a power law, a classifier errs
more often on rare classes. Samples are independent, come in sets of exact duplicates, or lie on plates that share an
effect. The target of a 95 % interval is the average score over many such test sets. Compared are the interval of a
run, the percentile bootstrap of rows (scikit-learn's `f1_score` on resampled rows), the same over independent groups,
and BCa (Efron 1987, the default of `scipy.stats.bootstrap`). `--record` writes docs/intervals.json, from which
`make docs` makes the figure and the table of docs/honest-scores.md.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit, ndtr, ndtri

from holotype.evaluation.metrics import ScoredSamples, bootstrap_interval, resample_groups
from holotype.types import LabelMatrix

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "intervals.json"
SAMPLES = {10: 300, 100: 1_000, 1_000: 5_000, 8_000: 24_000}
TIES = ("independent", "duplicates", "plates")
PLATES, PLATE_EFFECT, COPIES = 30, 0.7, 3.0
RESAMPLES = 500
METHODS = ("holotype", "percentile, rows", "percentile, groups", "bca, rows")

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Long-tailed test sets of one classifier: class shares, logits of being right, and where errors go."""

    samples: int
    share: Doubles
    skill: Doubles
    error_share: Doubles
    tie: str

    def draw(self, generator: np.random.Generator) -> tuple[Integers, Integers, Integers]:
        """Label, prediction and group of each sample of one test set, shape (n,) each."""
        classes = len(self.share)
        originals = self.samples if self.tie != "duplicates" else max(classes, round(self.samples / COPIES))
        counts = 1 + generator.multinomial(originals - classes, self.share)
        label = np.repeat(np.arange(classes), counts)
        group = np.arange(len(label))
        logit = self.skill[label]
        if self.tie == "plates":
            group = generator.integers(PLATES, size=len(label))
            logit = logit + generator.normal(scale=PLATE_EFFECT, size=PLATES)[group]
        is_right = generator.random(len(label)) < expit(logit)
        predicted = np.where(is_right, label, generator.choice(classes, len(label), p=self.error_share))
        if self.tie == "duplicates":
            copies = generator.geometric(1 / COPIES, len(label))
            label, predicted, group = (np.repeat(part, copies) for part in (label, predicted, group))
        return label, predicted, group


def make_problem(classes: int, tie: str) -> Problem:
    rank = np.arange(1, classes + 1)
    share = rank**-1.2 / (rank**-1.2).sum()
    skill = 2.2 - 2.0 * (rank - 1) / max(classes - 1, 1)
    error_share = 0.5 * share + 0.5 / classes
    return Problem(SAMPLES[classes], share, skill, error_share, tie)


def macro_f1(label: Integers, predicted: Integers, classes: int) -> float:
    """`sklearn.metrics.f1_score(label, predicted, average="macro")`; every class occurs."""
    hits = np.bincount(label[label == predicted], minlength=classes)
    total = np.bincount(label, minlength=classes) + np.bincount(predicted, minlength=classes)
    return float((2 * hits / total).mean())


def resampled_f1(label: Integers, predicted: Integers, group: Integers, classes: int, seed: int) -> Doubles:
    """`f1_score(average="macro")` of resampled groups, over the classes of each resample's labels and predictions."""
    generator = np.random.default_rng(seed)
    count = int(group.max()) + 1
    hit = label == predicted
    rows = np.concatenate([group[hit], group, group])
    columns = np.concatenate([label[hit], classes + label, classes + predicted])
    table = sparse.coo_array((np.ones(len(rows)), (columns, rows)), shape=(2 * classes, count)).tocsr()
    scores = []
    step = max(1, 4_000_000 // (2 * classes))
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        picks = [np.bincount(generator.integers(count, size=count), minlength=count) for _ in range(size)]
        hits, total = np.split(table @ np.stack(picks, axis=1).astype(np.float64), 2)
        f1 = np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)
        scores.append(f1.sum(axis=0) / (total > 0).sum(axis=0))
    return np.concatenate(scores)


def jackknife_f1(label: Integers, predicted: Integers, classes: int) -> Doubles:
    """Macro F1 without each row in turn, shape (n,): only the two classes of the row change."""
    hits = np.bincount(label[label == predicted], minlength=classes).astype(float)
    total = np.bincount(label, minlength=classes) + np.bincount(predicted, minlength=classes).astype(float)
    f1 = 2 * hits / total
    hit = (label == predicted).astype(float)
    sums, present = np.full(len(label), f1.sum()), np.full(len(label), classes)
    for side, lost, is_counted in ((label, 1 + hit, np.ones(len(label))), (predicted, 1 + hit, 1 - hit)):
        left = total[side] - lost
        after = np.divide(2 * (hits[side] - hit), left, out=np.zeros(len(label)), where=left > 0)
        sums += is_counted * (after - f1[side])
        present = present - (is_counted > 0) * (left == 0)
    return sums / present


def bca_interval(value: float, resampled: Doubles, jackknife: Doubles) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron 1987, JASA 82), as in `scipy.stats.bootstrap`."""
    share = np.clip(((resampled < value).mean() + (resampled <= value).mean()) / 2, 1e-9, 1 - 1e-9)
    bias = ndtri(share)
    steps = jackknife.mean() - jackknife
    acceleration = (steps**3).sum() / (6 * (steps**2).sum() ** 1.5)
    z = bias + ndtri(np.array([0.025, 0.975]))
    low, high = np.quantile(resampled, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def our_interval(
    label: Integers, predicted: Integers, group: Integers | None, classes: int, seed: int
) -> tuple[float, float]:
    rows = np.arange(len(label))
    truth, decided = (LabelMatrix.from_pairs(rows, part, (len(rows), classes)) for part in (label, predicted))
    resamples = resample_groups(truth, group, seed, rows=1, n_resamples=RESAMPLES)
    metric = bootstrap_interval("macro_f1", ScoredSamples(truth, decided, None, "multiclass"), resamples)  # type: ignore[arg-type]
    return metric.low, metric.high


def measure(problem: Problem, replicates: int, seed: int) -> dict[str, Any]:
    """Coverage, share without their own point estimate, and mean width of each kind of interval."""
    classes = len(problem.share)
    generator = np.random.default_rng([seed, classes, TIES.index(problem.tie)])
    sets = [problem.draw(generator) for _ in range(max(replicates, 200))]
    values = np.array([macro_f1(label, predicted, classes) for label, predicted, _ in sets])
    labels, predictions = (np.concatenate([part[side] for part in sets]) for side in (0, 1))
    average, infinite = float(values.mean()), macro_f1(labels, predictions, classes)
    intervals: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
    for number, (label, predicted, group) in enumerate(sets[:replicates]):
        ties = None if problem.tie == "independent" else np.unique(group, return_inverse=True)[1]
        rows = np.arange(len(label))
        resampled = resampled_f1(label, predicted, rows, classes, number)
        of_groups = resampled if ties is None else resampled_f1(label, predicted, ties, classes, number)
        jackknife = jackknife_f1(label, predicted, classes)
        intervals["holotype"].append(our_interval(label, predicted, ties, classes, number))
        intervals["percentile, rows"].append(tuple(np.quantile(resampled, [0.025, 0.975])))
        intervals["percentile, groups"].append(tuple(np.quantile(of_groups, [0.025, 0.975])))
        intervals["bca, rows"].append(bca_interval(values[number], resampled, jackknife))
    scores = values[:replicates]
    table = {}
    for name, pairs in intervals.items():
        low, high = np.array(pairs).T
        table[name] = {
            "coverage": float(((low <= average) & (average <= high)).mean()),
            "coverage_infinite": float(((low <= infinite) & (infinite <= high)).mean()),
            "above": float((low > average).mean()),
            "below": float((high < average).mean()),
            "without_own_value": float(((scores < low) | (scores > high)).mean()),
            "width": float((high - low).mean()),
        }
    return {
        "classes": classes,
        "samples": problem.samples,
        "tie": problem.tie,
        "replicates": replicates,
        "average": average,
        "infinite": infinite,
        "deviation": float(values.std()),
        "methods": table,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=300)
    parser.add_argument("--classes", type=int, nargs="+", default=list(SAMPLES))
    parser.add_argument("--ties", nargs="+", default=list(TIES), choices=TIES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="write docs/intervals.json")
    options = parser.parse_args()
    results = []
    for classes in options.classes:
        for tie in options.ties:
            started = time.perf_counter()
            result = measure(make_problem(classes, tie), options.replicates, options.seed)
            results.append(result)
            print(
                f"{classes:,} classes, {result['samples']:,} samples, {tie}: average {result['average']:.3f}, "
                f"infinite {result['infinite']:.3f}, sd {result['deviation']:.4f} "
                f"({time.perf_counter() - started:.0f} s)",
                flush=True,
            )
            for name, row in result["methods"].items():
                print(
                    f"  {name:<20} coverage {row['coverage']:.3f} (infinite {row['coverage_infinite']:.3f}; low end "
                    f"too high {row['above']:.3f}, high end too low {row['below']:.3f}), without its own value "
                    f"{row['without_own_value']:.3f}, width {row['width']:.4f}",
                    flush=True,
                )
            if options.record:
                OUTPUT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
