"""Cost of a linear probe on frozen features, and its difference from scikit-learn.

It draws 10,000 rows of 1,280 features in 16 classes and fits logistic regression in 5 folds: the strength selected on
inner folds, then all training rows. Seconds are those of the processor. One fold is compared with scikit-learn at the
selected strength: largest difference of a probability, and the seconds of that one fit.

    python bench/frozen_features.py [--rows 10000] [--width 1280] [--classes 16] [--folds 5] [--threads 2] [--kinds ...]
"""

from __future__ import annotations

import argparse
from time import perf_counter, process_time

import numpy as np
from scipy.special import softmax


def draw_features(rows: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features like those of a network: correlated, never negative, most of the variance in few directions."""
    draws = np.random.Generator(np.random.Philox(1))
    labels = draws.integers(0, classes, rows)
    factors = draws.standard_normal((rows, 64)) + 0.35 * draws.standard_normal((classes, 64))[labels]
    values = factors @ draws.standard_normal((64, width)) / 4 + 0.7 * draws.standard_normal((rows, width))
    return np.maximum(values, 0).astype(np.float32), labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 10_000), ("width", 1_280), ("classes", 16), ("folds", 5), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kinds", nargs="+", default=["logistic", "ridge", "lda", "knn"])
    options = parser.parse_args()

    from pydantic import TypeAdapter

    from holotype.classifiers import fit_classifier
    from holotype.recipe.sections import ClassifierSpec

    features, labels = draw_features(options.rows, options.width, options.classes)
    fold = np.arange(options.rows) % options.folds
    for kind in options.kinds:
        spec = TypeAdapter(ClassifierSpec).validate_python(kind)
        started, begun, correct, losses = process_time(), perf_counter(), 0, []
        for number in range(options.folds):
            inside, outside = fold == number, np.flatnonzero(fold != number)
            fitted = fit_classifier(
                features[outside],
                labels[outside],
                spec,
                classes=options.classes,
                kind="multiclass",
                groups=outside,
                threads=options.threads,
            )
            logits = fitted.logits(features[inside])
            correct += int((logits.argmax(axis=1) == labels[inside]).sum())
            probability = softmax(logits.astype(np.float64), axis=1)
            losses.append(-np.log(probability[np.arange(len(logits)), labels[inside]]).mean())
        print(
            f"{kind}: {process_time() - started:.1f} processor seconds for {options.folds} folds "
            f"({perf_counter() - begun:.1f} s of wall time), accuracy {correct / options.rows:.4f}, "
            f"log loss {np.mean(losses):.4f}; last fold: {selected(fitted.describe())}"
        )
        if kind == "logistic":
            compare(features, labels, fold, float(fitted.describe()["c"]), probability)


def selected(facts: dict[str, object]) -> str:
    """Selected settings in words."""
    names = ("c", "mean_count", "shrinkage", "factor", "k", "temperature", "rounds", "inner_log_loss")
    return ", ".join(f"{name} {facts[name]:.4g}" for name in names if isinstance(facts.get(name), int | float))


def compare(features: np.ndarray, labels: np.ndarray, fold: np.ndarray, c: float, ours: np.ndarray) -> None:
    """Print the largest difference from scikit-learn in the last fold, and the seconds of its one fit."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    inside = fold == fold.max()
    scaler = StandardScaler().fit(features[~inside].astype(np.float64))
    started = process_time()
    with threadpool_limits(1):
        oracle = LogisticRegression(C=c, tol=1e-8, max_iter=10_000)
        oracle.fit(scaler.transform(features[~inside].astype(np.float64)), labels[~inside])
    seconds = process_time() - started
    theirs = oracle.predict_proba(scaler.transform(features[inside].astype(np.float64)))
    print(
        f"  scikit-learn at c {c:g}: largest difference of a probability {np.abs(ours - theirs).max():.1e}; its "
        f"one fit took {seconds:.1f} processor seconds ({oracle.n_iter_[0]} steps)"
    )


if __name__ == "__main__":
    main()
