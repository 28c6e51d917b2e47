"""Inference loop: the only one, used for validation, out-of-fold, test and served predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

from holotype.core.progress import Task
from holotype.core.runtime import Runtime
from holotype.core.stop import stop_if_requested
from holotype.loading import ImageDataset, batches_within_memory, prefetch, read_batch
from holotype.networks import load_network, load_networks
from holotype.prediction.pooling import RunningPool
from holotype.prediction.precision import in_precision
from holotype.prediction.tta import InferenceOptions, tta_transforms
from holotype.recipe.sections import AugmentSpec, PredictSpec
from holotype.types import (
    MANY_CLASSES,
    AnyScores,
    Checkpoint,
    Floats,
    Integers,
    Predictions,
    TopKScores,
    average_rows,
    concatenate,
    keep_top_k,
)

MAX_VALUES = 2**27  # of a batch: half a gigabyte of float32
PREDICTION_BATCH = 128  # no gradients are kept, so more images fit than in training
READ_AHEAD = 1  # threads that read the next batches while a GPU computes; a CPU has no idle cores for them


def infer_logits(
    network: Callable[[Tensor], Tensor],
    dataset: ImageDataset,
    rows: Integers,
    options: InferenceOptions,
    device: torch.device,
    task: Task | None = None,
) -> AnyScores:
    """Predict images with one network and one pooling rule.

    Returns logits, shape (n, classes); for a softmax over more than 2,000 classes only the top ones.
    """
    return infer_pools(network, dataset, rows, options, device, task)[options.views.pools[0]]


def infer_pools(
    network: Callable[[Tensor], Tensor],
    dataset: ImageDataset,
    rows: Integers,
    options: InferenceOptions,
    device: torch.device,
    task: Task | None = None,
) -> dict[str, AnyScores]:
    """Predict images with one network under every pooling rule of the options.

    Returns logits by rule, shape (n, classes) each, and those of the first view alone as `first-view`.
    """
    views = tta_transforms(dataset, options)
    rules = (*options.views.pools, "first-view")
    is_topk = options.kind == "multiclass" and dataset.truth.shape[1] > MANY_CLASSES
    scores: dict[str, list[AnyScores]] = {rule: [] for rule in rules}

    def pooled_logits(parts: Iterator[Integers]) -> Iterator[dict[str, AnyScores]]:
        workers = READ_AHEAD if device.type == "cuda" else 0
        for pixels in prefetch(lambda part: read_batch(dataset, part, device), parts, workers):
            pools = [RunningPool(rule, options.kind) for rule in rules]
            for view in views:
                logits = network(view(pixels)).float()
                for pool in pools:
                    pool.add(logits)
            arrays = {pool.rule: pool.logits().cpu().numpy() for pool in pools}
            yield {rule: keep_top_k(logits) if is_topk else logits for rule, logits in arrays.items()}

    with torch.inference_mode():
        for part in batches_within_memory(rows, prediction_batch_size(dataset), pooled_logits):
            stop_if_requested()
            for rule, logits in part.items():
                scores[rule].append(logits)
            if task is not None:
                task.advance(len(part["first-view"]))
    no_scores = np.empty((0, dataset.truth.shape[1]), np.float32)
    empty = keep_top_k(no_scores) if is_topk else no_scores
    return {rule: concatenate(parts) if parts else empty for rule, parts in scores.items()}


def infer_features(checkpoint: Checkpoint, features: Floats, rows: Integers, views: PredictSpec) -> list[Predictions]:
    """Predict images from the features of a frozen backbone: the same scores as `infer`, without the backbone.

    Args:
        features: Pooled features of the views of each row, shape (n, views, width).
    """
    card, network = checkpoint.card, load_network(checkpoint)
    device = next(network.parameters()).device  # a network that stays in memory may be on a GPU
    rules = (*views.pools, "first-view")
    is_topk = card["kind"] == "multiclass" and len(card["classes"]) > MANY_CLASSES
    scores: dict[str, list[AnyScores]] = {rule: [] for rule in rules}
    with torch.inference_mode():
        for start in range(0, max(len(rows), 1), PREDICTION_BATCH):
            batch = torch.from_numpy(np.array(features[start : start + PREDICTION_BATCH])).to(device)
            pools = [RunningPool(rule, card["kind"]) for rule in rules]
            for view in batch.unbind(dim=1):
                logits = network.head.classify(view)
                for pool in pools:
                    pool.add(logits)
            for pool in pools:
                pooled = pool.logits().cpu().numpy()
                scores[pool.rule].append(keep_top_k(pooled) if is_topk else pooled)
    name = card["model"]["name"]
    return [Predictions(name, checkpoint.fold, rows, concatenate(scores[rule]), rule) for rule in rules]


def prediction_batch_size(dataset: ImageDataset) -> int:
    """Number of images per prediction batch: fewer if they are large, because they are float32 in memory."""
    return max(1, min(PREDICTION_BATCH, MAX_VALUES // int(np.prod(dataset.pixel_cache.pixels.shape[1:]))))


def infer(
    checkpoint: Checkpoint,
    dataset: ImageDataset,
    rows: Integers,
    views: PredictSpec,
    runtime: Runtime,
    device: torch.device,
) -> list[Predictions]:
    """Predict images with one checkpoint; one entry per pooling rule, with the first view alone as the last entry."""
    card = checkpoint.card
    networks = load_networks(checkpoint)
    options = InferenceOptions(card["size"], card["kind"], views, AugmentSpec.model_validate(card["model"]["augment"]))
    label = f"{card['model']['name']}, fold {checkpoint.fold}: predicting"
    with runtime.progress.task(label, len(rows) * len(networks)) as task:
        device_networks = (in_precision(_to_device(network, device), runtime.precision, device) for network in networks)
        network_scores = [infer_pools(network, dataset, rows, options, device, task) for network in device_networks]
    pooled = {rule: _average_networks([scores[rule] for scores in network_scores]) for rule in network_scores[0]}
    name = card["model"]["name"]
    return [Predictions(name, checkpoint.fold, rows, logits, rule) for rule, logits in pooled.items()]


def _to_device(network: Module, device: torch.device) -> Module:
    """The network on the device; `Module.to` visits every parameter even if it is there, which slows small batches."""
    first = next(network.parameters(), None)
    return network if first is not None and first.device == device else network.to(device)


def _average_networks(network_scores: list[AnyScores]) -> AnyScores:
    stacked = concatenate(network_scores)
    if not isinstance(stacked, TopKScores):
        return np.asarray(np.mean([np.asarray(scores) for scores in network_scores], axis=0), np.float32)
    if len(network_scores) == 1:
        return stacked
    rows = len(network_scores[0])
    return average_rows(
        stacked, np.tile(np.arange(rows), len(network_scores)), rows, np.full(len(stacked), 1 / len(network_scores))
    )
