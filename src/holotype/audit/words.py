"""What was found of duplicates, in sentences."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.audit.duplicates import Duplicates
from holotype.errors import listing
from holotype.types import ImageTable, Integers

__all__ = ["duplicate_warnings"]

NAMED_AT_MOST = 5


def duplicate_warnings(images: ImageTable, same: Duplicates, action: NDArray[np.str_]) -> list[str]:
    """One sentence for each pair of roles that duplicates join, and for what was done about it.

    Args:
        images: The table.
        same: What was found to be the same.
        action: What was done about each image, shape (rows,), from `duplicate_actions`.
    """
    ids, cluster, roles = images.frame["id"], same.cluster, images.frame["role"].to_numpy().astype(np.str_)
    near = same.links.filter(pl.col("kind") == "near")
    alike = np.isin(np.arange(len(images)), near.select("row", "other").to_numpy())
    train, external, test = (roles == role for role in ("train", "external", "test"))
    with_train, with_test = _beside(cluster, train), _beside(cluster, test)
    repeated = train & _beside(cluster, train, least=2)
    done = {"grouped": "grouped into one fold", "dropped": "dropped from training", "kept": "kept as they are",
            "validated": "made a validation set of their own"}  # fmt: skip
    cases = [
        (repeated, "training", "another one"),
        (external & with_train, "external", "a training image"),
        (external & with_test, "external", "a test image"),
    ]
    warnings = []
    for chosen, role, like in cases:
        words = [(word, int((chosen & (action == word)).sum())) for word in done]
        told = ", ".join(f"{count:,} {done[word]}" for word, count in words if count)
        if told:
            warnings.append(f"{_are_copies(chosen, alike, role)} of {like}: {told} ({_some(ids, chosen)}).")
    flattered = test & with_train
    if flattered.any():
        warnings.append(
            f"{_are_copies(flattered, alike, 'test')} of a training image: the networks learnt them, and a score of "
            f"the test rows would flatter; the out-of-fold score does not count them ({_some(ids, flattered)})."
        )
    return warnings


def _are_copies(chosen: NDArray[np.bool_], alike: NDArray[np.bool_], role: str) -> str:
    """Whether they have the very pixels or only show the same."""
    near, one = int((chosen & alike).sum()), chosen.sum() == 1
    verb = ("has" if one else "have") if not near else ("shows" if one else "show")
    what = "the pixels" if not near else "the same picture" if near == chosen.sum() else "the pixels or the picture"
    return f"{chosen.sum():,} {role} {'image' if one else 'images'} {verb} {what}"


def _beside(cluster: Integers, chosen: NDArray[np.bool_], least: int = 1) -> NDArray[np.bool_]:
    """Which images lie in a cluster with at least so many chosen ones."""
    numbers, counts = np.unique(cluster[chosen & (cluster >= 0)], return_counts=True)
    return np.isin(cluster, numbers[counts >= least])


def _some(ids: pl.Series, chosen: NDArray[np.bool_]) -> str:
    return listing(ids.filter(pl.Series(chosen)).to_list(), NAMED_AT_MOST)
