"""Picture data of a report: heat maps, example images, filters and the embedding map."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Heatmap:
    """Grad-CAM map of one class.

    Args:
        role: Relation of the class to the sample: `decided`, `true`, or both.
        map: Shape (height, width) of the image, 0 to 1.
    """

    name: str
    role: str
    map: NDArray[np.float32]


@dataclass(frozen=True)
class ExplainedSample:
    """Sample with Grad-CAM maps.

    Args:
        pixels: Shape (channels, height, width), in the units of the file.
        heats: One entry per class.
        map_size: Rows and columns of the feature map before it is enlarged.
    """

    id: str
    wrong: bool
    pixels: NDArray[Any]
    heats: tuple[Heatmap, ...]
    network: str
    map_size: tuple[int, int]


@dataclass(frozen=True)
class ExampleImage:
    """Labeled example image. `pixels`: shape (channels, height, width), in the units of the file."""

    id: str
    labels: tuple[str, ...]
    pixels: NDArray[Any]


@dataclass(frozen=True)
class FirstLayer:
    """Convolution kernels of the first layer of a network. `kernels`: shape (kernels, channels, height, width)."""

    network: str
    channels: tuple[str, ...]
    kernels: NDArray[np.float32]
    start: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Uncertain:
    """Sample whose prediction is close to another one.

    Args:
        options: Class name, probability and threshold (if any). Multiclass: the two most probable classes; multilabel:
            the class closest to its threshold.
        pixels: Shape (channels, height, width), in the units of the file.
    """

    id: str
    fold: int
    truth: tuple[str, ...]
    decided: tuple[str, ...]
    options: tuple[tuple[str, float, float | None], ...]
    pixels: NDArray[Any]


@dataclass(frozen=True)
class NearestImage:
    """Labeled image similar to a mistake.

    Args:
        similarity: Cosine similarity of the embeddings, at most 1.
        pixels: Shape (channels, height, width), in the units of the file.
    """

    id: str
    labels: tuple[str, ...]
    similarity: float
    pixels: NDArray[Any]


@dataclass(frozen=True)
class EmbeddingMapData:
    """Embeddings of samples projected onto a plane.

    Args:
        positions: Shape (n, 2), from -1 to 1.
        test: Mask of the samples to predict, shape (n,).
        wrong: Mask of wrong predictions, shape (n,).
        pixels: Thumbnails, shape (n, channels, height, width).
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
    """Pictures of a report other than mistakes and class examples.

    Args:
        unexplained: Reason why there are none, as a sentence.
        nearest_images: Similar labeled images by the id of a mistake, the most similar first.
        nearest_source: Set of images that was searched, in words.
    """

    explained: tuple[ExplainedSample, ...] = ()
    unexplained: str = ""
    views: tuple[ExampleImage, ...] = ()
    filters: FirstLayer | None = None
    uncertain: tuple[Uncertain, ...] = ()
    nearest_images: dict[str, tuple[NearestImage, ...]] = field(default_factory=dict)
    nearest_source: str = ""
    map: EmbeddingMapData | None = None
