"""What a report shows as pictures beside its galleries: plain values, handed over by whoever ran the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "EmbeddingMapData",
    "ExampleImage",
    "ExplainedSample",
    "FirstLayer",
    "Heatmap",
    "NearestImage",
    "PictureData",
    "Uncertain",
]


@dataclass(frozen=True)
class Heatmap:
    """Where a network finds what speaks for one class.

    Args:
        name: The class.
        role: What the class is to the sample: `decided`, `true`, or both.
        map: Shape (height, width) of the image, 0 to 1.
    """

    name: str
    role: str
    map: NDArray[np.float32]


@dataclass(frozen=True)
class ExplainedSample:
    """A sample with its heat maps.

    Args:
        id: The sample's id.
        wrong: Whether its decision is wrong.
        pixels: Shape (channels, height, width), in the file's own units.
        heats: One entry a class.
        network: Which one looked, in words.
        map_size: How many places down and across its last map has.
    """

    id: str
    wrong: bool
    pixels: NDArray[Any]
    heats: tuple[Heatmap, ...]
    network: str
    map_size: tuple[int, int]


@dataclass(frozen=True)
class ExampleImage:
    """A sample to look at: what a class looks like, or what its channels hold.

    Args:
        id: The sample's id.
        labels: Its labels.
        pixels: Shape (channels, height, width), in the file's own units.
    """

    id: str
    labels: tuple[str, ...]
    pixels: NDArray[Any]


@dataclass(frozen=True)
class FirstLayer:
    """The kernels by which a network's first layer looks at the channels.

    Args:
        network: Which one, in words.
        channels: The channels' names, in the network's order.
        kernels: Shape (kernels, channels, height, width).
        start: The same before training, where it began from weights that were trained before.
    """

    network: str
    channels: tuple[str, ...]
    kernels: NDArray[np.float32]
    start: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Uncertain:
    """A sample whose decision hangs on little.

    Args:
        id: The sample's id.
        fold: The fold it belongs to.
        truth: Its labels.
        decided: What the run decided.
        options: Of one label a sample the two likeliest classes, of many the class nearest to its threshold, each with
            its probability and its threshold, if it has one.
        pixels: Shape (channels, height, width), in the file's own units.
    """

    id: str
    fold: int
    truth: tuple[str, ...]
    decided: tuple[str, ...]
    options: tuple[tuple[str, float, float | None], ...]
    pixels: NDArray[Any]


@dataclass(frozen=True)
class NearestImage:
    """One of the labelled specimens that lie nearest to a mistake.

    Args:
        id: The image's id.
        labels: Its labels.
        similarity: Cosine of the embeddings, at most 1.
        pixels: Shape (channels, height, width), in the file's own units.
    """

    id: str
    labels: tuple[str, ...]
    similarity: float
    pixels: NDArray[Any]


@dataclass(frozen=True)
class EmbeddingMapData:
    """Samples as one network sees them, on a plane.

    Args:
        network: Which one, in words.
        method: How embeddings were brought onto the plane, in words.
        left_out: Samples that were not drawn.
        positions: Shape (n, 2), from -1 to 1.
        ids: Of the samples.
        labels: Of each; what was decided of the samples to predict.
        decided: Of each.
        test: Whether each is one to predict, shape (n,).
        wrong: Whether each decision is wrong, shape (n,).
        pixels: Of each a small picture, shape (n, channels, height, width).
    """

    network: str
    method: str
    left_out: int
    positions: NDArray[np.float32]
    ids: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    decided: tuple[tuple[str, ...], ...]
    test: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    pixels: NDArray[Any]


@dataclass(frozen=True)
class PictureData:
    """Everything that a report shows as pictures beside its galleries.

    Args:
        explained: Samples with heat maps, mistakes first.
        unexplained: Why there are none, in a sentence.
        views: Samples channel by channel.
        filters: Of the first model's first network.
        uncertain: The least certain first.
        nearest_images: By the id of a mistake, the nearest first.
        nearest_source: Where those were looked for, in words.
        map: The map of embeddings.
    """

    explained: tuple[ExplainedSample, ...] = ()
    unexplained: str = ""
    views: tuple[ExampleImage, ...] = ()
    filters: FirstLayer | None = None
    uncertain: tuple[Uncertain, ...] = ()
    nearest_images: dict[str, tuple[NearestImage, ...]] = field(default_factory=dict)
    nearest_source: str = ""
    map: EmbeddingMapData | None = None
