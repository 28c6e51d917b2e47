"""Our stack against the eighth-placed team's procedure (Human Protein Atlas contest 2018), on a problem of real shape.

7,754 images with their real labels and 15 real statistics, six simulated models of realistic skill. Outer five folds;
inside, the team's procedure: LightGBM a class with default leaves and rate, 1,000 rounds, early stop 200, a threshold
from a grid of 1,000 for each fit, and votes of binarised predictions. Ours: `stack`, then `per-class` thresholds.

    python bench/stack.py [--draws 5] [--first 0] [--repeats 2] [--ours-repeats 2] [--classes 28] [--threads 2]
                          [--alone]
"""

from __future__ import annotations

import argparse
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import lightgbm
import numpy as np
import polars as pl
from _common import real_data
from scipy.stats import t

from holotype.evaluation import cross_fit_predict
from holotype.evaluation.metrics import macro_f1
from holotype.postprocessing.decision import DecisionContext, DecisionStep
from holotype.postprocessing.ensemble import EnsembleStep
from holotype.recipe.sections import PerClassSpec, StackSpec
from holotype.types import OofPredictions, SampleFeatures

MODELS, INNER, OUTER = 6, 3, 5
TEAM = {"objective": "binary", "metric": "binary_logloss", "verbosity": -1, "num_threads": 1}


def problem(data: Path, classes: int) -> tuple[np.ndarray, SampleFeatures]:
    """Real labels and statistics of the images that have both."""
    meta = pl.read_csv(data / "train_meta.csv")
    labels = pl.read_csv(data / "train.csv", infer_schema=False)
    table = meta.join(labels, on="Id", how="inner", maintain_order="left")
    truth = np.zeros((table.height, 28), bool)
    for row, text in enumerate(table["Target"]):
        truth[row, [int(part) for part in text.split()]] = True
    names = [name for name in meta.columns if name != "Id"]
    features = table.select(names).to_numpy().astype(np.float32)
    rows = table.height
    return truth[:, :classes], SampleFeatures(tuple(names), features, (None,) * rows, np.arange(rows))


def models_of(truth: np.ndarray, seed: int) -> list[OofPredictions]:
    """Models that see the labels through noise, most of it shared; the rarer the class, the less they see."""
    random = np.random.default_rng(seed)
    share = np.clip(truth.mean(axis=0), 1e-4, 1)
    skill = np.interp(np.log10(share), [-3.5, -0.5], [2.2, 3.2])
    common = random.normal(0, 1.1, truth.shape)
    made = []
    for number in range(MODELS):
        own = random.normal(0, 0.8, truth.shape)
        odds = skill * (0.9 + 0.03 * number) * truth + common + own + 1.2 * np.log(share / (1 - share)) * 0.7 - 0.5
        made.append(OofPredictions(np.arange(len(truth)), odds.astype(np.float32), np.arange(len(truth)) % OUTER))
    return made


def ours(
    models: list[OofPredictions], truth: np.ndarray, facts: SampleFeatures, repeats: int, threads: int
) -> np.ndarray:
    """Labels of every sample by a stack and thresholds that were fitted without its outer fold."""
    names = tuple(f"m{number}" for number in range(MODELS))
    spec = StackSpec(kind="stack", repeats=repeats)
    stack = EnsembleStep(spec, names, "multilabel", "macro_f1", facts, seed=1, threads=threads)
    classes = tuple(str(number) for number in range(truth.shape[1]))
    decision = DecisionStep(PerClassSpec(kind="per-class", fallback="none"), DecisionContext(classes, "multilabel"))
    return cross_fit_predict([stack, decision], models, truth, models[0].folds, facts.groups, 1)[-1]


def theirs(
    models: list[OofPredictions], truth: np.ndarray, facts: SampleFeatures, repeats: int, threads: int
) -> np.ndarray:
    """Labels of every sample by votes of the team's models, fitted without its outer fold."""
    table = np.column_stack([np.hstack([1 / (1 + np.exp(-one.logits)) for one in models]), facts.features])
    folds = models[0].folds

    def one(work: tuple[int, int]) -> tuple[int, int, np.ndarray]:
        fold, number = work
        outside, inside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        votes = []
        for repeat in range(repeats):
            part = np.random.default_rng(repeat).permutation(len(outside)) % INNER
            for held in range(INNER):
                fit, watch = outside[part != held], outside[part == held]
                votes.append(_team_votes(table, truth[:, number], (fit, watch, inside)))
        return fold, number, np.mean(votes, axis=0) >= 0.5

    decided = np.zeros(truth.shape, bool)
    with ThreadPoolExecutor(threads) as pool:
        for fold, number, given in pool.map(one, [(f, k) for f in range(OUTER) for k in range(truth.shape[1])]):
            decided[folds == fold, number] = given
    return decided


def _team_votes(table: np.ndarray, known: np.ndarray, rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    fit, watch, inside = rows
    if not known[fit].any() or not known[watch].any():
        return np.zeros(len(inside))
    train = lightgbm.Dataset(table[fit], known[fit].astype(float))
    booster = lightgbm.train(
        TEAM,
        train,
        1000,
        valid_sets=[lightgbm.Dataset(table[watch], known[watch].astype(float), reference=train)],
        callbacks=[lightgbm.early_stopping(200, verbose=False)],
    )
    said, cuts = booster.predict(table[watch]), np.linspace(0, 1, 1000)
    given = said[None] > cuts[:, None]
    f1 = 2 * (given & known[watch]).sum(axis=1) / np.maximum(given.sum(axis=1) + known[watch].sum(), 1)
    return booster.predict(table[inside]) > cuts[f1.argmax()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("draws", 5),
        ("first", 0),
        ("repeats", 2),
        ("ours-repeats", 2),
        ("classes", 28),
        ("threads", 2),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--alone", action="store_true", help="leave the team's procedure out")
    given = parser.parse_args()
    data = real_data("hpa2018")
    if data is not None:
        truth, facts = problem(data, given.classes)
        differences = []
        for draw in range(given.first, given.first + given.draws):
            drawn = models_of(truth, draw)
            plain = macro_f1(truth, np.mean([one.logits for one in drawn], axis=0) > 0)
            started = perf_counter()
            own = macro_f1(truth, ours(drawn, truth, facts, given.ours_repeats, given.threads))
            spent = perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            # ours fits each class for every outer fold; the team's does too
            a_fit = spent / (OUTER * INNER * given.ours_repeats * truth.shape[1])
            print(
                f"draw {draw}: mean at one half {plain:.4f}; ours {own:.4f}, {spent:.0f} s, {a_fit:.3f} s a fit, "
                f"peak {peak:.2f} GB",
                flush=True,
            )
            if not given.alone:
                started = perf_counter()
                other = macro_f1(truth, theirs(drawn, truth, facts, given.repeats, given.threads))
                spent = perf_counter() - started
                b_fit = spent / (OUTER * INNER * given.repeats * truth.shape[1])
                differences.append(own - other)
                print(
                    f"  team's procedure {other:.4f}, {spent:.0f} s, {b_fit:.3f} s a fit: ours takes "
                    f"{a_fit / b_fit:.2f} of it",
                    flush=True,
                )
        if len(differences) > 1:
            mean, error = np.mean(differences), np.std(differences, ddof=1) / np.sqrt(len(differences))
            half = t.ppf(0.975, len(differences) - 1) * error
            print(f"ours less theirs: {mean:+.4f}, 95 % interval {mean - half:+.4f} to {mean + half:+.4f}")
