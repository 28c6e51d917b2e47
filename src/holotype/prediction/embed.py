"""Image embeddings from a frozen backbone or a trained network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from holotype.core.runtime import Runtime
from holotype.loading import ImageDataset, batches_within_memory, read_batch
from holotype.networks import BACKBONE_SEED, Network, build_network, load_network
from holotype.prediction.infer import infer_logits, prediction_batch_size
from holotype.prediction.precision import in_precision
from holotype.prediction.tta import InferenceOptions, tta_transforms
from holotype.recipe.sections import AugmentSpec, ModelSpec, PredictSpec
from holotype.types import Checkpoint, Floats, Integers, to_dense


def embed_images(
    model: ModelSpec, dataset: ImageDataset, rows: Integers, runtime: Runtime, device: torch.device
) -> Floats:
    """Embed images with the backbone that a model starts from: pooled features, shape (n, width)."""
    views = embed_views(model, PredictSpec(tta="none"), dataset, rows, runtime, device)
    parts = [part[:, 0] for part in views]
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def embed_views(
    model: ModelSpec, views: PredictSpec, dataset: ImageDataset, rows: Integers, runtime: Runtime, device: torch.device
) -> Iterator[Floats]:
    """Embed views of images with the backbone that a model starts from, batch by batch: shape (n, views, width)."""
    network, pretrained = build_network(model, 2, dataset.channels, BACKBONE_SEED)
    if not isinstance(model.input.size, int):
        raise TypeError("resolve input.size before embedding images")
    options = InferenceOptions(model.input.size, "multilabel", views, model.augment)
    label = f"{model.name}: features of a frozen backbone, weights: {pretrained.description}"
    yield from _embed_views(network, options, dataset, rows, runtime, device, label)


def embed_checkpoint_views(
    checkpoint: Checkpoint,
    views: PredictSpec,
    dataset: ImageDataset,
    rows: Integers,
    runtime: Runtime,
    device: torch.device,
) -> Floats:
    """Embed views of images with the frozen backbone of a checkpoint: shape (n, views, width)."""
    card, network = checkpoint.card, load_network(checkpoint)
    options = InferenceOptions(card["size"], "multilabel", views, AugmentSpec.model_validate(card["model"]["augment"]))
    label = f"{card['model']['name']}: features of the frozen backbone"
    return np.concatenate(list(_embed_views(network, options, dataset, rows, runtime, device, label)))


def _embed_views(
    network: Network,
    options: InferenceOptions,
    dataset: ImageDataset,
    rows: Integers,
    runtime: Runtime,
    device: torch.device,
    label: str,
) -> Iterator[Floats]:
    network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def features(batch: Tensor) -> Tensor:
        return network.pooled(batch).flatten(1)

    transforms = tta_transforms(dataset, options)
    backbone = in_precision(features, runtime.precision, device)

    def embed(parts: Iterator[Integers]) -> Iterator[Floats]:
        for part in parts:
            pixels = read_batch(dataset, part, device)
            embedded = torch.stack([backbone(view(pixels)).float() for view in transforms], dim=1)
            yield embedded.cpu().numpy()

    with runtime.progress.task(label, len(rows)) as task, torch.inference_mode():
        for part in batches_within_memory(rows, prediction_batch_size(dataset), embed):
            yield part
            task.advance(len(part))


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
