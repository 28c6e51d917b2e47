"""Response schemas of the endpoints."""

from __future__ import annotations

from base64 import b64encode
from typing import Literal
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from holotype.serve.errors import ErrorDetail
from holotype.serve.limits import Limits
from holotype.serve.predictor import DecodedImage, ImagePrediction, RunInfo


class Health(BaseModel):
    """Readiness of the server."""

    ready: bool
    """Whether images can be sent."""
    why: str
    """`ready`, or the reason why not."""
    nearest: str
    """Index of training images: `known`, `being made`, `off`, or the reason why there is none."""


class Version(BaseModel):
    """Versions of the program and the run."""

    holotype: str
    """The version of the program."""
    run: str
    """The run's name."""
    digests: dict[str, str]
    """Digests of the files that affect predictions."""


class Classes(BaseModel):
    """Classes of the run, and requirements for images."""

    run: str
    """The run's name."""
    kind: Literal["multiclass", "multilabel"]
    """One label per image, or any number of labels."""
    classes: list[str]
    """In the order of the run."""
    thresholds: dict[str, float | None] | None
    """Probability threshold of each class; null without thresholds."""
    decision: str
    """The rule that turns probabilities into labels."""
    channels: list[str]
    """Channel names in order; empty if the recipe has none."""
    channel_count: int
    """Number of channels of an image."""
    files: str
    """Files and channels of an image, in words."""
    pattern: str | None
    """Pattern of file names; null if one file has all channels."""
    endings: list[str]
    """Endings of readable files."""
    limits: dict[str, float]
    """Request limits."""


class Shape(BaseModel):
    """Form of the uploaded image."""

    channels: int
    height: int
    width: int
    depth: str
    """The pixels' type: `uint8`, `uint16` or `float32`."""


class NeighborInfo(BaseModel):
    """Training image similar to the uploaded image."""

    id: str
    labels: list[str]
    similarity: float
    """Cosine similarity of the embeddings, from -1 to 1."""
    picture: str | None
    """Path of its picture; null if the file is missing."""


class OodReason(BaseModel):
    """Sign that an image is out of distribution."""

    what: Literal["score", "mean", "deviation", "range", "missing", "size"]
    channel: str | None
    value: float | None
    low: float | None
    """Lower end of the range of the training images."""
    high: float | None
    """Upper end of the range of the training images."""
    message: str
    """Explanation as a sentence."""


class OutOfDistribution(BaseModel):
    """Difference of an image from the training images."""

    unusual: bool
    reasons: list[OodReason]


class Prediction(BaseModel):
    """Prediction of one image."""

    id: str
    """File name without ending, or the common part of the names of its channel files."""
    files: list[str]
    """Uploaded file names."""
    labels: list[str]
    """Predicted labels."""
    probabilities: dict[str, float]
    """By class, the most probable first; with more than 2,000 classes the top 100."""
    thresholds: dict[str, float | None] | None
    """Probability threshold of each class; null without thresholds."""
    label_set: list[str] | None
    """Conformal prediction set: contains the true label with the calibrated probability; null without calibration."""
    abstain: bool | None
    """True if a person should check the image; null without calibration."""
    answer: str | None
    """Taxon that is certain enough, if the run backs off to ranks."""
    rank: str | None
    """Rank of that taxon."""
    nearest: list[NeighborInfo] | None
    """Similar training images, the most similar first; null if unknown."""
    out_of_distribution: OutOfDistribution
    image: Shape
    picture: str | None = None
    """PNG of the image as a `data:` URI, if `picture=true`."""


class Predictions(BaseModel):
    """Predictions of all images, in the order of their first files."""

    run: str
    predictions: list[Prediction]


class StreamLine(BaseModel):
    """One line of a stream: a prediction, or the error of one image."""

    number: int = Field(ge=0)
    """Index of the image in the upload, from 0."""
    id: str
    prediction: Prediction | None = None
    error: ErrorDetail | None = None


def classes_of(about: RunInfo, limits: Limits) -> Classes:
    """Response of `/classes`."""
    count = f"{about.channel_count} channel{'' if about.channel_count == 1 else 's'}"
    files = f"one file per image, with {count}"
    if about.pattern is not None:
        files = (
            f"{about.channel_count} files per image, named as in {about.pattern}; channels: {', '.join(about.channels)}"
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
    """Response of one image."""
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
        picture=None if image.picture is None else "data:image/png;base64," + b64encode(image.picture).decode(),
    )
