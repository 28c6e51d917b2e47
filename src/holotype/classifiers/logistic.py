"""Logistic regression with an L2 penalty: multinomial for multiclass labels, one against the rest for multilabel.

The objective is that of scikit-learn: C times the sum of the rows' weighted losses, plus half the squared norm of the
weights; intercepts are not penalized. L-BFGS (Liu & Nocedal 1989) needs some tens of steps instead of hundreds, because
it works on principal components that are scaled by the expected curvature: the variance of the component times the mean
of p (1 - p), plus the penalty (compare the bound of Böhning 1992, "Multinomial logistic regression algorithm").
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from holotype.classifiers.closed_form import fit_lda, fit_ridge
from holotype.classifiers.linear import LinearClassifier, make_constant, make_linear, rotate, standardize
from holotype.classifiers.targets import Targets
from holotype.classifiers.training_rows import DEFAULT_STRENGTH, STRENGTHS, TrainingRows
from holotype.recipe.sections.classifier import LdaClassifierSpec, LogisticClassifierSpec, RidgeClassifierSpec
from holotype.types import MANY_CLASSES, Integers

__all__ = ["fit_logistic"]

Doubles = NDArray[np.float64]
PATH_TOLERANCE, FINAL_TOLERANCE = 1e-3, 1e-6  # largest entry of the scaled gradient of the mean loss
MAX_STEPS = 1000
MAX_SINGLE_COLUMNS = 64
MAX_BLOCK_SCORES = 2**22


def fit_logistic(rows: TrainingRows, spec: LogisticClassifierSpec) -> LinearClassifier:
    """Fit logistic regression; above 2,000 classes, a closed form takes its place.

    Full-batch steps on many thousands of classes take hours. There, multiclass labels are fitted by linear discriminant
    analysis, multilabel ones by ridge regression; `describe()` names the solver.
    """
    if rows.targets.classes > MANY_CLASSES:
        balance, scale = spec.class_weight, spec.standardize
        if rows.targets.kind == "multiclass":
            fitted = fit_lda(rows, LdaClassifierSpec(kind="lda", class_weight=balance, standardize=scale))
        else:
            ridge = RidgeClassifierSpec(kind="ridge", c=spec.c, class_weight=balance, standardize=scale)
            fitted = fit_ridge(rows, ridge)
        return replace(fitted, summary={**fitted.summary, "kind": "logistic"})
    if rows.targets.is_constant:
        return make_constant(rows.features, rows.targets, spec.kind)
    learned = rows.targets.learnable_classes()
    standardized = standardize(rows.features, rows.targets.weights, scale=spec.standardize)
    summary: dict[str, Any] = {"kind": "logistic", "solver": "lbfgs"}
    rotation = rotate(standardized.values, rows.targets.weights)
    problem = _make_problem(rotation.values, rotation.variances, rows.targets.of_classes(learned), spec.class_weight)
    start = np.zeros((len(rotation.variances) + 1, problem.columns))
    strength = DEFAULT_STRENGTH if spec.c == "auto" else spec.c
    summary["selected"] = False
    # Products with few columns are slower on several threads; the inner folds take the threads instead.
    product_threads = 1 if problem.columns <= MAX_SINGLE_COLUMNS else rows.threads
    if spec.c == "auto" and len(rows.targets) > 1:
        with threadpool_limits(product_threads):
            losses, starts = _inner_losses(problem, rows)
        best = int(np.argmin(losses))
        strength, start = STRENGTHS[best], starts[best]
        path = [{"c": c, "log_loss": float(loss)} for c, loss in zip(STRENGTHS, losses, strict=True)]
        summary |= {"selected": True, "inner_unit": rows.inner_unit, "inner_log_loss": path[best]["log_loss"]}
        summary["path"] = path
    with threadpool_limits(product_threads):
        coefficients = _minimize(problem, strength, start, FINAL_TOLERANCE)
    weight, bias = (rotation.basis @ coefficients[:-1]).T, coefficients[-1]
    if problem.is_binary:  # one column for two classes
        weight, bias = np.vstack([-weight, weight]) / 2, np.append(-bias, bias) / 2
    return make_linear(standardized, rows.targets, learned, weight, bias, {**summary, "c": strength})


@dataclass(frozen=True, eq=False)
class _Problem:
    """Rows of a fit in rotated coordinates.

    Args:
        values: Shape (n, rank).
        variances: Shape (rank,).
        labels: Class numbers, shape (n,), for the softmax; a mask of shape (n, columns) for sigmoids.
        weights: Shape (n,), or (n, columns) if the weights of a row differ by class.
    """

    values: NDArray[np.floating]
    variances: Doubles
    labels: NDArray[Any]
    weights: Doubles
    columns: int
    is_binary: bool = False

    @property
    def total(self) -> float:
        return float(self.weights.sum()) / (self.weights.shape[1] if self.weights.ndim == 2 else 1)

    def rows(self, index: Integers) -> _Problem:
        return replace(self, values=self.values[index], labels=self.labels[index], weights=self.weights[index])

    def loss(self, coefficients: Doubles) -> float:
        """Mean weighted loss."""
        losses = (self._block_loss(coefficients, part)[0] for part in self._blocks())
        return sum(losses) / self.total

    def loss_and_gradient(self, coefficients: Doubles) -> tuple[float, Doubles]:
        """Mean weighted loss, and its gradient of shape (rank + 1, columns); the last row is that of the intercepts."""
        loss, gradient = 0.0, np.zeros_like(coefficients)
        for part in self._blocks():
            block_loss, residual = self._block_loss(coefficients, part)
            loss += block_loss
            gradient[:-1] += self.values[part].T @ residual.astype(self.values.dtype)
            gradient[-1] += residual.sum(axis=0)
        return loss / self.total, gradient / self.total

    def curvature(self, coefficients: Doubles) -> Doubles:
        """Mean weighted p (1 - p) of each column, shape (columns,)."""
        sums = np.zeros(self.columns)
        for part in self._blocks():
            probability = self._probability(self._logits(coefficients, part))
            weights = self.weights[part] if self.weights.ndim == 2 else self.weights[part, None]
            sums += (weights * probability * (1 - probability)).sum(axis=0)
        return np.maximum(sums / self.total, 1e-6)

    def _blocks(self) -> list[slice]:
        step = max(1, MAX_BLOCK_SCORES // self.columns)
        return [slice(start, start + step) for start in range(0, len(self.labels), step)]

    def _logits(self, coefficients: Doubles, part: slice) -> Doubles:
        product = self.values[part] @ coefficients[:-1].astype(self.values.dtype)
        return np.asarray(product + coefficients[-1], np.float64)

    def _probability(self, logits: Doubles) -> Doubles:
        from scipy.special import expit, softmax

        return np.asarray(softmax(logits, axis=1) if self.labels.ndim == 1 else expit(logits))

    def _block_loss(self, coefficients: Doubles, part: slice) -> tuple[float, Doubles]:
        """Sum of the weighted losses of some rows, and its derivative by their logits."""
        logits, labels, weights = self._logits(coefficients, part), self.labels[part], self.weights[part]
        if labels.ndim == 2:
            loss = np.logaddexp(0, np.where(labels, -logits, logits))
            residual = self._probability(logits) - labels
            scale = weights if weights.ndim == 2 else weights[:, None]
            return float((loss * scale).sum()), residual * scale
        row = np.arange(len(labels))
        logits -= logits.max(axis=1, keepdims=True)
        label_logits = logits[row, labels]
        exponentials = np.exp(logits, out=logits)
        totals = exponentials.sum(axis=1)
        residual = np.divide(exponentials, totals[:, None], out=exponentials)
        residual[row, labels] -= 1
        return float(weights @ (np.log(totals) - label_logits)), residual * weights[:, None]


def _make_problem(values: Doubles, variances: Doubles, targets: Targets, class_weight: str | None) -> _Problem:
    if targets.kind == "multiclass":
        weights = (targets.balanced() if class_weight else targets).weights
        if targets.classes == 2:  # the softmax of two columns has half the penalty
            return _Problem(values, variances, targets.numbers[:, None] == 1, weights, 1, is_binary=True)
        return _Problem(values, variances, targets.numbers, weights, targets.classes)
    labels, weights = targets.dense(), targets.weights
    if class_weight:
        positive = targets.total / (2 * targets.class_totals)
        negative = targets.total / (2 * (targets.total - targets.class_totals))
        weights = np.where(labels, positive, negative) * weights[:, None]
    return _Problem(values, variances, labels, weights, targets.classes)


def _inner_losses(problem: _Problem, rows: TrainingRows) -> tuple[Doubles, list[Doubles]]:
    """Weighted mean loss of the inner folds for each strength, and starts for the fit of all rows.

    Each solution is the start of the next strength. A fold never starts from the solutions of another, which learned
    the labels that it is scored on. Single precision is enough here.
    """
    single = replace(problem, values=problem.values.astype(np.float32))

    def follow_path(fold: tuple[Integers, Integers]) -> tuple[Doubles, list[Doubles]]:
        fitted, scored = (single.rows(index) for index in fold)
        losses, starts = np.zeros(len(STRENGTHS)), [np.zeros((len(problem.variances) + 1, problem.columns))]
        for number, strength in enumerate(STRENGTHS):
            starts.append(_minimize(fitted, strength, starts[-1], PATH_TOLERANCE))
            losses[number] = scored.loss(starts[-1]) * scored.total / problem.total
        return losses, starts[1:]

    folds = list(rows.inner_folds())
    with ThreadPoolExecutor(min(rows.threads, len(folds))) as pool:
        paths = list(pool.map(follow_path, folds))
    return np.sum([losses for losses, _ in paths], axis=0), paths[-1][1]


def _minimize(problem: _Problem, strength: float, start: Doubles, tolerance: float) -> Doubles:
    """Coefficients of smallest penalized loss, shape (rank + 1, columns)."""
    from scipy.optimize import minimize

    penalty = 1 / (strength * problem.total)
    curvature = problem.curvature(start)
    scale = 1 / np.sqrt(np.append(problem.variances, 1.0)[:, None] * curvature)
    scale[:-1] = 1 / np.sqrt(problem.variances[:, None] * curvature + penalty)

    def objective(scaled: Doubles) -> tuple[float, Doubles]:
        coefficients = scaled.reshape(start.shape) * scale
        loss, gradient = problem.loss_and_gradient(coefficients)
        gradient[:-1] += penalty * coefficients[:-1]
        return loss + 0.5 * penalty * float(np.square(coefficients[:-1]).sum()), (gradient * scale).ravel()

    options = {"maxiter": MAX_STEPS, "maxfun": 2 * MAX_STEPS, "gtol": tolerance, "ftol": 0.0, "maxcor": 20}
    solution = minimize(objective, (start / scale).ravel(), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(solution.x.reshape(start.shape) * scale)
