"""Proposal of the model: input size, epochs, sampler and neighbors, each with its reason."""

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

MIN_SIZE, LARGE = 64, 224
FEW = 50
"""With a median class size below this, nearest neighbors add to what a network learns."""
MAX_EPOCHS = 24  # more would overfit small data sets


def propose_model(findings: FolderFindings, labels: LabelGuess, folds: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Propose the model section, and the reason of each key."""
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
        reasons["phases"] = f"{epochs * facts.steps:,} training steps of {facts.batch} images per network"
    if imbalance_ratio(facts) >= HIGH_IMBALANCE:
        model["sampler"] = "sqrt"
        reasons["sampler"] = (
            f"rare classes are sampled more often, because the most frequent class has {imbalance_ratio(facts):.0f} "
            "times as many images as the rarest"
        )
    middle = median(labels.counts.values())
    if middle < FEW and facts.rows <= MAX_NEIGHBOR_IMAGES:
        model["neighbors"] = {"k": 5}
        reasons["neighbors"] = (
            f"half of the classes have {middle:.0f} images or fewer, so the labels of the five nearest training images "
            "vote as well; their weight is fitted out-of-fold"
        )
    return model, reasons


def propose_size(headers: pl.DataFrame) -> tuple[int, str]:
    """Propose the input size in pixels, with its reason: the bounded longest side; small images are enlarged.

    `headers`: columns `height` and `width`; if sizes differ, the median of the longest sides is used.
    """
    sides = headers.select(pl.max_horizontal("height", "width")).to_series()
    longest, smallest, largest = (round(float(side)) for side in np.quantile(sides.to_numpy(), (0.5, 0.0, 1.0)))
    rounded = -(-min(max(longest, MIN_SIZE), LARGE) // STEP) * STEP
    enlarged = min(int(ENLARGED * longest) // STEP * STEP, MAX_SIZE)
    size = max(rounded, enlarged)
    size_range = f"{longest} px" if smallest == largest else f"{smallest} to {largest} px, mostly about {longest}"
    why = f"the longest side of the images is {size_range}"
    if enlarged > rounded:
        why += "; small images train better when enlarged"
    elif longest < MIN_SIZE:
        why += f"; networks see little below {MIN_SIZE} px"
    elif longest > LARGE:
        why += f"; {LARGE} px is a good start: twice the size shows more detail but is four times slower"
    elif longest < size:
        why += f", rounded up to a multiple of {STEP}"
    return size, why
