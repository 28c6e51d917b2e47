"""Adversarial validation: classifiers that tell training samples from test samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.seeds import derive_seed
from holotype.types import TRAIN_TEST_FEATURES, Floats, Integers

FOLDS = 5
MAX_COLUMNS = 64  # wider embeddings are replaced by as many principal components
ALIKE_AUC = 0.55  # ROC AUC below which train and test count as alike


@dataclass(frozen=True)
class TestLikeness:
    """Result of adversarial validation.

    Args:
        probability: Out-of-fold probability of being a test sample, shape (n,).
        auc: ROC AUC of that probability; 0.5 if train and test are alike.
        train_test_features: The features that separate them, with the columns of
            `holotype.types.TRAIN_TEST_FEATURES`.
    """

    probability: NDArray[np.float64]
    auc: float
    train_test_features: pl.DataFrame


def discriminate(
    features: Floats, is_test: NDArray[np.bool_], units: Integers, seed: int, names: Sequence[str] | None = None
) -> TestLikeness:
    """Train a cross-fitted classifier of training against test samples (LightGBM).

    Args:
        features: Shape (n, columns); NaN for unknown values.
        is_test: Shape (n,).
        units: Group of each sample in the cross-fitting, shape (n,).
    """
    import lightgbm  # slow import (as scikit-learn), needed for `like_test` only
    from sklearn.metrics import roc_auc_score

    table, labels = _reduce_columns(features, names, seed)
    probability, gain = np.zeros(len(table)), np.zeros(table.shape[1])
    for train_rows, judged in _cross_validation_parts(units):
        model = lightgbm.LGBMClassifier(
            n_estimators=200,
            learning_rate=0.05,
            num_leaves=31,
            min_child_samples=20,
            subsample=0.8,
            subsample_freq=1,
            colsample_bytree=0.6,
            importance_type="gain",
            random_state=derive_seed(seed, "likeness") % 2**31,
            deterministic=True,
            force_row_wise=True,
            n_jobs=2,
            verbose=-1,
        )
        model.fit(table[train_rows], is_test[train_rows])
        probability[judged] = np.asarray(model.predict_proba(table[judged]))[:, 1]
        gain += model.feature_importances_
    alone = [_single_feature_auc(table[:, column], is_test) for column in range(table.shape[1])]
    importances = {"feature": labels, "importance": gain / max(gain.sum(), 1e-12), "auc": alone}
    separating = pl.DataFrame(importances, schema=TRAIN_TEST_FEATURES).sort("importance", descending=True)
    return TestLikeness(probability, float(roc_auc_score(is_test, probability)), separating)


def adversarial_auc(features: Floats, is_test: NDArray[np.bool_], units: Integers, seed: int) -> float:
    """Cross-fitted ROC AUC of a second classifier of training against test samples (extremely randomized trees).

    Args:
        features: Shape (n, columns).
        is_test: Shape (n,).
        units: Group of each sample in the cross-fitting, shape (n,).
    """
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score

    table, _ = _reduce_columns(features, None, seed)
    table = np.where(np.isnan(table), np.nanmedian(table, axis=0), table)
    probability = np.zeros(len(table))
    for train_rows, judged in _cross_validation_parts(units):
        model = ExtraTreesClassifier(
            200, min_samples_leaf=5, class_weight="balanced", n_jobs=2, random_state=derive_seed(seed, "check") % 2**31
        )
        model.fit(table[train_rows], is_test[train_rows])
        probability[judged] = model.predict_proba(table[judged])[:, 1]
    return float(roc_auc_score(is_test, probability))


def describe_test_likeness(result: TestLikeness, holdout_auc: float | None = None) -> tuple[str, ...]:
    """Summary of adversarial validation as text.

    `holdout_auc`: ROC AUC of the chosen holdout against the test samples, if there is one.
    """
    if result.auc < ALIKE_AUC:
        return (f"Training and test samples look alike (AUC {result.auc:.2f}); any holdout resembles the test set.",)
    features = ", ".join(result.train_test_features["feature"].head(3).to_list())
    after = "" if holdout_auc is None else f"; {holdout_auc:.2f} against the chosen holdout"
    return (f"Training and test samples can be told apart (AUC {result.auc:.2f}{after}), mainly by {features}.",)


def _reduce_columns(features: Floats, names: Sequence[str] | None, seed: int) -> tuple[NDArray[np.float64], list[str]]:
    from sklearn.decomposition import PCA

    labels = list(names) if names is not None else [f"column {number}" for number in range(features.shape[1])]
    table = np.asarray(features, np.float64)
    wide = [number for number, name in enumerate(labels) if name.startswith("embedding")]
    if len(wide) <= MAX_COLUMNS:
        return table, labels
    values = np.nan_to_num(table[:, wide])
    components = PCA(MAX_COLUMNS, random_state=derive_seed(seed, "components") % 2**31).fit_transform(values)
    rest = [number for number in range(len(labels)) if number not in set(wide)]
    reduced = [f"embedding component {number}" for number in range(MAX_COLUMNS)]
    return np.hstack([table[:, rest], components]), [labels[number] for number in rest] + reduced


def _cross_validation_parts(units: Integers) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import GroupKFold

    folds = min(FOLDS, len(np.unique(units)))
    return list(GroupKFold(folds).split(units, groups=units))


def _single_feature_auc(column: NDArray[np.float64], is_test: NDArray[np.bool_]) -> float:
    from sklearn.metrics import roc_auc_score

    present = ~np.isnan(column)
    if len(np.unique(is_test[present])) < 2:
        return 0.5
    return float(roc_auc_score(is_test[present], column[present]))
