"""Out-of-distribution detection: simple signs that an image is unlike the training images, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from holotype.audit import describe_training, form_mismatch, input_warnings
from holotype.core.run_folder import RunFolder
from holotype.core.table_files import parquet_columns, read_parquet
from holotype.postprocessing.submission import read_scores
from holotype.types import AnyScores, Kind, OodReason, TopKScores

LOW_SCORE_QUANTILE = 0.01  # share of held-out images with a lower top score

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingRanges:
    """Training ranges: typical values of a run's training images.

    Args:
        score: Best score that new images of the same kind rarely fall below; None without out-of-fold scores.
        training: From `describe_training`; describes no image if the run has no statistics.
    """

    kind: Kind
    score: float | None
    training: Mapping[str, Any]

    @property
    def is_available(self) -> bool:
        """Tell if the run has statistics of its training images."""
        return bool(self.training["images"])

    def mismatch(self, depth: str, channels: int) -> str | None:
        """Explain why an image cannot be predicted: wrong number of channels, or wrong depth.

        Args:
            depth: NumPy dtype name of its pixels.
            channels: Number of channels.
        """
        return form_mismatch(self.training, depth, channels)


def best_scores(logits: AnyScores, kind: Kind) -> Doubles:
    """Maximum class score of each sample: log-probability (multiclass) or log-odds (multilabel).

    The maximum softmax probability is the baseline of Hendrycks & Gimpel 2017, "A baseline for detecting misclassified
    and
    out-of-distribution examples".

    Args:
        logits: Shape (n, classes).

    Returns:
        Shape (n,).
    """
    if isinstance(logits, TopKScores):
        return np.asarray(logits.top_logits[:, 0] - logits.total, np.float64)
    wide = np.asarray(logits, np.float64)
    return np.asarray((log_softmax(wide, axis=1) if kind == "multiclass" else wide).max(axis=1))


def low_score_threshold(logits: AnyScores, kind: Kind) -> float | None:
    """Best score that new images of the same kind rarely fall below.

    It lies below the first percentile of the held-out images, by half the distance from that percentile to the median.
    With
    few images the percentile is the minimum, and many new images would fall below it.

    Args:
        logits: Out-of-fold scores, shape (n, classes).
    """
    best = best_scores(logits, kind)
    if not len(best):
        return None
    low, median = np.quantile(best, (LOW_SCORE_QUANTILE, 0.5), method="lower")
    return float(low - (median - low) / 2)


def read_training_ranges(folder: RunFolder, kind: Kind, classes: int) -> TrainingRanges:
    """Read training ranges from the files of a finished run; what is missing there stays empty.

    Args:
        classes: Number of classes.
    """
    return TrainingRanges(
        kind, _read_score_threshold(folder.root / "oof.parquet", kind, classes), _read_training_summary(folder)
    )


def ood_reasons(
    ranges: TrainingRanges, score: float, facts: Mapping[str, Any], channels: Sequence[str]
) -> tuple[OodReason, ...]:
    """Reasons to call an image out of distribution.

    Args:
        score: From `best_scores`.
        facts: Measurements of the image, as in `input_warnings`.
        channels: Channel names; empty if they have none.
    """
    reasons = [OodReason(*fact) for fact in input_warnings(ranges.training, facts, channels)]
    if ranges.score is not None and score < ranges.score:
        best, least = (_probability(value, ranges.kind) for value in (score, ranges.score))
        words = (
            f"no class is likely: the best has {best:.1%}, and {1 - LOW_SCORE_QUANTILE:.0%} of the run's own images "
            f"had more "
            f"than {least:.1%} when they were held out"
        )
        reasons.append(OodReason("score", None, best, least, None, words))
    return tuple(reasons)


def warning_texts(
    ranges: TrainingRanges,
    logits: AnyScores,
    rows: Sequence[Sequence[int]],
    frame: pl.DataFrame,
    channels: Sequence[str],
) -> pl.Series:
    """Column `warning` of predictions: reasons why the images of each sample are unusual.

    Args:
        logits: Shape (samples, classes).
        rows: Image rows of each sample.
        frame: Rows of `ImageStatistics.frame`.
        channels: Channel names; empty if they have none.

    Returns:
        Null for samples that are not unusual.
    """
    texts: list[str | None] = []
    for score, sample_rows in zip(best_scores(logits, ranges.kind).tolist(), rows, strict=True):
        words: list[str] = []
        for row in sample_rows:
            facts = frame.row(row, named=True)
            prefix = f"{facts['id']}: " if len(sample_rows) > 1 else ""
            words += [prefix + reason.message for reason in ood_reasons(ranges, np.inf, facts, channels)]
        words += [reason.message for reason in ood_reasons(ranges, score, {}, channels)]
        texts.append("; ".join(words) or None)
    return pl.Series("warning", texts, dtype=pl.String)


def read_training_digests(folder: RunFolder) -> frozenset[str]:
    """Digests of the pixels of a run's training images; empty if the run has no statistics of them."""
    images, statistics = folder.root / "images.parquet", folder.root / "audit" / "statistics.parquet"
    if not (images.is_file() and statistics.is_file()) or "digest" not in parquet_columns(statistics):
        return frozenset()
    roles = read_parquet(images, columns=["role"])["role"]
    digests = read_parquet(statistics, columns=["digest"])["digest"]
    return frozenset(digests.filter(roles != "test").drop_nulls())


def _read_training_summary(folder: RunFolder) -> dict[str, Any]:
    images, statistics = folder.root / "images.parquet", folder.root / "audit" / "statistics.parquet"
    if not (images.is_file() and statistics.is_file()):
        return describe_training(pl.DataFrame())
    roles = read_parquet(images, columns=["role"])["role"]
    required = {"error", "channels", "depth", "height", "width", "mean", "deviation", "min", "max"}
    if not required <= set(parquet_columns(statistics)):
        return describe_training(pl.DataFrame())
    return describe_training(read_parquet(statistics).filter(roles != "test"))


def _read_score_threshold(path: Path, kind: Kind, classes: int) -> float | None:
    return low_score_threshold(read_scores(path, classes)[1], kind) if path.is_file() else None


def _probability(score: float, kind: Kind) -> float:
    return float(np.exp(score) if kind == "multiclass" else expit(score))
