"""Ridge regression and linear discriminant analysis: linear classifiers in closed form, for any number of classes.

Their scores are not probabilities, so a temperature is fitted on the scores of inner folds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from holotype.classifiers.linear import LinearClassifier, make_constant, make_linear, rotate, standardize
from holotype.classifiers.targets import Targets, row_losses
from holotype.classifiers.training_rows import DEFAULT_STRENGTH, INNER_FOLDS, STRENGTHS, TrainingRows
from holotype.core.errors import DataError
from holotype.core.seeds import keyed_generator
from holotype.recipe.sections.classifier import LdaClassifierSpec, RidgeClassifierSpec
from holotype.types import Floats, Integers

__all__ = ["fit_lda", "fit_ridge", "shrunk_covariance"]

Doubles = NDArray[np.float64]
Solutions = Iterator[tuple[Doubles, Doubles]]
MEAN_COUNTS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Candidates of the number of rows at the common mean that are added to each class."""
LABEL_COUNT = 3.0
"""Rows at the common mean that are added to the rows of each label, for multilabel ridge regression."""
MAX_SCORES = 2**23  # scores of inner rows that temperatures are fitted on
LOG_FACTORS = (-7.0, 7.0)


@dataclass(frozen=True)
class _Choice:
    """Best candidate, the factor on its scores (1 / temperature), and the inner log loss of every candidate."""

    index: int
    factor: float = 1.0
    losses: tuple[float, ...] = ()


def fit_ridge(rows: TrainingRows, spec: RidgeClassifierSpec) -> LinearClassifier:
    """Fit ridge regression on labels 0 and 1, for all strengths by one eigendecomposition.

    Multiclass logits are the scores times a factor. Multilabel log-odds are the prior ones plus a factor times
    (score - midpoint) / (p (1 - p)), where p is the share of the label and the midpoint lies between the mean scores of
    rows with and without it: the form of a discriminant of two classes. The mean of the rows with a label is drawn to
    the common mean as if three more rows lay there, since that of a single row is noise.
    """
    if rows.targets.is_constant:
        return make_constant(rows.features, rows.targets, spec.kind)
    learned = rows.targets.learnable_classes()
    targets = rows.targets.of_classes(learned)
    if spec.class_weight and targets.kind == "multiclass":
        targets = targets.balanced()
    standardized = standardize(rows.features, rows.targets.weights, scale=spec.standardize)
    rotation = rotate(standardized.values, targets.weights)
    strengths = STRENGTHS if spec.c == "auto" else (spec.c,)
    share = targets.class_totals / targets.total
    prior = np.zeros(len(learned))
    if targets.kind == "multilabel" and not spec.class_weight:
        prior = np.log(share) - np.log1p(-share)

    def solve(index: Integers) -> Solutions:
        return _ridge_path(rotation.values[index], targets.rows(index), share, strengths)

    fallback = _Choice(STRENGTHS.index(DEFAULT_STRENGTH) if spec.c == "auto" else 0)
    choice = _choose(solve, rotation.values, targets, prior, rows) or fallback
    weight, bias = next(islice(solve(np.arange(len(targets))), choice.index, None))
    summary = _summary(choice, rows, {"kind": "ridge", "solver": "eigen"}, "c", strengths)
    weight, bias = choice.factor * (rotation.basis @ weight).T, choice.factor * bias + prior
    return make_linear(standardized, rows.targets, learned, weight, bias, summary)


