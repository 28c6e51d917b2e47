"""What the endpoints answer, as OpenAPI tells it."""

from __future__ import annotations

from base64 import b64encode
from typing import Literal
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from holotype.serve.errors import ErrorDetail
from holotype.serve.limits import Limits
from holotype.serve.predictor import DecodedImage, ImagePrediction, RunInfo

__all__ = [
    "Classes",
    "Health",
    "NeighborInfo",
    "OodReason",
    "OutOfDistribution",
    "Prediction",
    "Predictions",
    "Shape",
    "StreamLine",
    "Version",
    "classes_of",
    "prediction_of",
]


class Health(BaseModel):
    """Whether questions are answered."""

    ready: bool
    """Whether images can be sent."""
    why: str
    """Why not, or `ready`."""
    nearest: str
    """What is known of training specimens: `known`, `being made`, `off`, or why not."""


class Version(BaseModel):
    """What answers."""

    holotype: str
    """The version of the program."""
    run: str
    """The run's name."""
    digests: dict[str, str]
    """Of the files that answers hang on."""


class Classes(BaseModel):
    """What is answered, and what an image must be."""

    run: str
    """The run's name."""
    kind: Literal["multiclass", "multilabel"]
    """One label an image, or any number of them."""
    classes: list[str]
    """In the order of the run."""
    thresholds: dict[str, float | None] | None
    """The probability above which a class is given; null where the decision has no such thing."""
    decision: str
    """The rule that turns probabilities into labels."""
    channels: list[str]
    """Their names in order; empty where the recipe names none."""
    channel_count: int
    """How many channels an image has."""
    files: str
    """What an image must be made of, in words."""
    pattern: str | None
    """How the files of one image are named; null where one file holds all channels."""
    endings: list[str]
    """Of the files that can be read."""
    limits: dict[str, float]
    """What a request may cost."""


class Shape(BaseModel):
    """The image as it was handed in."""

    channels: int
    height: int
    width: int
    depth: str
    """The pixels' type: `uint8`, `uint16` or `float32`."""


class NeighborInfo(BaseModel):
    """A training specimen that is like the image."""

    id: str
    labels: list[str]
    similarity: float
    """Cosine of what the network sees in both, from -1 to 1."""
    picture: str | None
    """Where its picture is; null where the file is gone."""


class OodReason(BaseModel):
    """One respect in which an image is unusual."""

    what: Literal["score", "mean", "deviation", "range", "missing", "size"]
    channel: str | None
    value: float | None
    low: float | None
    """The least that is usual."""
    high: float | None
    """The most that is usual."""
    message: str
    """The same as a sentence."""


class OutOfDistribution(BaseModel):
    """Whether an image is unlike those that the run was trained on."""

    unusual: bool
    reasons: list[OodReason]


class Prediction(BaseModel):
    """What the run says of one image."""

    id: str
    """The file's name without its ending, or what the files of its channels have in common."""
    files: list[str]
    """The names that were handed in."""
    labels: list[str]
    """As the run decides."""
    probabilities: dict[str, float]
    """By class, the likeliest first; above 2,000 classes the likeliest 100."""
    thresholds: dict[str, float | None] | None
    """The probability above which a class is given; null where the decision has no such thing."""
    label_set: list[str] | None
    """Labels that cannot be ruled out; null where the run was not calibrated for that."""
    abstain: bool | None
    """Whether a person should look; null where the run was not calibrated for that."""
    answer: str | None
    """What is sure enough, where the run backs off to ranks."""
    rank: str | None
    """The rank of that answer."""
    nearest: list[NeighborInfo] | None
    """Training specimens, the most similar first; null where they are not known."""
    out_of_distribution: OutOfDistribution
    image: Shape
    picture: str | None = None
    """The image as a PNG in a `data:` address, where `picture=true` was asked for."""


class Predictions(BaseModel):
    """What the run says of all images, in the order of their first files."""

    run: str
    predictions: list[Prediction]


class StreamLine(BaseModel):
    """One line of a stream: a prediction, or what was wrong with one image."""

    number: int = Field(ge=0)
    """The image's place in the upload, from 0."""
    id: str
    prediction: Prediction | None = None
    error: ErrorDetail | None = None


def classes_of(about: RunInfo, limits: Limits) -> Classes:
    """What is answered, and what an image must be.

    Args:
        about: The answerer's.
        limits: The server's.
    """
    count = f"{about.channel_count} channel{'' if about.channel_count == 1 else 's'}"
    files = f"one file an image, with {count}"
    if about.pattern is not None:
        files = (
            f"{about.channel_count} files an image, named as in {about.pattern}; channels: {', '.join(about.channels)}"
        )
    return Classes(
        run=about.run,
        kind=about.kind,  # type: ignore[arg-type]
        classes=list(about.classes),
        thresholds=_thresholds(about),
        decision=about.decision,
        channels=list(about.channels),
        channel_count=about.channel_count,
        files=files,
        pattern=about.pattern,
        endings=list(about.endings),
        limits=dict(vars(limits)),
    )


def _thresholds(about: RunInfo) -> dict[str, float | None] | None:
    if about.thresholds is None:
        return None
    return dict(zip(about.classes, about.thresholds, strict=True))


def prediction_of(
    about: RunInfo, name: str, files: list[str], image: DecodedImage, answer: ImagePrediction
) -> Prediction:
    """An answer as it is sent.

    Args:
        about: The answerer's.
        name: The image's.
        files: The names that were handed in.
        image: The image.
        answer: What is said of it.
    """
    near = None
    if answer.nearest is not None:
        near = [
            NeighborInfo(
                id=item.id,
                labels=list(item.labels),
                similarity=item.similarity,
                picture=f"specimen?{urlencode({'id': item.id})}" if item.has_image else None,
            )
            for item in answer.nearest
        ]
    channels, height, width = image.shape
    reasons = [OodReason(**vars(item)) for item in answer.ood_reasons]
    return Prediction(
        id=name,
        files=files,
        labels=list(answer.labels),
        probabilities=answer.probabilities,
        thresholds=_thresholds(about),
        label_set=None if answer.label_set is None else list(answer.label_set),
        abstain=answer.abstain,
        answer=answer.answer,
        rank=answer.rank,
        nearest=near,
        out_of_distribution=OutOfDistribution(unusual=bool(reasons), reasons=reasons),
        image=Shape(channels=channels, height=height, width=width, depth=image.depth),
        picture=None if image.picture is None else _data_address(image.picture),
    )


def _data_address(picture: bytes) -> str:
    return "data:image/png;base64," + b64encode(picture).decode("ascii")
