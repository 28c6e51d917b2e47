"""Predictor protocol: the server's view of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from holotype.types import OodReason


@dataclass(frozen=True)
class RunInfo:
    """Constant properties of a run.

    Args:
        kind: `multiclass` or `multilabel`.
        thresholds: Probability threshold of each class (None for a class without one); None without thresholds.
        pattern: Pattern of file names; None if one file has all channels.
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
    """Decoded image that waits for its prediction.

    Args:
        shape: (channels, height, width) of the uploaded image.
        depth: Data type of the pixels.
    """

    form: str
    shape: tuple[int, int, int]
    depth: str
    content: Any
    picture: bytes | None = None


@dataclass(frozen=True)
class Neighbor:
    """Training image similar to an uploaded image. `similarity`: cosine similarity of the embeddings, from -1 to 1."""

    id: str
    similarity: float
    labels: tuple[str, ...]
    has_image: bool


@dataclass(frozen=True)
class ImagePrediction:
    """Prediction of one image.

    Args:
        probabilities: By class, the most probable first; only the top classes of very many.
        abstain: A person should check the image, if the run is calibrated for it.
        answer: Taxon that is certain enough, if the run backs off to ranks.
        nearest: Similar training images, the most similar first; None if unknown.
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
    """Prediction, explanation and image reading of a run.

    `open`, `predict`, `explain` and `work` are called on one thread, the others on any.
    """

    @property
    def about(self) -> RunInfo:
        """Constant properties of the run."""

    @property
    def files_per_image(self) -> int:
        """Number of files per image."""

    def open(self) -> None:
        """Load the models; called once, before any prediction."""

    def match_file(self, name: str) -> tuple[str, int]:
        """Image id and channel index of a file.

        `name`: uploaded name with `/` between folders; it is never opened. Raises InputError if the name does not match
        the pattern of the run.
        """

    @property
    def make_reader(self) -> MakeReader:
        """Picklable factory of the image decoder, called in another process."""

    def predict(self, questions: Sequence[DecodedImage], nearest: int) -> list[ImagePrediction]:
        """Predict a batch.

        `nearest`: number of similar training images to return for each. Raises InputError if one of them cannot be
        predicted.
        """

    def explain(self, question: DecodedImage, name: str) -> bytes:
        """Grad-CAM heat map of a class as a transparent PNG.

        Raises InputError if the class is unknown, or the network has no feature map.
        """

    def specimen(self, name: str) -> bytes | None:
        """PNG of a training image; None if there is none."""

    def work(self) -> bool:
        """Do a small piece of background work, such as indexing; False if nothing is left."""

    @property
    def nearest(self) -> str:
        """State of the training index: `known`, `being made`, `off`, or the reason why there is none."""