def fit_lda(rows: TrainingRows, spec: LdaClassifierSpec) -> LinearClassifier:
    """Fit linear discriminant analysis (Fisher 1936) with a shrunk covariance within classes.

    Class means are drawn to the common mean as if some more rows lay there; their number is selected on inner folds. It
    matters for classes of few rows, whose means are noisy and therefore too far apart.

    Raises:
        DataError: The labels are multilabel.
    """
    if rows.targets.kind != "multiclass":
        raise DataError(
            "linear discriminant analysis needs exactly one label per row, but the labels are multilabel",
            field="classifier.kind",
            value="lda",
            allowed=("logistic", "ridge", "knn", "lightgbm"),
        )
    if rows.targets.is_constant:
        return make_constant(rows.features, rows.targets, spec.kind)
    learned = rows.targets.learnable_classes()
    targets = rows.targets.of_classes(learned)
    counts = targets.weights
    if spec.class_weight:
        targets = targets.balanced()
    standardized = standardize(rows.features, rows.targets.weights, scale=spec.standardize)
    shrinkages: list[float] = []

    def solve(index: Integers) -> Solutions:
        part = targets.rows(index)
        means = _class_means(standardized.values[index], part)
        residuals = standardized.values[index] - means[part.numbers]
        covariance, shrinkage = shrunk_covariance(residuals, part.weights, spec.shrinkage)
        shrinkages.append(shrinkage)
        row_counts = part.indicator.T.astype(np.float64) @ counts[index]
        return _lda_path(means, covariance, row_counts, np.log(targets.class_totals / targets.total))

    choice = _choose(solve, standardized.values, targets, np.zeros(len(learned)), rows) or _Choice(0)
    weight, bias = next(islice(solve(np.arange(len(targets))), choice.index, None))
    facts = {"kind": "lda", "solver": "covariance", "shrinkage": shrinkages[-1]}
    summary = _summary(choice, rows, facts, "mean_count", MEAN_COUNTS)
    return make_linear(standardized, rows.targets, learned, choice.factor * weight.T, choice.factor * bias, summary)


def shrunk_covariance(
    residuals: NDArray[np.floating], weights: Doubles, shrinkage: float | Literal["auto"]
) -> tuple[Doubles, float]:
    """Covariance within classes, drawn to a multiple of the identity.

    Args:
        residuals: Rows less the mean of their class, shape (n, width).
        shrinkage: Share of the identity, from 0 to 1; `auto` is the estimate of Ledoit & Wolf 2004 ("A
            well-conditioned estimator for large-dimensional covariance matrices").

    Returns:
        Shape (width, width), and the share of the identity.
    """
    exact, total, width = residuals.astype(np.float64), weights.sum(), residuals.shape[1]
    covariance = exact.T @ (exact * (weights / total)[:, None])
    mean_variance = float(np.trace(covariance)) / width
    if isinstance(shrinkage, str):
        norm = float(np.square(covariance).sum())
        noise = (float(weights @ np.square(np.square(exact).sum(axis=1))) / total - norm) / total
        distance = norm - width * mean_variance**2
        share = float(min(max(noise, 0.0) / distance, 1.0)) if distance > 0 else 1.0
    else:
        share = shrinkage
    return (1 - share) * covariance + share * mean_variance * np.eye(width), share


def _class_means(values: Floats, targets: Targets) -> Doubles:
    """Weighted mean of each class, shape (classes, width); 0 for classes without a row."""
    sums = targets.indicator.T.astype(np.float64) @ (values * targets.weights[:, None])
    return np.asarray(sums / np.where(targets.class_totals > 0, targets.class_totals, 1.0)[:, None])


def _lda_path(means: Doubles, covariance: Doubles, row_counts: Doubles, log_prior: Doubles) -> Solutions:
    """Discriminants for each of `MEAN_COUNTS`: weight of shape (width, classes), and bias."""
    from scipy.linalg import pinvh

    weight = pinvh(covariance) @ means.T
    distance = np.einsum("cd,dc->c", means, weight)
    for mean_count in MEAN_COUNTS:
        share = np.divide(row_counts, row_counts + mean_count, out=np.zeros_like(row_counts), where=row_counts > 0)
        yield weight * share, log_prior - 0.5 * share**2 * distance


