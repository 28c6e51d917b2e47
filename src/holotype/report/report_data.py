"""Report data: plain values from a finished run."""

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


@dataclass(frozen=True)
class Mistake:
    """Sample with a wrong prediction.

    Args:
        fold: Fold of the sample; the models that predicted it were not trained on this fold.
        confidence: Probability of the most probable wrongly predicted label, 0 to 1; if labels were only missed, the
            probability that the missed label is absent.
        pixels: Shape (channels, height, width), in the units of the file.
    """

    id: str
    fold: int
    truth: tuple[str, ...]
    decided: tuple[str, ...]
    confidence: float
    pixels: NDArray[Any]

    @property
    def only_misses(self) -> bool:
        """True if all predicted labels are right and others are missing."""
        return set(self.decided) < set(self.truth)


@dataclass(frozen=True)
class Pair:
    """Two duplicate images.

    Args:
        roles: `train`, `external` or `test` for each.
        kind: `exact` or `near`.
        similarity: Pixel correlation, at most 1.
        action: Action taken: `grouped`, `dropped`, `reported`.
        pixels: Two arrays of shape (channels, height, width), in the units of the files.
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
    """Sample whose label in the table is probably wrong, judged by networks that were not trained on it.

    Args:
        quality: Probability from 0 to 1 that the labels in the table are right; the smallest are shown first.
        pixels: Shape (channels, height, width), in the units of the file.
    """

    id: str
    labels: tuple[str, ...]
    suggested: tuple[str, ...]
    quality: float
    pixels: NDArray[Any]


@dataclass(frozen=True)
class EnsembleData:
    """Ensemble weights and model similarity.

    Args:
        weights: Weight of each model, summing to 1; for a stack, the weights of the mean that it corrects.
        pairs: One entry per pair of models: `first`, `second`, `disagreement`, `correlation`, `loss_first`,
            `loss_second`, `loss_mean`.
    """

    kind: str
    weights: dict[str, float]
    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    importance: dict[str, float] = field(default_factory=dict)
    pairs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class ReviewEffectData:
    """Effect of a label review.

    Args:
        counts: Clauses such as how many samples got other labels.
        before: Score of this run against the labels before the review: value, lower and upper end; None if no scored
            label changed.
        runs: Comparison with the reviewed run: `samples`, `groups`, `earlier`, `now`, `difference` (`value`, `low`,
            `high`) and `method`; None without such a run.
    """

    counts: tuple[str, ...]
    before: tuple[float, float, float] | None = None
    runs: dict[str, Any] | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DatasetData:
    """Dataset, audit and folds: the data of an audit page.

    Args:
        fold_counts: Samples by (fold, class), shape (folds, classes), if known.
        pairs: Duplicates to show, the worst leaks first.
        statistics: `ImageStatistics.frame` with the column `role`, or None.
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
    """Data of a run report.

    Args:
        scorecard: Scores. An entry of `classes` may have `low` and `high` (or `f1_low` and `f1_high`), the 95 %
            interval of the F1, and `threshold`.
        counts: Samples by (true, predicted) class, shape (classes, classes). Multilabel: a sample counts in every cell
            of its true and its predicted classes.
        histories: Training history by `model/fold0`, one row per epoch: `epoch`, `phase`, `lr`, optionally `rates` (of
            evenly spaced steps of the epoch), `train_loss`, `validation_loss`, `validation_score`, `images_per_second`,
            `seconds`.
        label_error_count: Number of all probable label errors; None if all are shown.
        reliability: Mean probability, share of right predictions, and count per bin, shape (bins, 3).
        finders: Learning-rate finder curves by `model/fold0/phase`: `rate`, `loss`, `smoothed`, `suggestion`.
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
    label_error_count: int | None = None
    reliability: NDArray[np.float64] | None = None
    ensemble: EnsembleData | None = None
    pictures: PictureData | None = None
    review: ReviewEffectData | None = None
    curves: ClassCurves | None = None
    links: ClassGraphData | None = None
    provenance: Provenance | None = None
    finders: dict[str, pl.DataFrame] = field(default_factory=dict)
