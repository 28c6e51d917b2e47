"""Image embeddings from a frozen backbone or a trained network."""

from __future__ import annotations

import torch
from torch import Tensor

from holotype.core.runtime import Runtime
from holotype.loading import ImageDataset
from holotype.networks import build_network, load_network
from holotype.prediction.infer import infer_logits
from holotype.prediction.precision import in_precision
from holotype.prediction.tta import InferenceOptions
from holotype.recipe.sections import ModelSpec, PredictSpec
from holotype.types import Checkpoint, Floats, Integers, to_dense


def embed_images(
    model: ModelSpec, dataset: ImageDataset, rows: Integers, runtime: Runtime, device: torch.device
) -> Floats:
    """Embed images with the backbone that a model starts from: pooled features, shape (n, width)."""
    network, _ = build_network(model, 2, dataset.channels, 0)
    network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def features(batch: Tensor) -> Tensor:
        pooled: Tensor = network.head.pool(network.features(batch))
        return pooled.flatten(1)

    size = model.input.size
    if not isinstance(size, int):
        raise TypeError("resolve input.size before embedding images")
    options = InferenceOptions(size, "multilabel", PredictSpec(tta="none"))
    with runtime.progress.task("Embedding the images with a frozen backbone", len(rows)) as task:
        backbone = in_precision(features, runtime.precision, device)
        return to_dense(infer_logits(backbone, dataset, rows, options, device, task), "an embedding")


def embed_with_network(
    checkpoint: Checkpoint, dataset: ImageDataset, rows: Integers, runtime: Runtime, device: torch.device
) -> Floats:
    """Embed images with a trained network: the input of its last layer, shape (n, width), without augmentation."""
    network = load_network(checkpoint).to(device)

    def embedding(batch: Tensor) -> Tensor:
        features: Tensor = network.head.neck(network.pooled(batch))
        return features.flatten(1)

    card = checkpoint.card
    options = InferenceOptions(card["size"], "multilabel", PredictSpec(tta="none"))
    label = f"{card['model']['name']}, fold {checkpoint.fold}: embedding"
    with runtime.progress.task(label, len(rows)) as task:
        layers = in_precision(embedding, runtime.precision, device)
        return to_dense(infer_logits(layers, dataset, rows, options, device, task), "an embedding")
