"""Whether scores hold what they say, by simulation: the truth inside `low` to `high`, a fresh test set inside `next`.

Many labels with rare classes and plate effects; two models, fitted weights, thresholds by class; everything refitted
as a run does it. The truth is the score of what was chosen on a far larger set of new plates.

    python bench/honesty.py [--draws 200] [--groups 40 12] [--copies]

With --copies half of the fields are taken three times, without any group column: the interval of a run, which counts
the copies of a field as one group, beside one that knows group columns only (every frame by itself), and that of
percentiles of a cluster bootstrap with scikit-learn.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import expit

from holotype.core.independence import independent_groups
from holotype.evaluation import fit_chain, score_nested
from holotype.evaluation.metrics import ScoredSamples, bootstrap_interval, macro_f1, resample_groups
from holotype.postprocessing.decision import DecisionContext, DecisionStep
from holotype.postprocessing.ensemble import EnsembleStep
from holotype.recipe.sections import ArgmaxSpec, PerClassSpec, SplitSpec, WeightedSpec
from holotype.split import make_folds
from holotype.types import AuditReport, Folds, ImageTable, OofPredictions, SampleFeatures, SampleTable, TestPredictions

CLASSES, PER_PLATE, FOLDS, MANY_PLATES = 6, 25, 5, 400
SHARES = np.array([0.4, 0.3, 0.2, 0.1, 0.06, 0.04])


@dataclass(frozen=True)
class World:
    """Labels and two models' scores of the samples of some plates."""

    truth: np.ndarray
    models: list[np.ndarray]
    plate: np.ndarray


def drawn(plates: int, skill: float, random: np.random.Generator) -> World:
    """Plates differ in how often a class comes and in how well it is seen."""
    plate = np.repeat(np.arange(plates), PER_PLATE)
    usual = np.log(SHARES / (1 - SHARES)) + random.normal(0, 0.4, (plates, CLASSES))[plate]
    truth = random.random(usual.shape) < expit(usual)
    seen = skill * truth + random.normal(0, 0.5, (plates, CLASSES))[plate] * (skill > 0)
    models = [seen + random.normal(0, 1.2, truth.shape) + np.log(SHARES / (1 - SHARES)) * 0.7 for _ in range(2)]
    return World(truth, [one.astype(np.float32) for one in models], plate)


def simulate(plates: int, skill: float, seed: int) -> tuple[float, float, float, float, float, float, float]:
    """Value, truth, low, high, next low, next high, and the score of a fresh set of the same size."""
    random = np.random.default_rng(seed)
    world = drawn(plates, skill, random)
    count = len(world.truth)
    fold = world.plate % FOLDS
    oof = [OofPredictions(np.arange(count), one, fold) for one in world.models]
    facts = SampleFeatures((), np.empty((count, 0), np.float32), (None,) * count, world.plate)
    classes = tuple(f"class {number}" for number in range(CLASSES))
    chain = [
        EnsembleStep(WeightedSpec(kind="weighted"), ("a", "b"), "multilabel", "macro_f1", facts),
        DecisionStep(
            PerClassSpec(kind="per-class", repeats=4), DecisionContext(classes, "multilabel", units=world.plate)
        ),
    ]
    frame = pl.DataFrame(
        {
            "sample": [str(number) for number in range(count)],
            "role": ["train"] * count,
            "labels": [np.flatnonzero(row).tolist() for row in world.truth],
            "domain": [None] * count,
            "group.plate": [str(number) for number in world.plate],
        },
        schema_overrides={"labels": pl.List(pl.Int64), "domain": pl.String},
    )
    labels = SampleTable(frame, np.arange(count), classes, "multilabel")
    folds = Folds(frame, fold, FOLDS, tuple(range(FOLDS)), independent_groups=world.plate)
    metric = score_nested(oof, labels, folds, chain, "macro_f1", seed).scorecard.metrics["macro_f1"]
    fitted = fit_chain(chain, oof, world.truth, fold, world.plate, seed)

    def score(new: World) -> float:
        chain_of_new = [TestPredictions(np.arange(len(new.truth)), one) for one in new.models]
        return macro_f1(new.truth, fitted.apply(chain_of_new)[-1])

    truth, fresh = score(drawn(MANY_PLATES, skill, random)), score(drawn(plates, skill, random))
    return metric.value, truth, metric.low, metric.high, metric.next["low"], metric.next["high"], fresh


