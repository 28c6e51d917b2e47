"""Fitted classifiers: frozen arrays that turn features into logits, and their files."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from holotype.core.digest import digest_file
from holotype.core.errors import DataError, StoreError, join_names
from holotype.types import Floats, Kind

__all__ = ["ARRAYS", "FACTS", "FittedClassifier", "check_features"]

ARRAYS, FACTS = "classifier.safetensors", "classifier.json"
MAX_LISTED = 5


@dataclass(frozen=True, eq=False)
class FittedClassifier(ABC):
    """Fitted classifier: a function from features to logits.

    Args:
        kind: Kind of the labels.
        classes: Number of classes, those without a training row included.
        width: Number of features.
        summary: Settings and selection, as `describe` returns them; JSON values.
    """

    method: ClassVar[str]
    allows_missing: ClassVar[bool] = False

    kind: Kind
    classes: int
    width: int
    summary: Mapping[str, Any]

    def logits(self, features: Floats) -> Floats:
        """Predict logits: log-odds (multilabel) or arguments of a softmax (multiclass), finite, shape (n, classes).

        Args:
            features: Shape (n, width).

        Raises:
            DataError: The width differs from that of the training rows, or a feature is not finite (for LightGBM,
                infinite).
        """
        checked = check_features(features, allow_missing=self.allows_missing)
        if checked.shape[1] != self.width:
            raise DataError(
                f"the classifier was fitted on {self.width:,} features, but these rows have {checked.shape[1]:,}",
                field="features",
                remedy="pass the same features in the same order as for the fit",
            )
        return np.asarray(self._logits(checked), np.float32)

    def describe(self) -> dict[str, Any]:
        """Summary of settings and selection: kind, solver, selected strength, log loss of the inner folds."""
        return dict(self.summary)

    def as_linear(self) -> tuple[Floats, Floats] | None:
        """Weight, shape (classes, width), and bias, shape (classes,), in the scale of the features; None if not linear.

        `features @ weight.T + bias` are the logits, so that the pair can be a last linear layer of the backbone.
        Features must first be clipped to the `lower` and `upper` of the classifier.
        """
        return None

    def feature_importances(self) -> Floats | None:
        """Importance of each feature, at least 0, shape (width,); None if the method has none."""
        return None

    def save(self, folder: Path) -> None:
        """Write arrays as safetensors, facts as JSON, and trees in LightGBM's text format.

        The same classifier gives the same bytes. The facts are written last and hold the digests of the other files, so
        that a part of a classifier is never loaded.

        Raises:
            StoreError: A file cannot be written.
        """
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(values) for name, values in sorted(self.arrays().items())}
        parts = {ARRAYS: save(arrays), **{name: text.encode() for name, text in self.texts().items()}}
        facts: dict[str, Any] = {"method": self.method, "kind": self.kind, "classes": self.classes, "width": self.width}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, data in parts.items():
                (folder / name).write_bytes(data)
            facts |= {"summary": dict(self.summary), "files": {name: digest_file(folder / name) for name in parts}}
            (folder / FACTS).write_bytes(json.dumps(facts, indent=1).encode())
        except OSError as error:
            raise StoreError(
                f"the classifier cannot be written into {folder}: {error.strerror or error}",
                remedy="free some disk space and run the same command again",
            ) from error

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store, by name."""

    def texts(self) -> dict[str, str]:
        """Text files to store, by file name."""
        return {}

    @abstractmethod
    def _logits(self, features: Floats) -> NDArray[np.floating]: ...


def check_features(features: Floats, *, allow_missing: bool = False) -> Floats:
    """Check features and convert them to float32.

    Args:
        allow_missing: True if NaN stands for a missing value.

    Raises:
        DataError: The shape is not (n, width), or a value is infinite or missing.
    """
    values = np.ascontiguousarray(features, np.float32)
    if values.ndim != 2 or not values.shape[1]:
        raise DataError(
            f"features need the shape (rows, width), got {values.shape}",
            field="features",
            remedy="pass one row of features per sample",
        )
    is_bad = np.isinf(values) if allow_missing else ~np.isfinite(values)
    if is_bad.any():
        rows, columns = np.flatnonzero(is_bad.any(axis=1)), np.flatnonzero(is_bad.any(axis=0))
        raise DataError(
            f"{int(is_bad.sum()):,} values are {'infinite' if allow_missing else 'missing or infinite'}, in "
            f"{len(rows):,} rows (such as {join_names(rows, MAX_LISTED)}) and {len(columns):,} columns (such as "
            f"{join_names(columns, MAX_LISTED)})",
            field="features",
            remedy="leave these rows or columns out"
            + ("" if allow_missing else ", or use kind: lightgbm, which allows missing values"),
        )
    return values
