"""Classifiers on frozen features: their cost, their difference from scikit-learn, and scores on real images.

Without `--data`, the script draws 10,000 rows of 1,280 features in 16 classes. Each classifier is fitted in 5 folds:
its strength selected on inner folds, then all training rows. Seconds are those of the processor. Logistic regression is
compared with scikit-learn at the selected strength in the last fold: largest difference of a probability, and the
seconds of that one fit.

With `--data mitocheck` or `--data leaf`, features are those of efficientnet_lite0 (ImageNet weights) on real images;
folds keep plates together where there are any.

    python bench/frozen_features.py [--rows 10000] [--width 1280] [--classes 16] [--folds 5] [--threads 2]
    python bench/frozen_features.py --data mitocheck --kinds logistic ridge lda knn lightgbm
"""

from __future__ import annotations

import argparse
from time import perf_counter, process_time

import numpy as np
from scipy.special import softmax

from holotype.classifiers import FittedClassifier


def draw_features(rows: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features like those of a network: correlated, never negative, most of the variance in few directions."""
    draws = np.random.Generator(np.random.Philox(1))
    labels = draws.integers(0, classes, rows)
    factors = draws.standard_normal((rows, 64)) + 0.35 * draws.standard_normal((classes, 64))[labels]
    values = factors @ draws.standard_normal((64, width)) / 4 + 0.7 * draws.standard_normal((rows, width))
    return np.maximum(values, 0).astype(np.float32), labels


def embed_real_images(name: str, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of efficientnet_lite0, class numbers, and the groups of a real set of gray images."""
    import polars as pl
    import torch
    from _common import real_data
    from PIL import Image

    from holotype.core.progress import Progress
    from holotype.core.runtime import Runtime
    from holotype.data import PixelCache
    from holotype.loading import ImageDataset
    from holotype.prediction import embed_images
    from holotype.recipe.sections import InputSpec, ModelSpec
    from holotype.types import LabelMatrix, Normalization

    folder = real_data(name)
    if folder is None:
        raise SystemExit(0)
    table = pl.read_csv(folder / "train.csv", infer_schema=False)
    files = [folder / "images" / f"{each}.png" for each in table["id"]]
    pixels = np.stack([np.asarray(Image.open(file).convert("L").resize((side, side)))[None] for file in files])
    column = table["label" if "label" in table.columns else "species"]
    labels = column.rank("dense").to_numpy().astype(np.int64) - 1
    groups = (
        table["plate"].rank("dense").to_numpy().astype(np.int64) if "plate" in table.columns else np.arange(len(labels))
    )
    truth = LabelMatrix.from_pairs(np.arange(len(labels)), labels, (len(labels), int(labels.max()) + 1))
    scale = Normalization((float(pixels.mean()),), (float(pixels.std()),))
    dataset = ImageDataset(PixelCache(pixels, "fit"), scale, truth)
    model = ModelSpec(weights="lite", input=InputSpec(size=side))
    runtime = Runtime(threads=1, progress=Progress(quiet=True))
    return embed_images(model, dataset, np.arange(len(labels)), runtime, torch.device("cpu")), labels, groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 10_000), ("width", 1_280), ("classes", 16), ("folds", 5), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--data", choices=["mitocheck", "leaf"])
    parser.add_argument("--side", type=int, default=128, help="side of real images in pixels")
    parser.add_argument("--kinds", nargs="+", default=["logistic", "ridge", "lda", "knn"])
    options = parser.parse_args()

    from holotype.evaluation.cross_fitting import grouped_folds

    if options.data:
        features, labels, groups = embed_real_images(options.data, options.side)
    else:
        features, labels = draw_features(options.rows, options.width, options.classes)
        groups = np.arange(options.rows)
    fold = grouped_folds(groups, options.folds, 1)
    print(f"{len(labels):,} rows of {features.shape[1]:,} features, {labels.max() + 1} classes, {fold.max() + 1} folds")
    for kind in options.kinds:
        fitted = score_kind(kind, features, labels, groups, fold, options.threads)
        if kind == "logistic":
            compare(features, labels, fold, fitted)


def score_kind(
    kind: str, features: np.ndarray, labels: np.ndarray, groups: np.ndarray, fold: np.ndarray, threads: int
) -> FittedClassifier:
    """Print cost and scores of a classifier in all folds, and return that of the last fold."""
    from pydantic import TypeAdapter
    from sklearn.metrics import f1_score

    from holotype.classifiers import fit_classifier
    from holotype.recipe.sections import ClassifierSpec

    spec, classes = TypeAdapter(ClassifierSpec).validate_python(kind), int(labels.max()) + 1
    started, begun = process_time(), perf_counter()
    decided, loss = np.empty_like(labels), np.empty(len(labels))
    for number in range(int(fold.max()) + 1):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        keywords = {"classes": classes, "kind": "multiclass", "groups": groups[outside], "threads": threads}
        fitted = fit_classifier(features[outside], labels[outside], spec, **keywords)
        probability = softmax(fitted.logits(features[inside]).astype(np.float64), axis=1)
        decided[inside] = probability.argmax(axis=1)
        loss[inside] = -np.log(probability[np.arange(len(inside)), labels[inside]])
    print(
        f"{kind}: {process_time() - started:.1f} processor seconds ({perf_counter() - begun:.1f} s of wall time), "
        f"accuracy {(decided == labels).mean():.4f}, macro F1 {f1_score(labels, decided, average='macro'):.4f}, "
        f"log loss {loss.mean():.4f}; last fold: {selected(fitted.describe())}",
        flush=True,
    )
    return fitted


def selected(facts: dict[str, object]) -> str:
    """Selected settings in words."""
    names = ("c", "mean_count", "shrinkage", "factor", "k", "temperature", "rounds", "inner_log_loss")
    return ", ".join(f"{name} {facts[name]:.4g}" for name in names if isinstance(facts.get(name), int | float))


def compare(features: np.ndarray, labels: np.ndarray, fold: np.ndarray, fitted: FittedClassifier) -> None:
    """Print the largest difference from scikit-learn in the last fold, and the seconds of its one fit."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    used = fitted.weight.any(axis=0)  # not those that vary in a single row
    features = features * used
    inside, c = fold == fold.max(), float(fitted.describe()["c"])
    rows = np.clip(features[inside], fitted.lower, fitted.upper)
    ours = softmax(fitted.logits(rows).astype(np.float64), axis=1)
    scaler = StandardScaler().fit(features[~inside].astype(np.float64))
    started = process_time()
    with threadpool_limits(1):
        oracle = LogisticRegression(C=c, tol=1e-8, max_iter=10_000)
        oracle.fit(scaler.transform(features[~inside].astype(np.float64)), labels[~inside])
    seconds = process_time() - started
    theirs = oracle.predict_proba(scaler.transform(rows.astype(np.float64)))
    print(
        f"  scikit-learn at c {c:g}: largest difference of a probability {np.abs(ours - theirs).max():.1e}; its "
        f"one fit took {seconds:.1f} processor seconds ({oracle.n_iter_[0]} steps)"
    )


if __name__ == "__main__":
    main()
