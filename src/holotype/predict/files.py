"""What a network says, as files of a stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from holotype.types import AnyScores, TopScores

__all__ = ["load_said", "save_said"]

PARTS = ("top", "logit", "rest")


def save_said(folder: Path, name: str, scores: AnyScores) -> None:
    """Write scores as NPY: one file, or three where only the likeliest classes are known.

    Args:
        folder: An existing folder.
        name: The file's, without its ending.
        scores: Shape (n, classes).
    """
    if not isinstance(scores, TopScores):
        np.save(folder / f"{name}.npy", scores, allow_pickle=False)
        return
    for part in PARTS:
        np.save(folder / f"{name}.{part}.npy", getattr(scores, part), allow_pickle=False)


def load_said(folder: Path, name: str, classes: int) -> AnyScores:
    """Read what `save_said` wrote.

    Args:
        folder: Where it lies.
        name: The file's, without its ending.
        classes: How many there are.
    """
    whole = folder / f"{name}.npy"
    if whole.is_file():
        return np.asarray(np.load(whole, allow_pickle=False))
    return TopScores(classes, *(np.load(folder / f"{name}.{part}.npy", allow_pickle=False) for part in PARTS))
