"""Classifiers of plugins: two functions of features, whose learned arrays are stored as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from holotype.classifiers.fitted import FittedClassifier
from holotype.classifiers.training_rows import TrainingRows
from holotype.core.errors import RecipeError
from holotype.core.registry import Registry
from holotype.recipe.sections.classifier import CustomClassifierSpec
from holotype.types import Floats

CLASSIFIERS = Registry("classifier")
"""Classes with two static methods: `fit(features, truth, weights, **options)` returns arrays by name, and
`logits(features, arrays)` returns logits, shape (n, classes).

Features have shape (n, width), float32; `truth` is a mask, shape (n, classes); `weights` are above 0, shape (n,)."""


@dataclass(frozen=True, eq=False)
class PluginClassifier(FittedClassifier):
    """Classifier of a plugin with the arrays that it learned."""

    method: ClassVar[str] = "plugin"

    stored: Mapping[str, NDArray[Any]]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store, by name."""
        return dict(self.stored)

    def _logits(self, features: Floats) -> NDArray[np.floating]:
        name = str(self.summary["name"])
        logits = np.asarray(CLASSIFIERS[name].logits(features, self.stored))  # type: ignore[attr-defined]
        expected = (len(features), self.classes)
        if logits.shape != expected or not np.isfinite(logits).all():
            raise _plugin_error(name, f"`logits` returns shape {logits.shape}, not finite values of shape {expected}")
        return logits


def fit_custom(rows: TrainingRows, spec: CustomClassifierSpec) -> PluginClassifier:
    """Fit a classifier of a plugin.

    Raises:
        RecipeError: Its `fit` returns no arrays by name.
    """
    targets = rows.targets
    part: Any = CLASSIFIERS[spec.name]
    stored = part.fit(rows.features, targets.dense(), targets.weights, **spec.options)
    if not isinstance(stored, Mapping) or not all(isinstance(value, np.ndarray) for value in stored.values()):
        raise _plugin_error(spec.name, f"`fit` returns {type(stored).__name__}, not arrays by name")
    summary = {"kind": "custom", "name": spec.name, "options": spec.options}
    return PluginClassifier(targets.kind, targets.classes, rows.features.shape[1], summary, dict(stored))


def _plugin_error(name: str, fault: str) -> RecipeError:
    message = f"the classifier {name!r} does not fit: {fault}"
    return RecipeError(message, field="classifier", value=name, remedy="correct the plugin")
