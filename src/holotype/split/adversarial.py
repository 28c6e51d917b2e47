"""Train against test: which training samples could be test samples, and a holdout that resembles the test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from holotype.seeds import derive_seed
from holotype.types import SEPARATING, Floats, Integers

__all__ = ["Likeness", "adversarial_auc", "describe_likeness", "discriminate"]

FOLDS = 5
EMBEDDED = 64  # columns; beyond as many again, principal components stand for the rest
ALIKE = 0.55  # area under the curve below which train and test cannot be told apart


@dataclass(frozen=True)
class Likeness:
    """How alike training and test samples are.

    Args:
        probability: Of being a test sample, by models that never saw the sample or its unit, shape (n,).
        auc: Area under the curve of that probability; 0.5 where train and test are alike.
        separating: The columns that tell them apart, with the columns of `holotype.types.SEPARATING`.
    """

    probability: NDArray[np.float64]
    auc: float
    separating: pl.DataFrame


def discriminate(
    features: Floats, is_test: NDArray[np.bool_], units: Integers, seed: int, names: Sequence[str] | None = None
) -> Likeness:
    """Learn to tell training samples from test samples, every sample judged by a model that never saw its unit.

    Args:
        features: Shape (n, columns); NaN where a value is not known.
        is_test: Which samples are test samples, shape (n,).
        units: What stays together in the cross-fitting, shape (n,).
        seed: The recipe's seed.
        names: Of the columns.
    """
    table, labels = _reduced(features, names, seed)
    probability, gain = np.zeros(len(table)), np.zeros(table.shape[1])
    for seen, judged in _parts(units):
        model = lightgbm.LGBMClassifier(
            n_estimators=200, learning_rate=0.05, num_leaves=31, min_child_samples=20, subsample=0.8, subsample_freq=1,
            colsample_bytree=0.6, importance_type="gain", random_state=derive_seed(seed, "likeness") % 2**31,
            deterministic=True, force_row_wise=True, n_jobs=2, verbose=-1,
        )  # fmt: skip
        model.fit(table[seen], is_test[seen])
        probability[judged] = np.asarray(model.predict_proba(table[judged]))[:, 1]
        gain += model.feature_importances_
    alone = [_alone(table[:, column], is_test) for column in range(table.shape[1])]
    found = {"feature": labels, "importance": gain / max(gain.sum(), 1e-12), "auc": alone}
    separating = pl.DataFrame(found, schema=SEPARATING).sort("importance", descending=True)
    return Likeness(probability, float(roc_auc_score(is_test, probability)), separating)


def adversarial_auc(features: Floats, is_test: NDArray[np.bool_], units: Integers, seed: int) -> float:
    """How well another family of models (extremely randomised trees) tells the samples apart, cross-fitted.

    Args:
        features: Shape (n, columns).
        is_test: Shape (n,).
        units: What stays together in the cross-fitting, shape (n,).
        seed: The recipe's seed.
    """
    table, _ = _reduced(features, None, seed)
    table = np.where(np.isnan(table), np.nanmedian(table, axis=0), table)
    probability = np.zeros(len(table))
    for seen, judged in _parts(units):
        model = ExtraTreesClassifier(
            200, min_samples_leaf=5, class_weight="balanced", n_jobs=2, random_state=derive_seed(seed, "check") % 2**31
        )
        model.fit(table[seen], is_test[seen])
        probability[judged] = model.predict_proba(table[judged])[:, 1]
    return float(roc_auc_score(is_test, probability))


def describe_likeness(likeness: Likeness, chosen: float | None = None) -> tuple[str, ...]:
    """What was found, in sentences.

    Args:
        likeness: Of all training samples.
        chosen: Area under the curve of the holdout against the test samples, where there is one.
    """
    if likeness.auc < ALIKE:
        return (f"Training and test samples look alike (AUC {likeness.auc:.2f}); any holdout resembles the test set.",)
    features = ", ".join(likeness.separating["feature"].head(3).to_list())
    after = "" if chosen is None else f"; against the holdout that was chosen, {chosen:.2f}"
    return (f"Training and test samples can be told apart (AUC {likeness.auc:.2f}{after}), most of all by {features}.",)


def _reduced(features: Floats, names: Sequence[str] | None, seed: int) -> tuple[NDArray[np.float64], list[str]]:
    """Wide tables (embeddings) by their principal components; narrow ones as they are."""
    labels = list(names) if names is not None else [f"column {number}" for number in range(features.shape[1])]
    table = np.asarray(features, np.float64)
    wide = [number for number, name in enumerate(labels) if name.startswith("embedding")]
    if len(wide) <= EMBEDDED:
        return table, labels
    values = np.nan_to_num(table[:, wide])
    components = PCA(EMBEDDED, random_state=derive_seed(seed, "components") % 2**31).fit_transform(values)
    rest = [number for number in range(len(labels)) if number not in set(wide)]
    reduced = [f"embedding component {number}" for number in range(EMBEDDED)]
    return np.hstack([table[:, rest], components]), [labels[number] for number in rest] + reduced


def _parts(units: Integers) -> list[tuple[Any, Any]]:
    folds = min(FOLDS, len(np.unique(units)))
    return list(GroupKFold(folds).split(units, groups=units))


def _alone(column: NDArray[np.float64], is_test: NDArray[np.bool_]) -> float:
    known = ~np.isnan(column)
    if len(np.unique(is_test[known])) < 2:
        return 0.5
    return float(roc_auc_score(is_test[known], column[known]))
