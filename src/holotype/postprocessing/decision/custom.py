"""Decision rules of plugins: functions from probabilities to labels, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from holotype.core.errors import RecipeError
from holotype.core.registry import Registry
from holotype.evaluation.metrics import probabilities
from holotype.types import Booleans, Floats, Kind

DECISIONS = Registry("decision")
"""Functions `(probability, kind, **options)` of probabilities, shape (samples, classes), float64, and of the kind of
labels, that return a mask of the decided labels of the same shape."""


def decide_custom(name: str, options: Mapping[str, Any], logits: Floats, kind: Kind) -> Booleans:
    """Decided labels by a plugin's rule, shape (n, classes).

    Raises:
        RecipeError: The rule returns something else than a mask of this shape, or for multiclass data several labels
            of a sample.
    """
    decided = np.asarray(DECISIONS[name](probabilities(logits, kind), kind, **options))
    fault = ""
    if decided.shape != logits.shape or decided.dtype != np.bool_:
        fault = f"returns {decided.dtype} of shape {decided.shape}, not a mask of shape {logits.shape}"
    elif kind == "multiclass" and len(decided) and decided.sum(axis=1).max() > 1:
        fault = "gives a sample several labels, but data.labels.kind is 'multiclass'"
    if fault:
        raise RecipeError(f"the decision {name!r} {fault}", field="decision", value=name, remedy="correct the plugin")
    return decided
