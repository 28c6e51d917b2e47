"""Stacking: models that correct the mean of the models, class by class (Wolpert 1992, "Stacked generalization").

Every class has inner × repeats models, each fitted on all inner folds but one. The number of trees is found by early
stopping on a fifth of its groups, never on the fold that is left out. The predictions for the left-out fold are the
evidence for later steps.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.digest import digest_array, digest_value
from holotype.core.seeds import keyed_generator
from holotype.recipe.sections import StackSpec
from holotype.types import Doubles, Floats, Integers

if TYPE_CHECKING:
    import lightgbm

MAX_SHARED_CLASSES = 64
MAX_ROUNDS = 300
PATIENCE = 20
STOPPING_DIVISOR = 5  # one in five groups is for early stopping
CACHE_VERSION = 2
DEFAULT_ROUNDS = 40  # without early stopping
MIN_POSITIVES = 5  # with fewer, a class keeps the mean of the models
LIGHTGBM_OPTIONS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.08,
    "num_leaves": 7,
    "min_data_in_leaf": 20,
    "lambda_l2": 5.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 127,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
Model = dict[str, Any]


@dataclass(frozen=True)
class StackTable:
    """Input table of a stack.

    Args:
        model_scores: Log-odds of each model, shape (models, n, classes).
        mean: Log-odds that the stack starts from, shape (n, classes).
        shared: Columns shared by all classes, shape (n, features); NaN if unknown.
    """

    model_scores: Floats
    mean: Floats
    shared: Floats
    names: tuple[str, ...]

    def columns(self, number: int) -> NDArray[np.float32]:
        """Build the feature matrix of one class."""
        return np.column_stack([self.model_scores[:, :, number].T, self.shared]).astype(np.float32)

    def rows(self, index: NDArray[Any]) -> StackTable:
        """Select samples by indices or a mask."""
        return StackTable(self.model_scores[:, index], self.mean[index], self.shared[index], self.names)


def stack_table(
    model_scores: Sequence[Floats],
    mean: Floats,
    names: Sequence[str],
    *,
    features: Floats | None = None,
    feature_names: Sequence[str] = (),
) -> StackTable:
    """Build the input table of a stack: model scores, the mean of all classes (up to 64), and further features.

    Args:
        model_scores: Log-odds, one array per model, shape (n, classes) each.
        mean: Log-odds of the mean, shape (n, classes).
        features: Further columns, shape (n, features).
    """
    others = mean if mean.shape[1] <= MAX_SHARED_CLASSES else mean[:, :0]
    shared = np.column_stack([others, mean[:, :0] if features is None else features]).astype(np.float32)
    columns = [*names, *(f"mean of class {number}" for number in range(others.shape[1])), *feature_names]
    return StackTable(np.stack(model_scores).astype(np.float32), mean.astype(np.float32), shared, tuple(columns))


def fit_stack(
    table: StackTable,
    truth: NDArray[np.bool_],
    units: Integers,
    spec: StackSpec,
    *,
    seed: int = 1,
    threads: int = 1,
    cache_dir: Path | None = None,
) -> tuple[tuple[tuple[Model, ...], ...], Floats]:
    """Fit the stack of every class.

    `units`: independent group of each sample, shape (n,); never split. Returns the models of each class, and the
    log-odds of every sample by the models that left it out, shape (n, classes).
    """
    folds = [_inner_folds(units, spec.inner, seed, repeat) for repeat in range(spec.repeats)]

    def fit_class(number: int) -> tuple[tuple[Model, ...], NDArray[np.float32]]:
        columns, start, labels = table.columns(number), table.mean[:, number], truth[:, number]

        def make() -> dict[str, Any]:
            models, oof_log_odds = _fit_class(columns, start, labels, folds, spec.model, seed + number, units=units)
            return {"models": models, "oof_log_odds": oof_log_odds.tolist()}

        parts = [digest_array(part) for part in (columns, start, labels, np.stack(folds), np.asarray(units))]
        key = digest_value([CACHE_VERSION, parts, spec.model, seed + number, LIGHTGBM_OPTIONS, STOPPING_DIVISOR])
        cached = _load_or_compute(cache_dir, key, make)
        return tuple(cached["models"]), np.asarray(cached["oof_log_odds"], np.float32)

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        done = list(pool.map(fit_class, range(truth.shape[1])))
    return tuple(models for models, _ in done), np.column_stack([oof_log_odds for _, oof_log_odds in done])


def apply_stack(stack: Sequence[Sequence[Model]], table: StackTable) -> Floats:
    """Predict log-odds of new samples, shape (n, classes): the mean over the models of each class."""
    log_odds = table.mean.astype(np.float32).copy()
    for number, models in enumerate(stack):
        if models:
            columns = table.columns(number)
            predictions = [_predict_log_odds(model, columns, table.mean[:, number]) for model in models]
            log_odds[:, number] = np.mean(predictions, axis=0)
    return log_odds


def stack_importance(stack: Sequence[Sequence[Model]], names: Sequence[str]) -> dict[str, float]:
    """Feature importance of a stack: share of the total gain (trees) or absolute weight (linear).

    Returns share by name, the largest first.
    """
    import lightgbm

    total = np.zeros(len(names))
    for models in stack:
        for model in models:
            if "trees" in model:
                gain = lightgbm.Booster(model_str=model["trees"]).feature_importance("gain")
            else:
                gain = np.abs(model["weights"])
            total += gain / max(gain.sum(), 1e-12)
    share = total / max(total.sum(), 1e-12)
    order = np.argsort(-share, kind="stable")
    return {names[index]: float(share[index]) for index in order}


def _fit_class(
    columns: NDArray[np.float32],
    start: Floats,
    truth: NDArray[np.bool_],
    folds: Sequence[Integers],
    kind: str,
    seed: int,
    *,
    units: Integers,
) -> tuple[list[Model], Doubles]:
    import lightgbm  # slow to import

    oof_sum, counts = np.zeros(len(truth)), np.zeros(len(truth))
    models: list[Model] = []
    if truth.sum() < MIN_POSITIVES or truth.all():
        return [], start.astype(np.float64)
    dataset = None
    if kind == "lightgbm":
        options: dict[str, Any] = {"init_score": start, "params": LIGHTGBM_OPTIONS, "free_raw_data": False}
        dataset = lightgbm.Dataset(columns, truth.astype(np.float32), **options)
    for repeat, fold in enumerate(folds):
        for number in np.unique(fold):
            inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
            if not truth[outside].any() or truth[outside].all():
                continue
            if dataset is not None:
                model_seed = seed + 1000 * repeat + int(number)
                stopping_mask = _early_stopping_mask(units[outside], truth[outside], model_seed)
                model = _fit_trees(dataset, outside, stopping_mask, model_seed)
            else:
                model = _fit_logistic(columns[outside], truth[outside])
            models.append(model)
            oof_sum[inside] += _predict_log_odds(model, columns[inside], start[inside])
            counts[inside] += 1
    return models, np.where(counts > 0, oof_sum / np.maximum(counts, 1), start)


def _fit_trees(dataset: lightgbm.Dataset, outside: Integers, stopping_mask: NDArray[np.bool_], seed: int) -> Model:
    """Boosted trees fitted on the rows outside the fold, with early stopping on `stopping_mask`."""
    import lightgbm

    settings, rounds = LIGHTGBM_OPTIONS | {"seed": seed}, DEFAULT_ROUNDS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if stopping_mask.any():
            parts = dataset.subset(outside[~stopping_mask].tolist()), [dataset.subset(outside[stopping_mask].tolist())]
            stopping: list[Callable[..., Any]] = [lightgbm.early_stopping(PATIENCE, verbose=False)]
            rounds = max(lightgbm.train(settings, parts[0], MAX_ROUNDS, parts[1], callbacks=stopping).best_iteration, 1)
        booster = lightgbm.train(settings, dataset.subset(outside.tolist()), rounds)
    return {"trees": booster.model_to_string()}


def _early_stopping_mask(units: Integers, truth: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """Rows for early stopping, in whole groups; empty if they or the rest would lack a class."""
    _, unit = np.unique(units, return_inverse=True)
    order = keyed_generator(seed, "stack", "stopping").permutation(unit.max() + 1)
    stops = (order % STOPPING_DIVISOR == 0)[unit]
    usable = all(part.any() and not part.all() for part in (truth[stops], truth[~stops]))
    return stops if usable else np.zeros(len(unit), bool)


def _fit_logistic(columns: NDArray[np.float32], truth: NDArray[np.bool_]) -> Model:
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a column without values
        mean, std = np.nanmean(columns, axis=0), np.nanstd(columns, axis=0)
    mean, std = np.nan_to_num(mean), np.where(np.nan_to_num(std) > 1e-9, std, 1.0)
    scaled = np.nan_to_num((columns - mean) / std)
    fitted = LogisticRegression(C=0.1, max_iter=500).fit(scaled, truth)
    parameters = {"weights": fitted.coef_[0], "mean": mean, "deviation": std}
    return {name: np.asarray(value, np.float64).tolist() for name, value in parameters.items()} | {
        "bias": float(fitted.intercept_[0])
    }


def _predict_log_odds(model: Model, columns: NDArray[np.float32], start: Floats) -> Doubles:
    if "trees" in model:
        import lightgbm

        booster = lightgbm.Booster(model_str=model["trees"])
        return start + np.asarray(booster.predict(columns, raw_score=True, num_threads=1))
    scaled = np.nan_to_num((columns - np.asarray(model["mean"])) / np.asarray(model["deviation"]))
    return np.asarray(scaled @ np.asarray(model["weights"]) + model["bias"])


def _inner_folds(units: Integers, count: int, seed: int, repeat: int) -> Integers:
    _, unit = np.unique(units, return_inverse=True)
    unit = unit if unit.max() else np.arange(len(unit))  # with one group, samples are split instead
    order = keyed_generator(seed, "stack", repeat).permutation(unit.max() + 1)
    return np.asarray((order % count)[unit], np.int64)


def _load_or_compute(cache_dir: Path | None, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if cache_dir is None:
        return make()
    path = cache_dir / f"{key[:32]}.json"
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    result = make()
    cache_dir.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(result), encoding="utf-8")
    temporary.replace(path)
    return result
