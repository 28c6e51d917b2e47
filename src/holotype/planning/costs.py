"""Cost model of a run: seconds of its steps, from the data set size and the measured speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CACHED_COST",
    "DatasetSize",
    "MeasuredSpeed",
    "TrainingPlan",
    "Views",
    "count_views",
    "seconds_of_epoch",
    "seconds_of_network_epoch",
    "seconds_of_parts",
]

VIEWS = {"none": 1, "flips": 4, "d4": 8}
Views = str | Mapping[str, int]
"""TTA views as in the recipe: a name, or the number of each kind."""
HEAD_STEP = 2e-3  # seconds per training step of the head alone, on stored features
AUGMENTED_COST = 1.3  # cost of the features of an augmented image, relative to a plain one
CACHED_COST = 1.5  # cost of reading and caching an image, relative to reading


@dataclass(frozen=True)
class DatasetSize:
    """Data set size and the settings of the recipe that a plan depends on.

    Args:
        rows: Training images, split into folds.
        joined: External images, used for training in every fold.
        test: Images to predict.
        folds: Number of folds.
        longest: Longest side of the images in pixels; the median if sizes differ.
        counts: Training images per class, without empty classes.
        batch: Images per step.
        pretrained: Whether pretrained weights are available.
        reusable: Whether features of a frozen backbone may be reused.
        size: Input size, if the recipe fixes it.
        folds_to_train: Folds to train, if the recipe fixes them.
        views: TTA views, if the recipe fixes them.
        sampler: Whether the plan may choose the sampler.
        final_model: How new images are predicted, if the recipe fixes it: `folds` or `refit`.
        groups: Independent groups of the training images; None if every image is one.
        open_folds: Whether the plan may leave out one group at a time.
        first_answer: Whether a classifier on frozen features may answer first.
        neighbors: `required` by the recipe, `open` for the plan to choose, or `none`.
    """

    rows: int
    joined: int
    test: int
    folds: int
    longest: int
    counts: tuple[int, ...]
    batch: int
    pretrained: bool = True
    reusable: bool = True
    size: int | None = None
    folds_to_train: tuple[int, ...] | None = None
    views: Views | None = None
    sampler: bool = True
    final_model: str | None = None
    groups: int | None = None
    open_folds: bool = False
    first_answer: bool = False
    neighbors: Literal["open", "required", "none"] = "open"

    @property
    def steps(self) -> int:
        """Steps per epoch, with the recipe's number of folds."""
        return self.count_steps(self.folds)

    @property
    def group_count(self) -> int:
        """Number of independent groups."""
        return self.rows if self.groups is None else self.groups

    def count_validating(self, folds: int) -> int:
        """Images per fold."""
        return -(-self.rows // folds)

    def count_training(self, folds: int) -> int:
        """Training images of a network that leaves one of so many folds out."""
        return self.rows - self.count_validating(folds) + self.joined

    def count_steps(self, folds: int) -> int:
        """Steps per epoch of such a network."""
        return max(self.count_training(folds) // self.batch, 1)


@dataclass(frozen=True)
class MeasuredSpeed:
    """Measured speed of a machine on a data set.

    Args:
        sizes: One or two input sizes in pixels, ascending.
        training: Seconds per image of a training step, at each size.
        inference: Seconds per image and view of a prediction, at each size.
        reading: Seconds to read an image.
        building: Seconds to build a network.
        saving: Seconds to write a checkpoint.
        scoring: Seconds for scores and report.
        spent: Seconds of the command before the plan.
    """

    sizes: tuple[int, ...]
    training: tuple[float, ...]
    inference: tuple[float, ...]
    reading: float = 0.0
    building: float = 0.0
    saving: float = 0.0
    scoring: float = 0.0
    spent: float = 0.0

    def training_seconds_at(self, size: int) -> float:
        """Seconds per image of a training step at an input size in pixels."""
        return _interpolate_seconds(self.sizes, self.training, size)

    def inference_seconds_at(self, size: int) -> float:
        """Seconds per image and view of a prediction at an input size in pixels."""
        return _interpolate_seconds(self.sizes, self.inference, size)


@dataclass(frozen=True)
class TrainingPlan:
    """Training plan whose number of epochs is still open.

    Args:
        description: For people.
        sizes: Input size of each model in pixels.
        folds_to_train: Indices of the trained folds; None means all.
        folds: Number of trained folds.
        views: TTA views.
        min_epochs: Fewest useful epochs.
        max_epochs: Epochs beyond which nothing is gained.
        of_folds: Number of folds that the images are divided into; as many as groups to leave out one at a time.
        refit: Whether a final network is trained on all rows.
        draws: Augmentation draws whose features the head is trained on, with a frozen backbone; None trains the whole
            network.
        neighbors: Whether there is time for nearest-neighbor votes.
    """

    description: str
    sizes: tuple[int, ...]
    folds_to_train: tuple[int, ...] | None
    folds: int
    views: Views
    min_epochs: int
    max_epochs: int
    of_folds: int
    refit: bool = False
    draws: int | None = None
    neighbors: bool = False

    @property
    def networks(self) -> int:
        """Networks per model."""
        return self.folds + self.refit


def count_views(views: Views) -> int:
    """Number of TTA views of an image."""
    if isinstance(views, str):
        return VIEWS[views]
    return sum(count for name, count in views.items() if name != "image_size")


def seconds_of_epoch(candidate: TrainingPlan, facts: DatasetSize, speed: MeasuredSpeed) -> float:
    """Seconds of one epoch of all networks of a plan."""
    return sum(candidate.networks * seconds_of_network_epoch(candidate, size, facts, speed) for size in candidate.sizes)


def seconds_of_network_epoch(candidate: TrainingPlan, size: int, facts: DatasetSize, speed: MeasuredSpeed) -> float:
    """Seconds of one epoch of one network, with the evaluation of its fold."""
    if candidate.draws is not None:
        return facts.count_steps(candidate.of_folds) * HEAD_STEP + speed.saving
    training = facts.count_training(candidate.of_folds) * speed.training_seconds_at(size)
    return training + facts.count_validating(candidate.of_folds) * speed.inference_seconds_at(size) + speed.saving


def seconds_of_parts(candidate: TrainingPlan, facts: DatasetSize, speed: MeasuredSpeed) -> dict[str, float]:
    """Seconds of a plan apart from its epochs: `caching` images, `preparing` networks and features, `predicting`."""
    everything = facts.rows + facts.joined + facts.test
    training, validating = facts.count_training(candidate.of_folds), facts.count_validating(candidate.of_folds)
    stored = {min(size, facts.longest) for size in candidate.sizes}
    networks = candidate.networks
    preparing = networks * len(candidate.sizes) * 2 * (speed.building + speed.saving)  # loaded again for prediction
    if candidate.draws is not None:
        inference_count = candidate.draws * training * AUGMENTED_COST + validating
        preparing += networks * sum(inference_count * speed.inference_seconds_at(size) for size in candidate.sizes)
    predicted_count = (validating + facts.test) * count_views(candidate.views)
    # Neighbors need one embedding of every image.
    predicted_count += training + validating + facts.test if candidate.neighbors else 0
    predicting = networks * sum(predicted_count * speed.inference_seconds_at(size) for size in candidate.sizes)
    return {
        "caching": len(stored) * everything * speed.reading * CACHED_COST,
        "preparing": preparing,
        "predicting": predicting,
    }


def _interpolate_seconds(sizes: tuple[int, ...], seconds: tuple[float, ...], size: int) -> float:
    """Seconds at an input size: a constant plus a part proportional to the area; with one size only the latter."""
    if len(sizes) == 1:
        return seconds[0] * (size / sizes[0]) ** 2
    slope = max(seconds[-1] - seconds[0], 0.0) / (sizes[-1] ** 2 - sizes[0] ** 2)
    return max(seconds[0] + slope * (size**2 - sizes[0] ** 2), 0.25 * seconds[0])
