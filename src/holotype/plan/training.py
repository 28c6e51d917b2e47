"""What a proposed recipe says of its member: size, epochs, how rows are drawn, neighbours; each with its reason."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np
import polars as pl

from holotype.plan.costs import DataFacts
from holotype.plan.ladder import ENLARGED, LARGEST, MOST_SPECIMENS, STEP, UNEVEN, enough_epochs, unevenness
from holotype.plan.survey import Findings, LabelGuess
from holotype.runtime import Runtime
from holotype.spec import PhaseSpec

__all__ = ["propose_member", "propose_size"]

SMALLEST, LARGE = 64, 224
FEW = 50
"""Below this many images in the class in the middle, the nearest specimens know much that a network has not learnt."""
MOST_EPOCHS = 24  # of a set that is so small that more of them learn it by heart


def propose_member(findings: Findings, labels: LabelGuess, folds: int) -> tuple[dict[str, Any], dict[str, str]]:
    """The member's section, and by address why it says what it says.

    Args:
        findings: From `look`.
        labels: What the label column holds.
        folds: How many folds are proposed.
    """
    size, why = propose_size(findings.headers)
    member: dict[str, Any] = {"input": {"size": size}}
    reasons = {"input.size": why}
    test = findings.naming.test
    facts = DataFacts(
        rows=findings.naming.train.height, joined=0, test=0 if test is None else test.height, folds=folds, longest=size,
        counts=tuple(labels.counts.values()), batch=Runtime().batch,
    )  # fmt: skip
    epochs = min(enough_epochs(facts), MOST_EPOCHS)
    if epochs != PhaseSpec().epochs:
        member["phases"] = [{"epochs": epochs}]
        reasons["phases"] = f"{epochs * facts.steps:,} steps of {facts.batch} images a network"
    if unevenness(facts) >= UNEVEN:
        member["sampler"] = "sqrt"
        reasons["sampler"] = (f"rare classes are drawn more often: the commonest has {unevenness(facts):.0f} times as "
                              "many images as the rarest")  # fmt: skip
    middle = median(labels.counts.values())
    if middle < FEW and facts.rows <= MOST_SPECIMENS:
        member["neighbours"] = {"k": 5}
        reasons["neighbours"] = (f"half of the classes have {middle:.0f} images or fewer: the labels of the five "
                                 "nearest training specimens vote as well, weighed out of fold")  # fmt: skip
    return member, reasons


def propose_size(headers: pl.DataFrame) -> tuple[int, str]:
    """The side of the network's input in pixels, and why: the images' longest side, within bounds; small ones enlarged.

    Args:
        headers: Columns `height` and `width`; where sizes differ, the median of the longer sides counts.
    """
    sides = headers.select(pl.max_horizontal("height", "width")).to_series()
    longest, least, most = (round(float(side)) for side in np.quantile(sides.to_numpy(), (0.5, 0.0, 1.0)))
    rounded = -(-min(max(longest, SMALLEST), LARGE) // STEP) * STEP
    enlarged = min(int(ENLARGED * longest) // STEP * STEP, LARGEST)
    size = max(rounded, enlarged)
    seen = f"{longest} px" if least == most else f"{least} to {most} px, mostly about {longest}"
    why = f"the images' longest side is {seen}"
    if enlarged > rounded:
        why += "; small images are learnt better when they are enlarged"
    elif longest < SMALLEST:
        why += f"; below {SMALLEST} networks see little"
    elif longest > LARGE:
        why += f", and {LARGE} is enough to begin with: more shows more and is slower, twice the side four times"
    elif longest < size:
        why += f", rounded up to a multiple of {STEP}"
    return size, why
