"""What a report is made of: plain values, handed over by whoever ran the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.report.class_graph import ClassGraphData
from holotype.report.examples import ExampleImage, PictureData
from holotype.report.provenance import Provenance
from holotype.report.threshold_curves import ClassCurves
from holotype.types import AuditReport, Folds, Kind, Scorecard

__all__ = ["DatasetData", "EnsembleData", "LabelError", "Mistake", "Pair", "ReportData", "ReviewEffectData"]


@dataclass(frozen=True)
class Mistake:
    """A sample whose decided labels are not its own.

    Args:
        id: The sample's id.
        fold: The fold it belongs to; the models that scored it never saw it.
        truth: Its labels.
        decided: What the run decided.
        confidence: Probability of the likeliest label that was wrongly given, 0 to 1; where none was, how sure the run
            is that the sample lacks the label it has.
        pixels: Shape (channels, height, width), in the file's own units.
    """

    id: str
    fold: int
    truth: tuple[str, ...]
    decided: tuple[str, ...]
    confidence: float
    pixels: NDArray[Any]

    @property
    def only_misses(self) -> bool:
        """Whether every decided label is right, and others are missing."""
        return set(self.decided) < set(self.truth)


@dataclass(frozen=True)
class Pair:
    """Two images that were found to be the same specimen.

    Args:
        ids: Of the two images.
        roles: `train`, `external` or `test` for each.
        labels: The labels of each; empty where they are unknown.
        kind: `exact` or `near`.
        similarity: Of the pixels, at most 1.
        action: What was done, in a word or two: `grouped`, `dropped`, `reported`.
        pixels: Two arrays of shape (channels, height, width), in the files' own units.
    """

    ids: tuple[str, str]
    roles: tuple[str, str]
    labels: tuple[tuple[str, ...], tuple[str, ...]]
    kind: str
    similarity: float
    action: str
    pixels: tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class LabelError:
    """A sample whose given labels are likely wrong, judged by networks that never saw it.

    Args:
        id: The sample's id.
        labels: The labels in the table.
        suggested: What the networks would say.
        quality: Probability from 0 to 1 that the given labels are right; the smallest are shown first.
        pixels: Shape (channels, height, width), in the file's own units.
    """

    id: str
    labels: tuple[str, ...]
    suggested: tuple[str, ...]
    quality: float
    pixels: NDArray[Any]


@dataclass(frozen=True)
class EnsembleData:
    """How models become one.

    Args:
        kind: Of the ensemble.
        weights: By model, summing to 1; of a stack those of the mean that it corrects.
        parts: Weights by domain, each by model, where domains have their own.
        importance: What a stack looks at: the share of each column, the largest first.
        pairs: One entry a pair of models: `first`, `second`, `disagreement`, `correlation`, `loss_first`,
            `loss_second`, `loss_mean`.
    """

    kind: str
    weights: dict[str, float]
    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    importance: dict[str, float] = field(default_factory=dict)
    pairs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class ReviewEffectData:
    """What a review of the labels changed.

    Args:
        counts: In words, how many samples have other labels, and so on.
        before: This run's score by the labels before the review: value, lower and upper end; none where no scored
            label changed.
        runs: Two runs by the reviewed labels: `samples`, `groups`, `earlier`, `now`, `difference` (`value`, `low`,
            `high`) and `how`; none where there is no run to compare with.
        reason: Why there is none.
    """

    counts: tuple[str, ...]
    before: tuple[float, float, float] | None = None
    runs: dict[str, Any] | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DatasetData:
    """What is known of the data before anything is trained: all that the audit's own page shows.

    Args:
        name: The run's name.
        classes: The class names in order.
        audit: What the audit found.
        folds: Which fold each sample belongs to.
        warnings: Sentences for people.
        channels: The channels' names, where there are any.
        fold_counts: Samples by (fold, class), shape (folds, classes), where it is known.
        pairs: Duplicates to show, the worst leaks first.
        statistics: `ImageStatistics.frame` with the column `role` beside it, or None.
    """

    name: str
    classes: tuple[str, ...]
    audit: AuditReport
    folds: Folds
    warnings: tuple[str, ...]
    channels: tuple[str, ...] | None = None
    fold_counts: NDArray[np.int64] | None = None
    pairs: tuple[Pair, ...] = ()
    statistics: pl.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class ReportData(DatasetData):
    """Everything the report of a run shows, beside what is known of its data.

    Args:
        metric: The name of the metric that every choice maximised.
        kind: One label a sample, or many.
        scorecard: The scores. An entry of its `classes` may hold `low` and `high` (or `f1_low` and `f1_high`), the
            95 % interval of the F1, and `threshold`.
        counts: Samples by (truth, decided), shape (classes, classes), in the order of `classes`. With many labels a
            sample, a sample counts in every cell of its true and its decided classes.
        histories: One frame a trained network by `model/fold0`: `epoch`, `phase`, `lr`, perhaps `rates` (of steps of
            the epoch, spread evenly), `train_loss`, `validation_loss`, `validation_score`, `images_per_second`,
            `seconds`; one row an epoch.
        mistakes: The worst first.
        samples: Specimens, in the order they are shown.
        recipe: The resolved recipe as YAML.
        facts: Versions, device, seconds by stage, and so on.
        label_errors: Likely wrong labels, the surest first.
        reliability: Mean probability, share that is true, and number of scores, shape (parts, 3).
        ensemble: How models become one.
        pictures: What networks look at, and samples to look at.
        review: What a review of the labels changed.
        curves: What each class's scores come to at every threshold.
        links: Which classes are confused, and which come together.
        provenance: How the run came about.
        finders: What rate finders measured, by `model/fold0/phase`: `rate`, `loss`, `smoothed`, `chosen`.
    """

    metric: str
    kind: Kind
    scorecard: Scorecard
    counts: NDArray[np.int64]
    histories: dict[str, pl.DataFrame]
    mistakes: list[Mistake]
    samples: list[ExampleImage]
    recipe: str
    facts: dict[str, str]
    label_errors: tuple[LabelError, ...] = ()
    reliability: NDArray[np.float64] | None = None
    ensemble: EnsembleData | None = None
    pictures: PictureData | None = None
    review: ReviewEffectData | None = None
    curves: ClassCurves | None = None
    links: ClassGraphData | None = None
    provenance: Provenance | None = None
    finders: dict[str, pl.DataFrame] = field(default_factory=dict)
