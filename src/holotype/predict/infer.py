"""The only inference loop: validation, out-of-fold, test and the served model all come through here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

from holotype.feed import Specimens, fitting_batches, prepared_ahead, read_batch
from holotype.nets import load_networks
from holotype.predict.pooling import RunningPool
from holotype.predict.precision import in_precision
from holotype.predict.views import Reading, list_views
from holotype.progress import Task
from holotype.runtime import Runtime
from holotype.spec import AugmentSpec, ViewSpec
from holotype.types import (
    MANY,
    AnyScores,
    Checkpoint,
    Integers,
    Predictions,
    TopScores,
    blend_rows,
    condense,
    joined,
)

__all__ = ["PREDICTION_BATCH", "batch_of", "infer", "infer_logits", "infer_pools"]

MOST_VALUES = 2**27  # of the images that are read at once: half a gigabyte
PREDICTION_BATCH = 128  # no gradients are kept, so more images fit than in training
READ_AHEAD = 1  # thread that reads the next batches while a GPU computes; a CPU's cores are busy already


def infer_logits(
    network: Callable[[Tensor], Tensor], specimens: Specimens, rows: Integers, reading: Reading, device: torch.device,
    task: Task | None = None,
) -> AnyScores:  # fmt: skip
    """Scores of some images by one network, its views pooled by one rule.

    Args:
        network: In evaluation mode, on the device.
        specimens: Where the images are stored.
        rows: Image rows, shape (n,).
        reading: Size, views and the rule.
        device: Where to compute.
        task: Counts images as they are done.

    Returns:
        Logits, shape (n, classes); the likeliest where they are the arguments of a softmax over more than 2,000.
    """
    return infer_pools(network, specimens, rows, reading, device, task)[reading.views.pools[0]]


def infer_pools(
    network: Callable[[Tensor], Tensor], specimens: Specimens, rows: Integers, reading: Reading, device: torch.device,
    task: Task | None = None,
) -> dict[str, AnyScores]:  # fmt: skip
    """Scores of some images by one network, its views pooled by running reductions.

    Args:
        network: In evaluation mode, on the device.
        specimens: Where the images are stored.
        rows: Image rows, shape (n,).
        reading: Size, views and the rules.
        device: Where to compute.
        task: Counts images as they are done.

    Returns:
        Logits of each rule, shape (n, classes) each, in the same form; of the first view too, as `first`.
    """
    views = list_views(specimens, reading)
    rules = (*reading.views.pools, "first")
    many = reading.kind == "multiclass" and specimens.truth.shape[1] > MANY
    scores: dict[str, list[AnyScores]] = {rule: [] for rule in rules}

    def pooled_logits(parts: Iterator[Integers]) -> Iterator[dict[str, AnyScores]]:
        ahead = READ_AHEAD if device.type == "cuda" else 0
        for pixels in prepared_ahead(lambda part: read_batch(specimens, part, device), parts, ahead):
            pools = [RunningPool(rule, reading.kind) for rule in rules]
            for view in views:
                logits = network(view(pixels)).float()
                for pool in pools:
                    pool.add(logits)
            arrays = {pool.rule: pool.logits().cpu().numpy() for pool in pools}
            yield {rule: condense(logits) if many else logits for rule, logits in arrays.items()}

    with torch.inference_mode():
        for part in fitting_batches(rows, batch_of(specimens), pooled_logits):
            for rule, logits in part.items():
                scores[rule].append(logits)
            if task is not None:
                task.advance(len(part["first"]))
    nothing = np.empty((0, specimens.truth.shape[1]), np.float32)
    empty = condense(nothing) if many else nothing
    return {rule: joined(parts) if parts else empty for rule, parts in scores.items()}


def batch_of(specimens: Specimens) -> int:
    """How many images are read at once: fewer of large ones, which are held as float32 while their views are read.

    Args:
        specimens: Where the images are stored.
    """
    return max(1, min(PREDICTION_BATCH, MOST_VALUES // int(np.prod(specimens.pack.pixels.shape[1:]))))


def infer(
    checkpoint: Checkpoint,
    specimens: Specimens,
    rows: Integers,
    views: ViewSpec,
    runtime: Runtime,
    device: torch.device,
) -> list[Predictions]:
    """Scores of some images by one checkpoint, one entry a pooling; the first view alone comes last.

    Args:
        checkpoint: The network on disk.
        specimens: Where the images are stored.
        rows: Image rows, shape (n,).
        views: The recipe's `predict` section.
        runtime: Precision and progress.
        device: Where to compute.
    """
    card = checkpoint.card
    networks = load_networks(checkpoint)
    reading = Reading(card["size"], card["kind"], views, AugmentSpec.model_validate(card["member"]["augment"]))
    label = f"{card['member']['name']}, fold {checkpoint.fold}: predicting"
    with runtime.progress.task(label, len(rows) * len(networks)) as task:
        moved = (in_precision(_moved(network, device), runtime.precision, device) for network in networks)
        said = [infer_pools(network, specimens, rows, reading, device, task) for network in moved]
    pooled = {rule: _mean([one[rule] for one in said]) for rule in said[0]}
    name = card["member"]["name"]
    return [Predictions(name, checkpoint.fold, rows, logits, rule) for rule, logits in pooled.items()]


def _moved(network: Module, device: torch.device) -> Module:
    """The network on the device; torch looks at every part of one that is there, which a small batch would notice."""
    first = next(network.parameters(), None)
    return network if first is not None and first.device == device else network.to(device)


def _mean(said: list[AnyScores]) -> AnyScores:
    """What several networks say of the same rows, as one."""
    whole = joined(said)
    if not isinstance(whole, TopScores):
        return np.asarray(np.mean([np.asarray(one) for one in said], axis=0), np.float32)
    if len(said) == 1:
        return whole
    rows = len(said[0])
    return blend_rows(whole, np.tile(np.arange(rows), len(said)), rows, np.full(len(whole), 1 / len(said)))
