"""Warnings about duplicates."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.audit.duplicates import Duplicates
from holotype.audit.image_checks import list_examples
from holotype.types import ImageTable, Integers


def duplicate_warnings(images: ImageTable, same: Duplicates, action: NDArray[np.str_]) -> list[str]:
    """Describe the duplicates between each pair of roles, and the action taken on them.

    `action`: action on each image, shape (rows,), from `duplicate_actions`.
    """
    ids, cluster, roles = images.frame["id"], same.cluster, images.frame["role"].to_numpy().astype(np.str_)
    near = same.pairs.filter(pl.col("kind") == "near")
    is_near = np.isin(np.arange(len(images)), near.select("row", "other").to_numpy())
    train, external, test = (roles == role for role in ("train", "external", "test"))
    with_train, with_test = _in_cluster_with(cluster, train), _in_cluster_with(cluster, test)
    repeated = train & _in_cluster_with(cluster, train, min_count=2)
    done = {
        "grouped": "grouped into one fold",
        "dropped": "dropped from training",
        "kept": "kept as they are",
        "validated": "used as a separate validation set",
    }
    cases = [
        (repeated, "training", "another one"),
        (external & with_train, "external", "a training image"),
        (external & with_test, "external", "a test image"),
    ]
    warnings = []
    for mask, role, like in cases:
        words = [(word, int((mask & (action == word)).sum())) for word in done]
        actions = ", ".join(f"{count:,} {done[word]}" for word, count in words if count)
        if actions:
            warnings.append(
                f"{_describe_copies(mask, is_near, role)} as {like}: {actions} ({list_examples(ids, mask)})."
            )
    flattered = test & with_train
    if flattered.any():
        warnings.append(
            f"{_describe_copies(flattered, is_near, 'test')} as a training image: a score on the test rows "
            f"would be too high because of them; the out-of-fold score does not count them "
            f"({list_examples(ids, flattered)})."
        )
    return warnings


def _describe_copies(mask: NDArray[np.bool_], is_near: NDArray[np.bool_], role: str) -> str:
    near, is_single = int((mask & is_near).sum()), mask.sum() == 1
    verb = ("has" if is_single else "have") if not near else ("shows" if is_single else "show")
    what = "pixels" if not near else "picture" if near == mask.sum() else "pixels or picture"
    return f"{mask.sum():,} {role} {'image' if is_single else 'images'} {verb} the same {what}"


def _in_cluster_with(cluster: Integers, mask: NDArray[np.bool_], min_count: int = 1) -> NDArray[np.bool_]:
    """Mask of the images whose cluster has at least `min_count` images of `mask`."""
    numbers, counts = np.unique(cluster[mask & (cluster >= 0)], return_counts=True)
    return np.isin(cluster, numbers[counts >= min_count])
