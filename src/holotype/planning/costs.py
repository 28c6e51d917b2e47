"""What the steps of a run cost on this machine, in seconds, from the facts of the data and a short probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "DatasetSize",
    "MeasuredSpeed",
    "TrainingPlan",
    "Views",
    "count_views",
    "seconds_of_epoch",
    "seconds_of_parts",
]

VIEWS = {"none": 1, "flips": 4, "d4": 8}
Views = str | Mapping[str, int]
"""Views as in the recipe: a name, or how many of which."""
HEAD_STEP = 2e-3  # seconds of a step of the head alone, on features
AUGMENTED_COST = 1.3  # an augmented image with its features, to a plainly seen one
CACHED_COST = 1.5  # an image read and stored, to one that is read


@dataclass(frozen=True)
class DatasetSize:
    """What a plan depends on, of the data and of what the recipe says already.

    Args:
        rows: Images that are divided into folds.
        joined: External images, which train in every fold.
        test: Images to predict.
        folds: How many folds there are.
        longest: The images' longest side in pixels; of images of different sizes, the median of the longest sides.
        counts: Training images by class, of the classes that have any.
        batch: Images a step.
        pretrained: Whether there are weights to begin with.
        reusable: Whether the features of a frozen backbone may be reused.
        size: The input's side where it is given and stays as it is.
        folds_to_train: The folds that are trained where they are given.
        views: The views where they are given.
        sampler: Whether the recipe leaves open how rows are drawn.
        refit: Whether one more network is trained on all rows.
        neighbors: Whether the labels of the nearest specimens vote: left `open` by the recipe, `required`, or `none`.
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
    refit: bool = False
    neighbors: Literal["open", "required", "none"] = "open"

    @property
    def validating(self) -> int:
        """Images of one fold."""
        return -(-self.rows // self.folds)

    @property
    def training(self) -> int:
        """Images that train one network."""
        return self.rows - self.validating + self.joined

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return max(self.training // self.batch, 1)


@dataclass(frozen=True)
class MeasuredSpeed:
    """What a short probe measured.

    Args:
        sizes: One or two sides of the input in pixels, growing.
        training: Seconds of a training step an image, at each size.
        inference: Seconds of a prediction an image and view, at each size.
        reading: Seconds to read an image.
        building: Seconds until a network is ready to train.
        saving: Seconds to write down where a training stands.
        scoring: Seconds of scores and report.
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
        """Seconds of a training step an image.

        Args:
            size: Side of the input in pixels.
        """
        return _interpolate_seconds(self.sizes, self.training, size)

    def inference_seconds_at(self, size: int) -> float:
        """Seconds of a prediction an image and view.

        Args:
            size: Side of the input in pixels.
        """
        return _interpolate_seconds(self.sizes, self.inference, size)


@dataclass(frozen=True)
class TrainingPlan:
    """One configuration of the ladder, its epochs still open.

    Args:
        description: What it is, for people.
        sizes: The input's side of each model.
        folds_to_train: The folds that are trained; none where all are.
        folds: How many these are.
        views: The views at prediction.
        min_epochs: Fewest epochs with which it makes sense.
        max_epochs: Epochs beyond which nothing is gained.
        draws: Draws of the augmentation whose features the head alone learns from, the backbone being frozen; none
            where the whole network learns.
        neighbors: Whether there is time for the labels of the nearest specimens.
    """

    description: str
    sizes: tuple[int, ...]
    folds_to_train: tuple[int, ...] | None
    folds: int
    views: Views
    min_epochs: int
    max_epochs: int
    draws: int | None = None
    neighbors: bool = False


def count_views(views: Views) -> int:
    """How often an image is seen at prediction.

    Args:
        views: As in the recipe.
    """
    if isinstance(views, str):
        return VIEWS[views]
    return sum(count for name, count in views.items() if name != "image_size")


def seconds_of_epoch(candidate: TrainingPlan, facts: DatasetSize, speed: MeasuredSpeed) -> float:
    """What one more epoch of every network costs.

    Args:
        candidate: The configuration.
        facts: Of the data.
        speed: Of the machine.
    """
    networks = candidate.folds + facts.refit
    if candidate.draws is not None:
        return len(candidate.sizes) * networks * (facts.steps * HEAD_STEP + speed.saving)
    each = (
        facts.training * speed.training_seconds_at(size)
        + facts.validating * speed.inference_seconds_at(size)
        + speed.saving
        for size in candidate.sizes
    )
    return networks * sum(each)


def seconds_of_parts(candidate: TrainingPlan, facts: DatasetSize, speed: MeasuredSpeed) -> dict[str, float]:
    """What a configuration costs beside its epochs, by part.

    Args:
        candidate: The configuration.
        facts: Of the data.
        speed: Of the machine.

    Returns:
        `storing` the images, `preparing` networks and features, `predicting`.
    """
    everything = facts.rows + facts.joined + facts.test
    stored = {min(size, facts.longest) for size in candidate.sizes}
    networks = candidate.folds + facts.refit
    preparing = networks * len(candidate.sizes) * 2 * (speed.building + speed.saving)  # they are read again to predict
    if candidate.draws is not None:
        inference_count = candidate.draws * facts.training * AUGMENTED_COST + facts.validating
        preparing += networks * sum(inference_count * speed.inference_seconds_at(size) for size in candidate.sizes)
    predicted_count = (facts.validating + facts.test) * count_views(candidate.views)
    predicted_count += (
        facts.training + facts.validating + facts.test if candidate.neighbors else 0
    )  # where each lies, by one view
    predicting = networks * sum(predicted_count * speed.inference_seconds_at(size) for size in candidate.sizes)
    return {
        "storing": len(stored) * everything * speed.reading * CACHED_COST,
        "preparing": preparing,
        "predicting": predicting,
    }


def _interpolate_seconds(sizes: tuple[int, ...], seconds: tuple[float, ...], size: int) -> float:
    """Seconds at a size: a constant and a part that grows with the area; of one size in proportion to the area."""
    if len(sizes) == 1:
        return seconds[0] * (size / sizes[0]) ** 2
    slope = max(seconds[-1] - seconds[0], 0.0) / (sizes[-1] ** 2 - sizes[0] ** 2)
    return max(seconds[0] + slope * (size**2 - sizes[0] ** 2), 0.25 * seconds[0])
