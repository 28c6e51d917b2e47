"""Check that no independent group crosses a fold."""

from __future__ import annotations

import numpy as np

from holotype.core.errors import HolotypeError
from holotype.types import Integers


def crossing_components(folds: Integers, components: Integers) -> Integers:
    """Components with samples in more than one fold.

    `folds`: fold of each sample, shape (n,); `components`: component of each sample, shape (n,).
    """
    order = np.lexsort((folds, components))
    same = components[order][1:] == components[order][:-1]
    return np.unique(components[order][1:][same & (folds[order][1:] != folds[order][:-1])])


def prove_disjoint(folds: Integers, components: Integers) -> None:
    """Check that no component crosses a fold.

    `folds`: fold of each sample that trains or is scored, shape (n,); -1 trains in every fold; `components`: component
    of each sample, shape (n,). Raises HolotypeError if a component has samples in two folds.
    """
    crossing = crossing_components(folds, components)
    if len(crossing):
        inside = folds[components == crossing[0]]
        raise HolotypeError(
            f"{len(crossing):,} components of samples that belong together cross folds; "
            f"component {crossing[0]} lies in folds {sorted({int(fold) for fold in inside})}"
        )
