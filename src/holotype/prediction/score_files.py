"""Score files: the logits of a network as NPY, in the folder of a cached step."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from holotype.types import AnyScores, TopKScores

TOPK_PARTS = ("top_classes", "top_logits", "rest_logsumexp")


def save_scores(folder: Path, name: str, scores: AnyScores) -> None:
    """Write scores as NPY: one file, or three if only the top classes are kept."""
    if not isinstance(scores, TopKScores):
        np.save(folder / f"{name}.npy", scores, allow_pickle=False)
        return
    for part in TOPK_PARTS:
        np.save(folder / f"{name}.{part}.npy", getattr(scores, part), allow_pickle=False)


def load_scores(folder: Path, name: str, classes: int) -> AnyScores:
    """Read what `save_scores` wrote."""
    path = folder / f"{name}.npy"
    if path.is_file():
        return np.asarray(np.load(path, allow_pickle=False))
    return TopKScores(classes, *(np.load(folder / f"{name}.{part}.npy", allow_pickle=False) for part in TOPK_PARTS))
