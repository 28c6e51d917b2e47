"""Gradient boosted trees (LightGBM; Ke et al. 2017) for tables of measurements, with missing values."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from holotype.classifiers.fitted import FittedClassifier
from holotype.classifiers.targets import Targets, absent_log_odds
from holotype.classifiers.training_rows import TrainingRows
from holotype.core.errors import DataError
from holotype.core.seeds import derive_seed
from holotype.recipe.sections.classifier import LightgbmClassifierSpec
from holotype.types import MANY_CLASSES, Floats, Integers

if TYPE_CHECKING:
    import lightgbm

__all__ = ["TreeClassifier", "fit_trees"]

STOPPING_FOLDS = 5  # one of them stops the boosting
MAX_ROUNDS, PATIENCE, DEFAULT_ROUNDS = 1_000, 30, 100
OPTIONS: dict[str, Any] = {
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True, eq=False)
class TreeClassifier(FittedClassifier):
    """Boosted trees: one model of all classes (multiclass), or one per class (multilabel).

    Args:
        models: Models in LightGBM's text format.
        learned: Numbers of the classes that the trees predict, shape (k,).
        floor: Logits of the other classes, shape (classes,).
    """

    method: ClassVar[str] = "trees"
    allows_missing: ClassVar[bool] = True

    models: tuple[str, ...]
    learned: Integers
    floor: NDArray[np.float64]

    @cached_property
    def boosters(self) -> tuple[lightgbm.Booster, ...]:
        """Loaded models."""
        import lightgbm

        return tuple(lightgbm.Booster(model_str=model) for model in self.models)

    def feature_importances(self) -> Floats:
        """Total gain of the splits at each feature, shape (width,)."""
        gains = [booster.feature_importance("gain") for booster in self.boosters]
        return np.asarray(np.sum(gains, axis=0) if gains else np.zeros(self.width), np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store, by name."""
        return {"learned": self.learned, "floor": self.floor}

    def texts(self) -> dict[str, str]:
        """Models in LightGBM's text format, by file name."""
        return {f"trees-{number:04d}.txt": model for number, model in enumerate(self.models)}

    def _logits(self, features: Floats) -> NDArray[np.floating]:
        logits = np.tile(self.floor, (len(features), 1))
        if len(features) and self.boosters:
            scores = [booster.predict(features, raw_score=True) for booster in self.boosters]
            raw = np.column_stack(scores) if self.kind == "multilabel" else np.asarray(scores[0])
            raw = np.column_stack([-raw, raw]) / 2 if raw.ndim == 1 else raw
            logits[:, self.learned] = raw if self.kind == "multilabel" else raw - raw.mean(axis=1, keepdims=True)
        return logits


def fit_trees(rows: TrainingRows, spec: LightgbmClassifierSpec) -> TreeClassifier:
    """Fit boosted trees; the same rows, seed and number of threads give the same trees.

    Raises:
        DataError: There are more than 2,000 classes.
    """
    targets = rows.targets
    if targets.classes > MANY_CLASSES:
        raise DataError(
            f"boosted trees are limited to {MANY_CLASSES:,} classes, but there are {targets.classes:,}",
            field="classifier.kind",
            value="lightgbm",
            allowed=("logistic", "ridge", "lda", "knn"),
        )
    learned = targets.learnable_classes()
    floor = absent_log_odds(targets.total)
    constant = np.where(targets.class_totals > 0, -floor, floor)
    models: list[str] = []
    rounds: list[int] = []
    if targets.kind == "multiclass":
        if len(learned) > 1:
            number_of = np.zeros(targets.classes, np.int64)
            number_of[learned] = np.arange(len(learned))
            part = targets.of_classes(learned)
            weights = (part.balanced() if spec.class_weight else part).weights
            model = _boost(rows, spec, number_of[targets.numbers], weights, len(learned))
            models, rounds = [model[0]], [model[1]]
        else:
            constant[learned] = 0
    else:
        dense = targets.dense()
        for number in learned:
            label = dense[:, number]
            weights = _balanced(label, targets) if spec.class_weight else targets.weights
            text, count = _boost(rows, spec, label.astype(np.int64), weights, 2)
            models.append(text)
            rounds.append(count)
    summary = {"kind": "lightgbm", "solver": "lightgbm", "rounds": rounds, "selected": spec.rounds == "auto"}
    width = rows.features.shape[1]
    return TreeClassifier(targets.kind, targets.classes, width, summary, tuple(models), learned, constant)


def _balanced(label: NDArray[np.bool_], targets: Targets) -> NDArray[np.float64]:
    """Weights by which rows with and without a label have the same total."""
    positive = float(targets.weights[label].sum())
    factor = np.where(label, targets.total / (2 * positive), targets.total / (2 * (targets.total - positive)))
    return np.asarray(targets.weights * factor)


def _boost(
    rows: TrainingRows, spec: LightgbmClassifierSpec, labels: Integers, weights: NDArray[np.float64], classes: int
) -> tuple[str, int]:
    """Model of some labels in LightGBM's text format, and its number of rounds."""
    import lightgbm

    objective = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}
    settings = (
        OPTIONS
        | objective
        | {
            "learning_rate": spec.learning_rate,
            "num_leaves": spec.leaves,
            "min_data_in_leaf": max(1, min(20, len(labels) // 20)),
            "num_threads": rows.threads,
            "seed": derive_seed(rows.seed, "classifier", "trees") % 2**31,
        }
    )

    def dataset(index: Integers, reference: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
        options: dict[str, Any] = {"weight": weights[index], "reference": reference, "params": settings}
        return lightgbm.Dataset(rows.features[index], labels[index], free_raw_data=False, **options)

    rounds = DEFAULT_ROUNDS if spec.rounds == "auto" else spec.rounds
    everything = np.arange(len(labels), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for train, stopping in rows.inner_folds(STOPPING_FOLDS) if spec.rounds == "auto" else ():
            if len(np.unique(labels[train])) < classes:
                continue  # a fold that lacks a class in training; the next may have all
            fitted = dataset(train)
            stop = lightgbm.early_stopping(PATIENCE, verbose=False)
            trial = lightgbm.train(settings, fitted, MAX_ROUNDS, [dataset(stopping, fitted)], callbacks=[stop])
            rounds = max(trial.best_iteration, 1)
            break
        booster = lightgbm.train(settings, dataset(everything), rounds)
    return str(booster.model_to_string()), rounds
