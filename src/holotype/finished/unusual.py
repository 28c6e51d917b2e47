"""Whether an image is unlike those that a run was trained on: plain, cheap signs, said in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from holotype.runs import RunFolder
from holotype.serve import Warned
from holotype.submit import read_scores
from holotype.table_files import read_parquet
from holotype.types import AnyScores, Kind, TopScores

__all__ = ["Usual", "best_scores", "read_usual", "unusual"]

LEAST_SURE = 0.01  # of the run's own images, when they were held out, are as unsure
OUTSIDE = 0.001  # of the training images lie below, and as many above
WORDS = {"mean": ("darker", "brighter"), "deviation": ("of less contrast", "of more contrast")}
MEASURED = {"mean": "mean", "deviation": "standard deviation"}

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Usual:
    """What the images of a run are like.

    Args:
        kind: `multiclass` or `multilabel`.
        score: The best score below which the least sure of its held-out images lie; none without such scores.
        ranges: By statistic, the least and the most that is usual of each channel, shape (2, channels).
        depths: The pixels' types.
        images: How many training images were measured.
    """

    kind: Kind
    score: float | None
    ranges: dict[str, Doubles]
    depths: tuple[str, ...]
    images: int


def best_scores(logits: AnyScores, kind: Kind) -> Doubles:
    """The score of each sample's likeliest class: a log-probability, or log-odds where labels are many.

    The largest softmax probability is the plain baseline of Hendrycks & Gimpel 2017, "A baseline for detecting
    misclassified and out-of-distribution examples".

    Args:
        logits: Shape (n, classes).
        kind: `multiclass` or `multilabel`.

    Returns:
        Shape (n,).
    """
    if isinstance(logits, TopScores):
        return np.asarray(logits.logit[:, 0] - logits.total, np.float64)
    wide = np.asarray(logits, np.float64)
    return np.asarray((log_softmax(wide, axis=1) if kind == "multiclass" else wide).max(axis=1))


def read_usual(folder: RunFolder, kind: Kind, classes: int) -> Usual:
    """What the images of a finished run are like, by its own files.

    Args:
        folder: The run's.
        kind: `multiclass` or `multilabel`.
        classes: How many there are.
    """
    roles = read_parquet(folder.existing("images.parquet"), columns=["role"])["role"]
    frame = read_parquet(folder.existing("audit/statistics.parquet")).filter(roles != "test")
    frame = frame.filter(pl.col("error").is_null())
    ranges = {}
    for name in MEASURED if frame.height else ():
        values = np.array(frame[name].to_list(), np.float64)
        low, high = (np.quantile(values, share, axis=0, method=method)  # type: ignore[call-overload]
                     for share, method in ((OUTSIDE, "lower"), (1 - OUTSIDE, "higher")))  # fmt: skip
        ranges[name] = np.stack([low, high])
    path, score = folder.root / "oof.parquet", None
    if path.is_file():
        own = best_scores(read_scores(path, classes)[1], kind)
        score = float(np.quantile(own, LEAST_SURE, method="lower")) if len(own) else None
    return Usual(kind, score, ranges, tuple(sorted(frame["depth"].unique().to_list())), frame.height)


def unusual(usual: Usual, score: float, facts: dict[str, Any], channels: Sequence[str]) -> tuple[Warned, ...]:
    """In which respects an image is unusual.

    Args:
        usual: From `read_usual`.
        score: From `best_scores`.
        facts: What was measured of it: `mean` and `deviation` a channel, `depth`.
        channels: The channels' names; none where they have none.
    """
    found = []
    if usual.depths and facts["depth"] not in usual.depths:
        words = f"its pixels are {facts['depth']}, and those of the training images {' or '.join(usual.depths)}"
        found.append(Warned("depth", None, None, None, None, words))
    for name, limits in usual.ranges.items():
        for number, value in enumerate(facts[name]):
            low, high = (float(limit[number]) for limit in limits)
            if low <= value <= high:
                continue
            channel = channels[number] if channels else str(number + 1) if limits.shape[1] > 1 else None
            subject = "it" if channel is None else f"channel {channel}"
            words = f"{subject} is {WORDS[name][value > high]} than nearly all training images: " \
                    f"{MEASURED[name]} {value:.4g}, usually {low:.4g} to {high:.4g}"  # fmt: skip
            found.append(Warned(name, channel, float(value), low, high, words))
    if usual.score is not None and score < usual.score:
        said, least = (_probability(one, usual.kind) for one in (score, usual.score))
        words = (
            f"no class is likely: the best has {said:.1%}, and {1 - LEAST_SURE:.0%} of the run's own images had more "
            f"than {least:.1%} when they were held out"
        )
        found.append(Warned("score", None, said, least, None, words))
    return tuple(found)


def _probability(score: float, kind: Kind) -> float:
    return float(np.exp(score) if kind == "multiclass" else expit(score))
