"""What a proposed recipe says of its model: size, epochs, how rows are drawn, neighbours; each with its reason."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np
import polars as pl

from holotype.core.runtime import Runtime
from holotype.inspect.inspect_folder import FolderFindings
from holotype.inspect.labels import LabelGuess
from holotype.planning.candidates import (
    ENLARGED,
    HIGH_IMBALANCE,
    MAX_NEIGHBOR_IMAGES,
    MAX_SIZE,
    STEP,
    imbalance_ratio,
    sufficient_epochs,
)
from holotype.planning.costs import DatasetSize
from holotype.recipe.sections import PhaseSpec

__all__ = ["propose_model", "propose_size"]

MIN_SIZE, LARGE = 64, 224
FEW = 50
"""Below this many images in the class in the middle, the nearest specimens know much that a network has not learnt."""
MAX_EPOCHS = 24  # of a set that is so small that more of them learn it by heart


def propose_model(findings: FolderFindings, labels: LabelGuess, folds: int) -> tuple[dict[str, Any], dict[str, str]]:
    """The model's section, and by address why it says what it says.

    Args:
        findings: From `look`.
        labels: What the label column holds.
        folds: How many folds are proposed.
    """
    size, why = propose_size(findings.headers)
    model: dict[str, Any] = {"input": {"size": size}}
    reasons = {"input.size": why}
    test = findings.file_match.test
    facts = DatasetSize(
        rows=findings.file_match.train.height,
        joined=0,
        test=0 if test is None else test.height,
        folds=folds,
        longest=size,
        counts=tuple(labels.counts.values()),
        batch=Runtime().batch,
    )
    epochs = min(sufficient_epochs(facts), MAX_EPOCHS)
    if epochs != PhaseSpec().epochs:
        model["phases"] = [{"epochs": epochs}]
        reasons["phases"] = f"{epochs * facts.steps:,} steps of {facts.batch} images a network"
    if imbalance_ratio(facts) >= HIGH_IMBALANCE:
        model["sampler"] = "sqrt"
        reasons["sampler"] = (
            f"rare classes are drawn more often: the commonest has {imbalance_ratio(facts):.0f} times as "
            "many images as the rarest"
        )
    middle = median(labels.counts.values())
    if middle < FEW and facts.rows <= MAX_NEIGHBOR_IMAGES:
        model["neighbors"] = {"k": 5}
        reasons["neighbors"] = (
            f"half of the classes have {middle:.0f} images or fewer: the labels of the five "
            "nearest training specimens vote as well, weighed out of fold"
        )
    return model, reasons


def propose_size(headers: pl.DataFrame) -> tuple[int, str]:
    """The side of the network's input in pixels, and why: the images' longest side, within bounds; small ones enlarged.

    Args:
        headers: Columns `height` and `width`; where sizes differ, the median of the longer sides counts.
    """
    sides = headers.select(pl.max_horizontal("height", "width")).to_series()
    longest, smallest, largest = (round(float(side)) for side in np.quantile(sides.to_numpy(), (0.5, 0.0, 1.0)))
    rounded = -(-min(max(longest, MIN_SIZE), LARGE) // STEP) * STEP
    enlarged = min(int(ENLARGED * longest) // STEP * STEP, MAX_SIZE)
    size = max(rounded, enlarged)
    size_range = f"{longest} px" if smallest == largest else f"{smallest} to {largest} px, mostly about {longest}"
    why = f"the images' longest side is {size_range}"
    if enlarged > rounded:
        why += "; small images are learnt better when they are enlarged"
    elif longest < MIN_SIZE:
        why += f"; below {MIN_SIZE} networks see little"
    elif longest > LARGE:
        why += f", and {LARGE} is enough to begin with: more shows more and is slower, twice the side four times"
    elif longest < size:
        why += f", rounded up to a multiple of {STEP}"
    return size, why
