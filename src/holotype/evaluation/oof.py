"""Gathering of predictions: from image scores of networks to out-of-fold and test scores of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax, logsumexp

from holotype.core.errors import HolotypeError, RecipeError, join_names
from holotype.types import (
    AnyScores,
    Folds,
    ImageTable,
    Integers,
    Kind,
    OofPredictions,
    Predictions,
    TestPredictions,
    TopKScores,
    average_rows,
    concatenate,
)

MAX_LISTED = 5
EPSILON = 1e-300  # keeps log-odds finite


def gather_oof(
    predictions: list[Predictions], folds: Folds, images: ImageTable, pool: str = "mean-logit"
) -> OofPredictions:
    """Gather the out-of-fold scores of one model's training samples.

    `predictions`: of one model: the images of each trained fold, by the network that was not trained on it; `pool`:
    rule for several images per sample, from `POOLS`. Raises HolotypeError if a row was scored by the network of another
    fold, twice or not at all, is no training row, or has a score that is not finite. Raises RecipeError: unknown
    pooling rule.
    """
    rows, logits, fold = _concatenate(predictions, images)
    fold_of_row = folds.fold_of_sample[images.sample_numbers]
    wrong_fold = rows[fold_of_row[rows] != fold]
    _require_none(wrong_fold, images, "were scored by a network of another fold, which may have been trained on them")
    expected = _scored_rows(folds, images)
    _require_none(
        np.setdiff1d(rows, expected),
        images,
        "are no training rows of a trained fold, so they have no out-of-fold score",
    )
    _require_none(_repeated_rows(rows), images, "have more than one out-of-fold score")
    _require_none(np.setdiff1d(expected, rows), images, "have no out-of-fold score")
    samples, pooled = pool_images(images.sample_numbers[rows], logits, images.kind, pool)
    return OofPredictions(samples, pooled, folds.fold_of_sample[samples].astype(np.int64))


def gather_test(
    predictions: list[Predictions], images: ImageTable, expected: Integers, pool: str = "mean-logit"
) -> TestPredictions:
    """Gather the scores of samples outside training: pool images per network, then average logits over networks.

    `expected`: image rows that every network must have scored: the test rows, or those of a validation set. Raises
    HolotypeError if a network left out a row, scored a row twice or another row, or a score is not finite. Raises
    RecipeError: unknown pooling rule.
    """
    rows, logits, fold = _concatenate(predictions, images)
    _require_none(np.setdiff1d(rows, expected), images, "were scored but are not among the rows to predict")
    parts: list[AnyScores] = []
    samples = np.empty(0, np.int64)
    for number in np.unique(fold):
        fold_rows = rows[fold == number]
        _require_none(_repeated_rows(fold_rows), images, f"were scored twice by the network of fold {number}")
        _require_none(np.setdiff1d(expected, fold_rows), images, f"were not scored by the network of fold {number}")
        samples, pooled = pool_images(images.sample_numbers[fold_rows], logits[fold == number], images.kind, pool)
        parts.append(pooled)
    if not parts:
        raise HolotypeError("no network scored the rows to predict", remedy="predict with at least one fold")
    return TestPredictions(samples, _average_networks(parts))


def pool_images(owners: Integers, logits: AnyScores, kind: Kind, pool: str) -> tuple[Integers, AnyScores]:
    """Pool the scores of images to one score per sample.

    `owners`: sample of each image, shape (n,). Returns sample numbers, ascending, shape (m,), and their logits, shape
    (m, classes). Raises RecipeError: unknown pooling rule.
    """
    if pool not in POOLS:
        raise RecipeError(f"unknown pooling rule {pool!r}", field="predict.pooling", value=pool, allowed=POOLS)
    samples, inverse, images = np.unique(owners, return_inverse=True, return_counts=True)
    samples = samples.astype(np.int64)
    if not len(samples) or images.max() == 1:
        single = logits[np.argsort(owners)]
        return samples, single if isinstance(single, TopKScores) else single.astype(np.float32)
    if isinstance(logits, TopKScores):
        return samples, average_rows(logits, inverse, len(samples), 1 / images[inverse], pool)
    order = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(images)[:-1]])
    return samples, POOLS[pool](logits[order].astype(np.float64), starts, images, kind).astype(np.float32)


def _average_networks(parts: list[AnyScores]) -> AnyScores:
    stacked = concatenate(parts)
    if isinstance(stacked, TopKScores):
        rows, count = len(parts[0]), len(parts)
        if count == 1:
            return stacked
        return average_rows(stacked, np.tile(np.arange(rows), count), rows, np.full(len(stacked), 1 / count))
    sums = np.asarray(parts[0], np.float64)
    for part in parts[1:]:
        sums = sums + np.asarray(part)
    return (sums / len(parts)).astype(np.float32)


def _mean_logit(logits: NDArray[np.float64], starts: Integers, images: Integers, kind: Kind) -> NDArray[np.float64]:
    return np.asarray(np.add.reduceat(logits, starts) / images[:, None])


def _mean_probability(
    logits: NDArray[np.float64], starts: Integers, images: Integers, kind: Kind
) -> NDArray[np.float64]:
    """Logit of the mean probability, computed in logarithms so that confident scores stay finite."""

    def log_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([logsumexp(part, axis=0) for part in np.split(values, starts[1:])]) - np.log(images)[:, None]

    if kind == "multiclass":
        return log_mean(log_softmax(logits, axis=1))
    return log_mean(log_expit(logits)) - log_mean(log_expit(-logits))


def _max(logits: NDArray[np.float64], starts: Integers, images: Integers, kind: Kind) -> NDArray[np.float64]:
    # logits of a softmax are defined up to a constant per image
    comparable = log_softmax(logits, axis=1) if kind == "multiclass" else logits
    return np.asarray(np.maximum.reduceat(comparable, starts))


def _geometric_mean(logits: NDArray[np.float64], starts: Integers, images: Integers, kind: Kind) -> NDArray[np.float64]:
    """Logit of the geometric mean of the probabilities."""
    if kind == "multiclass":
        return _mean_logit(np.asarray(log_softmax(logits, axis=1)), starts, images, kind)
    mean = np.minimum(_mean_logit(np.asarray(log_expit(logits)), starts, images, kind), -EPSILON)
    return np.asarray(mean - np.log(-np.expm1(mean)))


POOLS: dict[str, Callable[[NDArray[np.float64], Integers, Integers, Kind], NDArray[np.float64]]] = {
    "mean-logit": _mean_logit,
    "mean-probability": _mean_probability,
    "max": _max,
    "geometric": _geometric_mean,
}
"""Rules that pool the images of a sample to one score."""


def _concatenate(predictions: Sequence[Predictions], images: ImageTable) -> tuple[Integers, AnyScores, Integers]:
    if not predictions:
        raise HolotypeError("there are no predictions to gather", remedy="train and predict at least one fold")
    models = sorted({part.model for part in predictions})
    if len(models) > 1:
        raise HolotypeError(
            f"the predictions are of several models: {join_names(models)}", remedy="gather each separately"
        )
    for part in predictions:
        if part.logits.shape != (len(part.rows), len(images.classes)):
            raise HolotypeError(
                f"model {part.model!r}, fold {part.fold}: {len(part.rows)} rows and {len(images.classes)} classes "
                f"have logits of shape {part.logits.shape}"
            )
    rows = np.concatenate([part.rows for part in predictions]).astype(np.int64)
    outside = rows[(rows < 0) | (rows >= len(images))]
    if len(outside):
        raise HolotypeError(f"rows {join_names(outside, MAX_LISTED)} are not in the table of {len(images):,} images")
    logits = concatenate([part.logits for part in predictions])
    finite = logits.finite if isinstance(logits, TopKScores) else np.isfinite(logits).all(axis=1)
    fold = np.repeat([part.fold for part in predictions], [len(part.rows) for part in predictions])
    _require_none(rows[~finite], images, "have scores that are not finite numbers")
    return rows, logits, fold.astype(np.int64)


def _scored_rows(folds: Folds, images: ImageTable) -> Integers:
    """Image rows that must have out-of-fold scores: training samples of the trained folds, without excluded ones."""
    training = np.isin(np.arange(len(images.samples)), images.samples.of_role("train"))
    training &= np.isin(folds.fold_of_sample, folds.used)
    training[folds.left_out] = False
    rows = np.flatnonzero(training[images.sample_numbers])
    return np.setdiff1d(rows, folds.unreadable).astype(np.int64)


def _repeated_rows(rows: Integers) -> Integers:
    values, counts = np.unique(rows, return_counts=True)
    return values[counts > 1]


def _require_none(rows: Iterable[int], images: ImageTable, problem: str) -> None:
    wrong = np.unique(np.asarray(rows, dtype=np.int64))
    if len(wrong):
        ids = images.frame["id"].gather(wrong).to_list()
        raise HolotypeError(f"{len(wrong):,} images {problem}: {join_names(ids, MAX_LISTED)}")