def fields_with_copies(fields: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The field of each frame, its class and its logits; every second field is taken three times, nearly alike."""
    times = np.where(random.permutation(fields) % 2 == 0, 3, 1)
    field = np.repeat(np.arange(fields), times)
    number = random.choice(3, fields, p=[0.5, 0.3, 0.2])
    logits = 1.6 * np.eye(3)[number] + random.normal(0, 1.2, (fields, 3))
    return field, number[field], (logits[field] + random.normal(0, 0.05, (len(field), 3))).astype(np.float32)


def with_copies(fields: int, seed: int) -> dict[str, tuple[float, float, float, float]]:
    """Value, truth, low and high by each way: of a run, by group columns only, and scikit-learn's."""
    from sklearn.metrics import accuracy_score
    from sklearn.utils import resample

    random = np.random.default_rng(seed)
    field, number, logits = fields_with_copies(fields, random)
    count = len(field)
    ids = [str(row) for row in range(count)]
    frame = pl.DataFrame(
        {
            "id": ids,
            "sample": ids,
            "role": ["train"] * count,
            "files": [[name] for name in ids],
            "labels": number[:, None].tolist(),
            "domain": pl.Series([None] * count, dtype=pl.String),
        }
    )
    images = ImageTable(frame, ("a", "b", "c"), "multiclass")
    copied = np.flatnonzero(np.bincount(field)[field] > 1)
    clusters = pl.DataFrame(
        {
            "cluster": field[copied],
            "row": copied,
            "id": [ids[row] for row in copied],
            "role": "train",
            "action": "grouped",
        }
    )
    folds = make_folds(images, AuditReport(clusters, pl.DataFrame(), np.empty(0, np.int64)), SplitSpec(folds=5), seed)
    oof = OofPredictions(np.arange(count), logits, folds.fold_of_sample)
    chain = [
        EnsembleStep(WeightedSpec(kind="weighted"), ("a",), "multiclass"),
        DecisionStep(ArgmaxSpec(), DecisionContext(images.classes, "multiclass")),
    ]
    nested = score_nested([oof], images.samples, folds, chain, "accuracy", seed)
    ours = nested.scorecard.metrics["accuracy"]
    judged = ScoredSamples(nested.truth, nested.decided, nested.logits, "multiclass")
    columns_only = independent_groups(images, clusters.clear())
    before = bootstrap_interval("accuracy", judged, resample_groups(nested.truth, columns_only, seed))
    known, decided = nested.truth.argmax(axis=1), nested.decided.argmax(axis=1)
    rows = [np.flatnonzero(field == one) for one in range(fields)]
    drawn = []
    for draw in range(500):
        chosen = np.concatenate([rows[one] for one in resample(np.arange(fields), random_state=seed * 500 + draw)])
        drawn.append(accuracy_score(known[chosen], decided[chosen]))
    _, many, scores = fields_with_copies(200_000, random)
    truth = float((scores.argmax(axis=1) == many).mean())
    return {
        "a run": (ours.value, truth, ours.low, ours.high),
        "group columns only": (before.value, truth, before.low, before.high),
        "scikit-learn's cluster bootstrap": (ours.value, truth, *np.quantile(drawn, [0.025, 0.975])),
    }


def show_copies(fields: int, draws: int) -> None:
    """Print how often each interval holds the truth."""
    tables = [with_copies(fields, seed) for seed in range(draws)]
    for way in tables[0]:
        value, truth, low, high = np.array([table[way] for table in tables]).T
        print(
            f"{fields} fields, half of them taken three times, {draws} draws, {way}: truth inside low to high in "
            f"{100 * ((low <= truth) & (truth <= high)).mean():.1f} %; mean of value less truth "
            f"{(value - truth).mean():+.4f}; mean width {(high - low).mean():.3f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--groups", type=int, nargs="+", default=[40, 12])
    parser.add_argument("--copies", action="store_true")
    given = parser.parse_args()
    for fields in given.groups if given.copies else ():
        show_copies(fields, given.draws)
    for name, skill in () if given.copies else (("random scores", 0.0), ("skilled scores", 2.2)):
        for plates in given.groups:
            table = np.array([simulate(plates, skill, seed) for seed in range(given.draws)])
            value, truth, low, high, next_low, next_high, fresh = table.T
            print(
                f"{name}, {plates} plates, {given.draws} draws: truth inside low to high in "
                f"{100 * ((low <= truth) & (truth <= high)).mean():.1f} %, a fresh set inside next in "
                f"{100 * ((next_low <= fresh) & (fresh <= next_high)).mean():.1f} %; mean of value less truth "
                f"{(value - truth).mean():+.4f}; mean width {(high - low).mean():.3f}",
                flush=True,
            )
