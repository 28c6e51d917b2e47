"""What models say, and what is made of it. Different evidence has a different type."""

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

__all__ = [
    "BackOff",
    "Calibration",
    "Checkpoint",
    "Decision",
    "Ensemble",
    "Metric",
    "OodReason",
    "OofPredictions",
    "Predictions",
    "SampleFeatures",
    "Scorecard",
    "TestPredictions",
]


@dataclass(frozen=True)
class Checkpoint:
    """A trained network on disk: weights in safetensors beside a card that tells how to use them.

    Args:
        folder: Holds `weights.safetensors`, `card.json` and `history.parquet`.
        card: Recipe of the model, classes, channels, normalization, size, versions and digests.
    """

    folder: Path
    card: dict[str, Any]

    @property
    def fold(self) -> int:
        """The fold this network never saw."""
        return int(self.card["fold"])


@dataclass(frozen=True)
class Predictions:
    """What one network says of some images, its views already pooled.

    Args:
        model: The model's name.
        fold: The fold the network never saw.
        rows: Image rows, shape (n,).
        logits: Shape (n, classes); `TopKScores` above 2,000 classes.
        pool: How its views were pooled; `first-view` is the first view alone.
    """

    model: str
    fold: int
    rows: Integers
    logits: AnyScores
    pool: str = "mean-logit"


@dataclass(frozen=True)
class OofPredictions:
    """Scores of samples by models that never saw their fold: the only evidence that may choose anything.

    Made by `holotype.evaluation.gather_oof`, which proves it.

    Args:
        samples: Sample numbers, shape (n,), ascending.
        logits: Shape (n, classes); `TopKScores` above 2,000 classes.
        folds: The fold of each sample, shape (n,).
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
    """Scores of the samples to predict, each the mean over the fold models.

    Args:
        samples: Sample numbers, shape (n,), ascending.
        logits: Shape (n, classes); `TopKScores` above 2,000 classes.
    """

    samples: Integers
    logits: AnyScores

    __test__ = False  # the name is not a test's

    def __post_init__(self) -> None:
        _require_same_length(samples=self.samples, logits=self.logits)


@dataclass(frozen=True)
class Ensemble:
    """How models' scores become one.

    Args:
        kind: The kind of the recipe's section.
        space: What is averaged.
        models: The models' names in order.
        weights: One a model, summing to 1; of a stack those of the mean that it starts from.
        weights_by_domain: Weights by domain, where domains have their own.
        rank_quantiles: For ranks: quantiles of each model's scores and of their mean, shape (models + 1, steps,
            classes).
        stack: What corrects the mean: one entry a class, each a list of fitted models; empty where nothing does.
        domains: The domains that a stack knows.
        pools: The pooling of views and images that each model is read with.
        columns: What a stack looks at; `mean of class 3` is the models' mean of that class.
        specialist_domains: The domains for which each model's specialists answer; empty where there are none.
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
    """When an answer is given at which rank.

    Args:
        target: The share of answers that should be right.
        thresholds: Probability from which on an answer is given: of the classes, then of each rank from near to far;
            infinite where no probability is enough.
        ranks: The ranks.
    """

    target: float
    thresholds: tuple[float, ...]
    ranks: Ranks = NO_RANKS


@dataclass(frozen=True)
class Calibration:
    """What makes probabilities of scores that can be taken at their word.

    Args:
        method: `temperature`, `beta` or `isotonic`; none where scores stay as they are.
        parameters: One row a class or one for all: `temperature` (1, 1), the factor on the logits; `beta` (classes, 3):
            the factors of ln p and of -ln(1 - p), and the constant; `isotonic` (classes, steps): the steps of the
            probabilities at the places of `knots`.
        knots: Where a staircase's probabilities are known, shape (classes, steps).
        set_threshold: For label sets: how unlikely a label may be, as one less its probability.
        abstain_threshold: For abstaining: sureness below which a sample is looked at by a person.
        back_off: When an answer is given at which rank.
    """

    method: str | None = None
    parameters: tuple[tuple[float, ...], ...] = ()
    knots: tuple[tuple[float, ...], ...] = ()
    set_threshold: float | None = None
    abstain_threshold: float | None = None
    back_off: BackOff | None = None


@dataclass(frozen=True)
class SampleFeatures:
    """What is known of samples beside their scores, by sample number.

    Args:
        names: Of the features.
        features: Image statistics, the mean over a sample's images, shape (samples, features); NaN where unknown.
        domains: One a sample; none where it is unknown.
        groups: What is independent of what: samples of one number are tied, shape (samples,).
    """

    names: tuple[str, ...]
    features: Floats
    domains: tuple[str | None, ...]
    groups: Integers


@dataclass(frozen=True)
class Decision:
    """The rule that turns scores into labels.

    Args:
        rule: The kind of the recipe's section.
        classes: The class names, in the order of the scores.
        kind: One label a sample, or many.
        thresholds: One probability a class; for a `prior` of one label a sample, what is added to its logarithm.
        fallback: What a sample gets that has no class above its threshold.
        max_labels: The most labels of a sample.
        levels: The falling thresholds of a cascade.
        k: How many labels `top` gives.
        class_priors: How often a `prior` gives each class, a sample.
        unique_class_per: The column within whose values `assign` gives each class once.
        class_sets: Numbers of classes that come together in `assign`.
        unique_set_per: The column within whose values `assign` gives each set once.
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


@dataclass(frozen=True)
class Metric:
    """One score with what it can be trusted for.

    Args:
        value: The score.
        low: Lower end of the 95 % interval of what the value estimates.
        high: Upper end.
        prediction_interval: `low`, `high` and `rows`: where the score of a fresh test set should fall.
        samples: How many samples were scored.
        groups: How many independent groups they form.
        method: In words, what was refitted and what was not.
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
    """The scores of a run, as `scores.json` holds them.

    Args:
        metrics: Metrics by name; the recipe's own stands first.
        steps: What each step bought: `step`, `value`, `low`, `high`, and the `difference` to the step that `against`
            names: the one before, or for models together the best single one; none for each model by itself.
        classes: One entry a class: `name`, `support`, `precision`, `recall`, `f1`, `predicted`, and so on.
        groups: Scores by group: `column`, `group`, `samples`, `value`.
        domains: Scores by domain: `domain`, `samples`, `value`.
        subsets: Metrics of other samples than all scored ones, by name: `without duplicates` (scored samples in no
            cluster), `external like test` (external samples that duplicate a test sample).
        ranks: One entry a rank, the classes' own first: `rank`, `classes`, `accuracy`, `low`, `high` (of the
            accuracy), `macro_f1`, `hierarchical_f1` (of this rank and the farther ones), and `curve`, from the surest
            samples to all: `coverage`, `accuracy`, `confidence`. Empty without a taxonomy.
        back_off: One entry a rank at which answers are given: `rank`, `threshold` (of the finished run; none where no
            probability is enough), `share` (of the samples answered at it), `right` (of those), `coverage` (answered
            at it or nearer), `accuracy` (of those), `low`, `high` (of that). Empty where nothing backs off.
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
    """One respect in which an image is unlike those that the run was trained on.

    Args:
        what: `score`, `mean`, `deviation`, `range`, `missing` or `size`.
        channel: The channel's name or number; none where it is about the whole image.
        value: What was found.
        low: The least that is usual.
        high: The most that is usual.
        message: The same as a sentence.
    """

    what: str
    channel: str | None
    value: float | None
    low: float | None
    high: float | None
    message: str
