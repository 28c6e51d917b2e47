"""Types of predictions, of what is fitted to them, and of scores. Evidence of different kinds has different types."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import HolotypeError
from holotype.types.images import Floats, Integers, Kind
from holotype.types.taxonomy import NO_RANKS, Ranks
from holotype.types.topk_scores import AnyScores


@dataclass(frozen=True)
class Checkpoint:
    """Trained network on disk.

    Args:
        folder: Holds `weights.safetensors`, `card.json` and `history.parquet`.
        card: Recipe of the model, classes, channels, normalization, size, versions and digests.
    """

    folder: Path
    card: dict[str, Any]

    @property
    def fold(self) -> int:
        """Fold that the network was not trained on."""
        return int(self.card["fold"])


@dataclass(frozen=True)
class Predictions:
    """Scores of some images by one network, pooled over test-time augmentation views.

    Args:
        rows: Image rows, shape (n,).
        logits: Shape (n, classes); `TopKScores` above 2,000 classes.
        pool: Pooling of the views; `first-view` is the first view alone.
    """

    model: str
    fold: int
    rows: Integers
    logits: AnyScores
    pool: str = "mean-logit"


@dataclass(frozen=True)
class OofPredictions:
    """Out-of-fold scores: of samples by models not trained on their fold. Only these may choose or fit anything.

    Made by `holotype.evaluation.gather_oof`, which checks this.

    Args:
        samples: Sample numbers, shape (n,), ascending.
        logits: Shape (n, classes); `TopKScores` above 2,000 classes.
        folds: Fold of each sample, shape (n,).
    """

    samples: Integers
    logits: AnyScores
    folds: Integers

    def __post_init__(self) -> None:
        _require_same_length(samples=self.samples, logits=self.logits, folds=self.folds)
        if len(np.unique(self.samples)) != len(self.samples):
            raise HolotypeError("a sample has two out-of-fold scores; gather each fold once")


@dataclass(frozen=True)
class TestPredictions:
    """Scores of the samples to predict: the mean over the fold models, in the form of `OofPredictions`."""

    samples: Integers
    logits: AnyScores

    __test__ = False  # not a test class of pytest

    def __post_init__(self) -> None:
        _require_same_length(samples=self.samples, logits=self.logits)


@dataclass(frozen=True)
class Ensemble:
    """Fitted ensemble of models.

    Args:
        weights: One per model, summing to 1; for a stack, those of the mean that it starts from.
        rank_quantiles: For ranks: quantiles of each model's scores and of their mean, shape (models + 1, steps,
            classes).
        stack: Correction of the mean: for each class a list of fitted models; empty without a stack.
        columns: Features of a stack; `mean of class 3` is the models' mean of that class.
    """

    kind: str
    space: Literal["logit", "probability", "rank"]
    models: tuple[str, ...]
    weights: tuple[float, ...]
    weights_by_domain: dict[str, tuple[float, ...]] = field(default_factory=dict)
    rank_quantiles: NDArray[np.float64] | None = None
    stack: tuple[tuple[dict[str, Any], ...], ...] = ()
    domains: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    specialist_domains: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class BackOff:
    """Hierarchical selective classification: thresholds for an answer at each rank.

    Args:
        target: Share of answers that should be correct.
        thresholds: Probability required for an answer: of the classes, then of each rank from near to far; infinite if
            no probability is enough.
    """

    target: float
    thresholds: tuple[float, ...]
    ranks: Ranks = NO_RANKS


@dataclass(frozen=True)
class Calibration:
    """Fitted probability calibration, prediction sets and abstention.

    Args:
        method: `temperature`, `beta` or `isotonic`; None leaves scores as they are.
        parameters: One row per class, or one for all: `temperature` (1, 1), the factor on the logits; `beta` (classes,
            3): the factors of ln p and of -ln(1 - p), and the constant; `isotonic` (classes, steps): the calibrated
            probabilities at `knots`.
        knots: Probabilities at which an isotonic function is given, shape (classes, steps).
        set_threshold: Of prediction sets: largest value of 1 - probability for a label to be in the set.
        abstain_threshold: Confidence below which a sample is marked for a person to check.
    """

    method: str | None = None
    parameters: tuple[tuple[float, ...], ...] = ()
    knots: tuple[tuple[float, ...], ...] = ()
    set_threshold: float | None = None
    abstain_threshold: float | None = None
    back_off: BackOff | None = None


@dataclass(frozen=True)
class SampleFeatures:
    """Features of samples other than their scores, by sample number.

    Args:
        features: Image statistics, the mean over a sample's images, shape (samples, features); NaN if unknown.
        groups: Group id of each sample, shape (samples,); samples with the same id are not independent.
    """

    names: tuple[str, ...]
    features: Floats
    domains: tuple[str | None, ...]
    groups: Integers


@dataclass(frozen=True)
class Decision:
    """Decision rule that turns scores into labels.

    Args:
        thresholds: Probability per class; for a `prior` of multiclass labels, an offset to its logarithm.
        fallback: Label of a sample with no class above its threshold.
        max_labels: Largest number of labels per sample.
        class_priors: Frequency per sample with which a `prior` predicts each class.
        unique_class_per: Group column within whose values `assign` predicts each class at most once.
        class_sets: Numbers of classes that `assign` predicts together.
        unique_set_per: Group column within whose values `assign` uses each set at most once.
        name: Rule of a plugin, for `custom`.
        options: Its options.
    """

    rule: str
    classes: tuple[str, ...]
    kind: Kind
    thresholds: tuple[float, ...] = ()
    fallback: Literal["argmax", "none"] = "argmax"
    max_labels: int | None = None
    levels: tuple[float, ...] = ()
    k: int | None = None
    class_priors: tuple[float, ...] = ()
    unique_class_per: str | None = None
    class_sets: tuple[tuple[int, ...], ...] = ()
    unique_set_per: str | None = None
    name: str | None = None
    options: dict[str, Any] | None = None


@dataclass(frozen=True)
class Metric:
    """Metric with its uncertainty.

    Args:
        low: Lower end of the 95 % confidence interval.
        prediction_interval: `low`, `high` and `rows`: expected range of the score on a new test set.
    """

    value: float
    low: float
    high: float
    prediction_interval: dict[str, float]
    samples: int
    groups: int
    method: str


@dataclass(frozen=True)
class Scorecard:
    """Scores of a run, as in `scores.json`.

    Args:
        steps: Effect of each postprocessing step: `step`, `value`, `low`, `high`, and the `difference` to the step
            named by `against`: the one before, or for the ensemble the best single model; none for single models.
        classes: One entry per class: `name`, `support`, `precision`, `recall`, `f1`, `predicted`, and more.
        groups: Scores by group: `column`, `group`, `samples`, `value`.
        domains: Scores by domain: `domain`, `samples`, `value`.
        subsets: Metrics of other samples by name: `without duplicates` (scored samples in no cluster), `external like
            test` (external samples that duplicate a test sample).
        ranks: One entry per rank, the classes' own first: `rank`, `classes`, `accuracy`, `low`, `high` (of the
            accuracy), `macro_f1`, `hierarchical_f1` (of this rank and the farther ones), and `curve`, from the most
            confident samples to all: `coverage`, `accuracy`, `confidence`. Empty without a taxonomy.
        back_off: One entry per rank at which answers are given: `rank`, `threshold` (of the finished run; None if no
            probability is enough), `share` (of the samples answered at it), `right` (of those), `coverage` (answered at
            it or nearer), `accuracy` (of those), `low`, `high` (of that). Empty without `back_off`.
    """

    metrics: dict[str, Metric]
    steps: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    domains: list[dict[str, Any]]
    subsets: dict[str, dict[str, Metric]] = field(default_factory=dict)
    ranks: list[dict[str, Any]] = field(default_factory=list)
    back_off: list[dict[str, Any]] = field(default_factory=list)


def _require_same_length(**arrays: Any) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise HolotypeError(f"arrays of one length are needed, got {lengths}")


@dataclass(frozen=True)
class OodReason:
    """One respect in which an image is out of distribution.

    Args:
        what: `score`, `mean`, `deviation`, `range`, `missing` or `size`.
    """

    what: str
    channel: str | None
    value: float | None
    low: float | None
    high: float | None
    message: str