def _ridge_path(values: Doubles, targets: Targets, share: Doubles, strengths: Sequence[float]) -> Solutions:
    """Ridge solutions of each strength: weight of shape (rank, classes), and bias."""
    from scipy.linalg import eigh

    weights, total = targets.weights, targets.total
    mean = weights @ values / total
    centered, label_mean = values - mean, targets.class_totals / total
    eigenvalues, vectors = eigh(centered.T @ (centered * weights[:, None]), driver="evd")
    moments = (targets.indicator.T.astype(np.float64) @ (centered * weights[:, None])).T
    projected = vectors.T @ moments
    for strength in strengths:
        weight = vectors @ (projected / (np.maximum(eigenvalues, 0) + 1 / strength)[:, None])
        if targets.kind == "multiclass":
            yield weight, label_mean - mean @ weight
            continue
        # Mean scores of the rows with and without a label, less the mean score of all rows.
        with_label = np.einsum("rc,rc->c", weight, moments) / np.maximum(targets.class_totals, 1e-12)
        without = -with_label * label_mean / np.maximum(1 - label_mean, 1e-12)
        certainty = targets.class_totals / (targets.class_totals + LABEL_COUNT)
        slope = certainty / (share * (1 - share))
        yield weight * slope, -(mean @ weight + certainty * (with_label + without) / 2) * slope


def _choose(
    solve: Callable[[Integers], Solutions],
    values: NDArray[np.floating],
    targets: Targets,
    prior: Doubles,
    rows: TrainingRows,
) -> _Choice | None:
    """Select the candidate and the factor of smallest log loss on the inner folds; None without inner folds.

    Args:
        solve: Weight and bias of each candidate, from row numbers.
        prior: Logits that the scores are added to, shape (classes,).
    """
    scored: list[Integers] = []
    scores: list[list[Floats]] = []
    for train, held_out in rows.inner_folds():
        sample = _sample_rows(held_out, MAX_SCORES // (INNER_FOLDS * targets.classes), rows.seed)
        scored.append(sample)
        scores.append([(values[sample] @ weight + bias).astype(np.float32) for weight, bias in solve(train)])
    if not scored or (targets.classes < 2 and targets.kind == "multiclass"):
        return None
    part = targets.rows(np.concatenate(scored))
    fitted = [_fit_factor(np.concatenate(candidate), part, prior) for candidate in zip(*scores, strict=True)]
    best = int(np.argmin([loss for _, loss in fitted]))
    return _Choice(best, fitted[best][0], tuple(loss for _, loss in fitted))


def _sample_rows(index: Integers, count: int, seed: int) -> Integers:
    """At most `count` of some rows, at least one."""
    if len(index) <= count:
        return index
    order = keyed_generator(seed, "classifier", "temperature").permutation(len(index))
    return np.sort(index[order[: max(count, 1)]])


def _fit_factor(scores: Floats, targets: Targets, prior: Doubles) -> tuple[float, float]:
    """Factor on the scores of smallest weighted log loss (temperature scaling, Guo et al. 2017), and that loss."""
    from scipy.optimize import minimize_scalar

    offset = prior.astype(np.float32)

    def loss(exponent: float) -> float:
        losses = row_losses(offset + np.float32(np.exp(exponent)) * scores, targets)
        return float(targets.weights @ losses) / targets.total

    solution = minimize_scalar(loss, bounds=LOG_FACTORS, method="bounded", options={"xatol": 0.01})
    return float(np.exp(solution.x)), float(solution.fun)


def _summary(
    choice: _Choice, rows: TrainingRows, facts: dict[str, Any], name: str, candidates: Sequence[float]
) -> dict[str, Any]:
    """Summary of a fit and of its candidates."""
    summary = facts | {name: candidates[choice.index], "factor": choice.factor, "selected": bool(choice.losses)}
    if choice.losses:
        path = [{name: value, "log_loss": loss} for value, loss in zip(candidates, choice.losses, strict=True)]
        summary |= {"inner_unit": rows.inner_unit, "inner_log_loss": choice.losses[choice.index], "path": path}
    return summary
