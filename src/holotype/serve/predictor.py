"""What a server asks of whatever answers: a small protocol, so that it knows neither recipe nor network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from holotype.types import OodReason

__all__ = ["DecodedImage", "ImagePrediction", "MakeReader", "Neighbor", "Predictor", "Reader", "RunInfo"]


@dataclass(frozen=True)
class RunInfo:
    """What does not change while a server runs.

    Args:
        run: The run's name.
        holotype: The version of this program.
        digests: Of the files that answers hang on, by name.
        kind: `multiclass` or `multilabel`.
        classes: The class names in order.
        thresholds: One probability a class; none where the decision has none, null where a class has none.
        decision: The rule's name.
        channels: The channels' names; empty where the recipe does not name them.
        channel_count: How many channels an image has.
        pattern: How the files of one image are named; none where one file holds all channels.
        endings: Of the files that can be read.
    """

    run: str
    holotype: str
    digests: dict[str, str]
    kind: str
    classes: tuple[str, ...]
    thresholds: tuple[float | None, ...] | None
    decision: str
    channels: tuple[str, ...]
    channel_count: int
    pattern: str | None
    endings: tuple[str, ...]


@dataclass(frozen=True)
class DecodedImage:
    """An image that was read and waits to be answered for.

    Args:
        form: What images of one batch must have in common.
        shape: (channels, height, width) of the image as it came.
        depth: The pixels' type.
        content: Whatever the answerer keeps of it.
        picture: The picture as PNG, where it was asked for.
    """

    form: str
    shape: tuple[int, int, int]
    depth: str
    content: Any
    picture: bytes | None = None


@dataclass(frozen=True)
class Neighbor:
    """A training specimen that is like an image.

    Args:
        id: The specimen's.
        similarity: Cosine, from -1 to 1.
        labels: What it is.
        has_image: Whether its image can be shown.
    """

    id: str
    similarity: float
    labels: tuple[str, ...]
    has_image: bool


@dataclass(frozen=True)
class ImagePrediction:
    """What a run says of one image.

    Args:
        labels: As decided.
        probabilities: By class, the likeliest first; of very many classes the likeliest only.
        label_set: Labels that cannot be ruled out, where the run was calibrated for that.
        abstain: Whether a person should look, where the run was calibrated for that.
        answer: What is sure enough, where the run backs off to ranks.
        rank: Which rank that is.
        nearest: Training specimens, the most similar first; none where they are not known.
        ood_reasons: In which respects the image is unusual.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]
    label_set: tuple[str, ...] | None = None
    abstain: bool | None = None
    answer: str | None = None
    rank: str | None = None
    nearest: tuple[Neighbor, ...] | None = None
    ood_reasons: tuple[OodReason, ...] = field(default=())


Reader = Callable[[Sequence[Path], int, bool], DecodedImage]
"""Decodes one image: its files in the order of the channels, the pixels beyond which it is refused before it is
decoded, and whether it is to be drawn, too. Raises InputError where it cannot be read, or is not such as the run was
trained on."""

MakeReader = Callable[[], Reader]


class Predictor(Protocol):
    """Says how images are read, answers for them, and says where it looked.

    `open` and `predict`, `explain` and `work` are called on one thread, the others on any.
    """

    @property
    def about(self) -> RunInfo:
        """What does not change."""

    @property
    def files_per_image(self) -> int:
        """How many files make one image."""

    def open(self) -> None:
        """Read what answers need; called once, before anything is asked."""

    def match_file(self, name: str) -> tuple[str, int]:
        """Which image a file belongs to, and the number of its channel.

        Args:
            name: As it was handed in, its folders parted by `/`; it is never opened.

        Raises:
            InputError: It is not named as the run's files are.
        """

    @property
    def make_reader(self) -> MakeReader:
        """What makes, in a process of its own, the function that decodes images; it can be pickled."""

    def predict(self, questions: Sequence[DecodedImage], nearest: int) -> list[ImagePrediction]:
        """Answer for a batch.

        Args:
            questions: All of one form.
            nearest: How many training specimens are named for each.

        Raises:
            InputError: One of them cannot be answered for.
        """

    def explain(self, question: DecodedImage, name: str) -> bytes:
        """Where in an image a class was found, as a PNG that lies over its picture.

        Args:
            question: The image.
            name: The class.

        Raises:
            InputError: There is no such class, or the network has no places to point at.
        """

    def specimen(self, name: str) -> bytes | None:
        """The picture of a training specimen as PNG; none where there is none.

        Args:
            name: Its id.
        """

    def work(self) -> bool:
        """Do a little of what can wait, such as an index of specimens; false where nothing is left to be done."""

    @property
    def nearest(self) -> str:
        """Whether training specimens can be named: `known`, `being made`, `off`, or why not."""
