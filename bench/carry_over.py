"""Do thresholds that were fitted to single fold models hold for the mean of the fold models?

Out-of-fold scores come from one network each, test scores are the mean over all of them, which is surer of what they
agree on. A fifth of the training samples (whole plates, where there are any) is held out and plays the test set; five
fold models are trained on the rest, thresholds by class are fitted to their out-of-fold scores, and both the single
models and their mean are judged on the held-out fifth. The models are heads on what the frozen backbone sees: logistic
regressions, and small networks of one hidden layer, whose folds differ more. Every class is decided by itself.

    python bench/carry_over.py [--sets mitocheck jurkat leaf bccd] [--draws 2]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from _common import CHECKOUT, real_data
from holotype.engines import LocalEngine
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from holotype.cache import RunLog, Steps, Store
from holotype.evaluation.metrics import macro_f1
from holotype.pipeline.models import embed_with_model, resolve_model
from holotype.pipeline.prepare import prepare
from holotype.pipeline.runtime import make_runtime
from holotype.postprocessing.decision import above_thresholds, average_thresholds
from holotype.recipe.load import load_recipe

FOLDS = 5
HEADS = ("logistic", "hidden layer")


def embedded(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the frozen backbone sees in the training samples, their labels, and what is tied to what."""
    recipe = load_recipe(CHECKOUT / "recipes" / f"{name}.yaml")
    runtime = make_runtime(recipe, Path(os.environ["HOLOTYPE_STORE"]))
    runtime.store.mkdir(parents=True, exist_ok=True)
    steps = Steps(Store(runtime.store), RunLog(runtime.store / "log.jsonl"), runtime.progress)
    ready = prepare(recipe, steps, runtime)
    rows = np.setdiff1d(ready.images.rows_of_role("train"), ready.audit.unreadable)
    model = resolve_model(recipe.models[0], ready.statistics)
    seen = embed_with_model(
        model, ready.images, ready.statistics, rows, steps, (runtime, LocalEngine(), recipe.data.pack, "folds")
    )
    samples = ready.images.sample_numbers[rows]
    return seen[rows], ready.images.samples.matrix(samples), ready.folds.groups_of(samples)


def head(kind: str, seed: int) -> object:
    """A model of all classes that gives each a probability of its own."""
    if kind == "logistic":
        return make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression(C=0.01, max_iter=300)))
    hidden = MLPClassifier((64,), alpha=1e-2, max_iter=60, early_stopping=False, random_state=seed)
    return make_pipeline(StandardScaler(), hidden)


def scores(model: object, features: np.ndarray, known: np.ndarray, classes: int) -> np.ndarray:
    """Log-odds of all classes; of those that the model never saw, hardly any."""
    said = np.full((len(features), classes), 1e-6)
    said[:, known] = model.predict_proba(features)  # type: ignore[attr-defined]
    said = np.clip(said, 1e-6, 1 - 1e-6)
    return np.log(said / (1 - said))


def match_rates(thresholds: np.ndarray, single: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Thresholds at which the mean of models gives each class as often as the models do one by one.

    Thresholds are fitted to scores of single models; their mean is surer of what they agree on, and passes another
    share of samples. No label is looked at.

    Args:
        thresholds: One a class, fitted to single models.
        single: Probabilities of some samples by each model, shape (models, n, classes).
        mean: Those of their mean, shape (n, classes).

    Returns:
        One a class.
    """
    rates = (single > thresholds).mean(axis=(0, 1))
    counts = np.rint(rates * len(mean)).astype(int)
    ordered = -np.sort(-mean, axis=0)
    ordered = np.vstack([np.ones((1, mean.shape[1])), ordered, np.zeros((1, mean.shape[1]))])
    columns = np.arange(mean.shape[1])
    above, below = ordered[counts, columns], ordered[counts + 1, columns]
    kept = (below <= thresholds) & (thresholds < above)  # the threshold already passes that many
    return np.where(kept, thresholds, (above + below) / 2)


def one(kind: str, data: tuple[np.ndarray, np.ndarray, np.ndarray], rows: tuple[np.ndarray, np.ndarray], seed: int):
    """Macro F1 of single models and of their mean on what was held out, by way of deciding."""
    features, truth, units = data
    inside, outside = rows
    logits, test = np.zeros((len(inside), truth.shape[1])), []
    for number, (fit, held) in enumerate(
        GroupKFold(FOLDS, shuffle=True, random_state=seed).split(inside, groups=units[inside])
    ):
        own = truth[inside[fit]]
        known = own.any(axis=0) & ~own.all(axis=0)
        model = head(kind, 10 * seed + number)
        model.fit(features[inside[fit]], own[:, known].astype(int))  # type: ignore[attr-defined]
        logits[held] = scores(model, features[inside[held]], known, truth.shape[1])
        test.append(scores(model, features[outside], known, truth.shape[1]))
    cuts = average_thresholds(expit(logits), truth[inside], units[inside], (5, 20), seed, 5.0, "macro_f1")
    mean = np.mean(test, axis=0)
    moved = match_rates(cuts, np.stack([expit(said) for said in test]), expit(mean))
    best = average_thresholds(expit(mean), truth[outside], np.arange(len(outside)), (5, 20), seed, 0.0, "macro_f1")
    judged = [np.mean([macro_f1(truth[outside], above_thresholds(said, cuts, "argmax")) for said in test])]
    judged += [macro_f1(truth[outside], above_thresholds(mean, chosen, "argmax")) for chosen in (cuts, moved, best)]
    half = np.full(truth.shape[1], 0.5)
    return [*judged, macro_f1(truth[outside], above_thresholds(mean, half, "argmax"))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["mitocheck", "jurkat", "leaf", "bccd"])
    parser.add_argument("--draws", type=int, default=2)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("HOLOTYPE_STORE", folder)
        print(f"{'':24}{'one':>8}{'mean':>8}{'moved':>8}{'own cuts':>9}{'half':>8}   moved less carried")
        for name in given.sets:
            if real_data(name) is None:
                continue
            data = embedded(name)
            for kind in HEADS:
                found = []
                for draw in range(given.draws):
                    cut = GroupKFold(FOLDS, shuffle=True, random_state=100 + draw)
                    found += [one(kind, data, rows, draw) for rows in cut.split(data[1], groups=data[2])]
                table = np.array(found)
                change = table[:, 2] - table[:, 1]
                error = change.std(ddof=1) / np.sqrt(len(change))
                print(
                    f"{name + ', ' + kind:24}"
                    + "".join(f"{value:8.3f}" for value in table.mean(axis=0))
                    + f"   {change.mean():+.4f} ± {error:.4f}",
                    flush=True,
                )
