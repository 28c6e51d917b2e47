"""The only inference loop: validation, out-of-fold, test and the served model all come through here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from holotype.feed import Specimens, batches, read_batch
from holotype.nets import load_networks
from holotype.predict.pooling import RunningPool
from holotype.predict.views import Reading, list_views
from holotype.progress import Task
from holotype.runtime import Runtime
from holotype.spec import AugmentSpec, ViewSpec
from holotype.types import Checkpoint, Floats, Integers, Predictions

__all__ = ["PREDICTION_BATCH", "Reading", "infer", "infer_logits"]

MOST_VALUES = 2**27  # of the images that are read at once: half a gigabyte
PREDICTION_BATCH = 128  # no gradients are kept, so more images fit than in training


def infer_logits(
    network: Callable[[Tensor], Tensor], specimens: Specimens, rows: Integers, reading: Reading, device: torch.device,
    task: Task | None = None,
) -> Floats:  # fmt: skip
    """Scores of some images by one network, its views pooled by running reductions.

    Args:
        network: In evaluation mode, on the device.
        specimens: Where the images are stored.
        rows: Image rows, shape (n,).
        reading: Size and views.
        device: Where to compute.
        task: Counts images as they are done.

    Returns:
        Logits, shape (n, classes).
    """
    seen = list_views(specimens, reading)
    scores: list[Floats] = []
    with torch.inference_mode():
        for chosen in batches(rows, _batch(specimens), whole=False):
            pixels = read_batch(specimens, chosen, device)
            pooled = RunningPool(reading.views.pool, reading.kind)
            for view in seen:
                pooled.add(network(view(pixels)).float())
            scores.append(pooled.logits().cpu().numpy())
            if task is not None:
                task.advance(len(chosen))
    return np.concatenate(scores) if scores else np.empty((0, specimens.truth.shape[1]), np.float32)


def _batch(specimens: Specimens) -> int:
    """How many images are read at once: fewer of large ones, which are held as float32 while their views are read."""
    return max(1, min(PREDICTION_BATCH, MOST_VALUES // int(np.prod(specimens.pack.pixels.shape[1:]))))


def infer(
    checkpoint: Checkpoint,
    specimens: Specimens,
    rows: Integers,
    views: ViewSpec,
    runtime: Runtime,
    device: torch.device,
) -> Predictions:
    """Scores of some images by one checkpoint.

    Args:
        checkpoint: The network on disk.
        specimens: Where the images are stored.
        rows: Image rows, shape (n,).
        views: The recipe's `predict` section.
        runtime: For progress.
        device: Where to compute.
    """
    card = checkpoint.card
    networks = load_networks(checkpoint)
    reading = Reading(card["size"], card["kind"], views, AugmentSpec.model_validate(card["member"]["augment"]))
    label = f"{card['member']['name']}, fold {checkpoint.fold}: predicting"
    with runtime.progress.task(label, len(rows) * len(networks)) as task:
        said = [infer_logits(network.to(device), specimens, rows, reading, device, task) for network in networks]
    return Predictions(card["member"]["name"], checkpoint.fold, rows, np.mean(said, axis=0, dtype=np.float32))
