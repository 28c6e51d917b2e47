"""Embeddings: what a frozen backbone sees in images, before anything is trained."""

from __future__ import annotations

import torch
from torch import Tensor

from holotype.feed import Specimens
from holotype.nets import build_network, load_network
from holotype.predict.infer import infer_logits
from holotype.predict.precision import in_precision
from holotype.predict.views import Reading
from holotype.runtime import Runtime
from holotype.spec import MemberSpec, ViewSpec
from holotype.types import Checkpoint, Floats, Integers, dense

__all__ = ["embed_images", "embed_with_network"]


def embed_images(
    member: MemberSpec, specimens: Specimens, rows: Integers, runtime: Runtime, device: torch.device
) -> Floats:
    """Pooled features of images, by the backbone that a member starts from.

    Args:
        member: The recipe's section, its size resolved.
        specimens: Where the images are stored.
        rows: Image rows, shape (n,).
        runtime: Precision and progress.
        device: Where to compute.

    Returns:
        Shape (n, width).
    """
    network, _ = build_network(member, 2, specimens.channels, 0)
    network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def features(batch: Tensor) -> Tensor:
        pooled: Tensor = network.head.pool(network.features(batch))
        return pooled.flatten(1)

    size = member.input.size
    if not isinstance(size, int):
        raise TypeError("the input size must be resolved before images are embedded")
    reading = Reading(size, "multilabel", ViewSpec(views="none"))
    with runtime.progress.task("Looking at the images with a frozen backbone", len(rows)) as task:
        backbone = in_precision(features, runtime.precision, device)
        return dense(infer_logits(backbone, specimens, rows, reading, device, task), "an embedding")


def embed_with_network(
    checkpoint: Checkpoint, specimens: Specimens, rows: Integers, runtime: Runtime, device: torch.device
) -> Floats:
    """What a trained network's last layer looks at, plainly seen: pooled features behind the hidden layers.

    Args:
        checkpoint: The network on disk; the first of several.
        specimens: Where the images are stored.
        rows: Image rows, shape (n,).
        runtime: Precision and progress.
        device: Where to compute.

    Returns:
        Shape (n, width).
    """
    network = load_network(checkpoint).to(device)

    def embedding(batch: Tensor) -> Tensor:
        seen: Tensor = network.head.neck(network.pooled(batch))
        return seen.flatten(1)

    card = checkpoint.card
    reading = Reading(card["size"], "multilabel", ViewSpec(views="none"))
    label = f"{card['member']['name']}, fold {checkpoint.fold}: embedding"
    with runtime.progress.task(label, len(rows)) as task:
        layers = in_precision(embedding, runtime.precision, device)
        return dense(infer_logits(layers, specimens, rows, reading, device, task), "an embedding")
