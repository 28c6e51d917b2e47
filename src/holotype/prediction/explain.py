"""Attributions: where in a picture a network finds what speaks for a class."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from holotype.core.errors import InputError
from holotype.core.runtime import Runtime
from holotype.data import resize_image, unpadded_region
from holotype.loading import ImageDataset, batches, read_batch
from holotype.networks import Network, load_network, load_networks
from holotype.prediction.infer import prediction_batch_size
from holotype.prediction.tta import InferenceOptions, tta_transforms
from holotype.recipe.sections import ModelSpec, PredictSpec
from holotype.types import Checkpoint, Integers

__all__ = ["class_activation", "feature_map_size", "grad_cam", "heat_over_image"]

HeatMap = NDArray[np.float32]
ROUNDING, TINY = 1e-5, 1e-30


def grad_cam(
    network: Checkpoint,
    dataset: ImageDataset,
    rows: Integers,
    classes: Integers,
    runtime: Runtime,
    device: torch.device,
) -> HeatMap:
    """Heat maps of images, each for one class, by a trained network that sees them plainly, without views.

    Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2, on the last feature map before the pooling; of the tokens of a
    transformer those that stand for places. The score is the class's logit; of one label a sample less the mean of all
    logits, since a softmax knows its arguments up to a constant and a map must not hang on that. Where a checkpoint
    holds several networks, or an image is cut into tiles, their maps are averaged. A map hangs on its own image alone,
    not on its company.

    Args:
        network: On disk, from `open_checkpoint`.
        dataset: Where the images are stored.
        rows: Image rows, shape (n,); a row may stand in it several times, for several classes.
        classes: The class that each map is for, shape (n,): numbers in the order of the card's `classes`.
        runtime: For progress.
        device: Where to compute.

    Returns:
        Shape (n, height, width) of the stored images (`specimens.pack.pixels`), float32 from 0 to 1, each map divided
        by its own largest value; all zero where nothing speaks for the class. `heat_over_image` brings a map onto the
        image as its file has it.

    Raises:
        InputError: The backbone ends in something without places.
    """
    card, networks = network.card, load_networks(network)
    parts = [np.zeros((0, *dataset.pixel_cache.pixels.shape[2:]), np.float32)]
    label = f"{card['model']['name']}, fold {network.fold}: heat maps"
    with runtime.progress.task(label, len(rows) * len(networks)) as task:
        for batch_rows in batches(np.arange(len(rows)), prediction_batch_size(dataset), drop_last=False):
            pixels = read_batch(dataset, rows[batch_rows], device)
            target_classes = torch.from_numpy(np.asarray(classes[batch_rows], np.int64)).to(device)
            heat = pixels.new_zeros((len(batch_rows), *pixels.shape[2:]))
            for module in networks:
                heat += _window_heat_map(module.to(device), dataset, pixels, target_classes, card)
                task.advance(len(batch_rows))
            parts.append((heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(TINY)).cpu().numpy())
    return np.concatenate(parts)


def feature_map_size(network: Checkpoint) -> tuple[int, int]:
    """How many places down and across the map has that a heat map is made from, before it is spread over an image.

    Args:
        network: On disk, from `open_checkpoint`.

    Raises:
        InputError: The backbone ends in something without places.
    """
    card, first = network.card, load_network(network)
    with torch.no_grad():
        features = first.features(torch.zeros(1, card["input_channels"], int(card["size"]), int(card["size"])))
    down, across = _as_feature_grid(features, first.backbone).shape[2:]
    return down, across


def class_activation(features: Tensor, gradients: Tensor) -> Tensor:
    """Feature maps weighted by how much each raises a score, and what is left above zero.

    Args:
        features: Shape (n, width, H, W).
        gradients: Of a score by each of them, in the same shape.

    Returns:
        Shape (n, H, W).
    """
    weights = gradients.mean(dim=(2, 3), keepdim=True)  # equation 1
    return (weights * features).sum(dim=1).relu()  # equation 2


def heat_over_image(heat: NDArray[Any], height: int, width: int, model: ModelSpec) -> HeatMap:
    """A heat map as it lies over an image in its own size: what is stored around a smaller image is cut away.

    Args:
        heat: Shape (H, W) of the stored images, from `grad_cam`.
        height: Of the image in pixels.
        width: Of the image in pixels.
        model: The section of the network's card.

    Returns:
        Shape (height, width), 0 to 1.
    """
    if model.input.resize != "stretch":
        tile = model.input.tile
        heat = heat[
            unpadded_region(
                heat.shape, (height, width), 1.0 if tile is None else min(1.0, model.stored_size / tile.size)
            )
        ]
    return resize_image(heat[None].astype(np.float32), height, width)[0]


def _window_heat_map(
    network: Network, dataset: ImageDataset, pixels: Tensor, classes: Tensor, card: dict[str, Any]
) -> Tensor:
    """Maps in the frame of the stored images, shape (n, H, W): the mean over the windows that see a place."""
    total, coverage = pixels.new_zeros(()), pixels.new_zeros(())
    windows = tta_transforms(dataset, InferenceOptions(int(card["size"]), card["kind"], PredictSpec(tta="none")))
    for window, center in zip(windows, dataset.grid(), strict=True):
        heat, inside = _spread_over_image(_activation(network, window(pixels), classes, card["kind"]), center, dataset)
        total, coverage = total + heat, coverage + inside
    return total / coverage.clamp_min(1.0)


def _activation(network: Network, batch: Tensor, classes: Tensor, kind: str) -> Tensor:
    """Equations 1 and 2 of one window, shape (n, places down, places across); only the head is differentiated."""
    with torch.no_grad():
        features = network.features(batch)
    with torch.enable_grad():
        features = features.detach().requires_grad_()
        logits = network.head(features)
        if kind == "multiclass":
            logits = logits - logits.mean(dim=1, keepdim=True)
        (gradients,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), features)
    return class_activation(
        _as_feature_grid(features.detach(), network.backbone), _as_feature_grid(gradients, network.backbone)
    )


def _as_feature_grid(features: Tensor, backbone: nn.Module) -> Tensor:
    """What a backbone ends in as a map of places, (n, width, H, W): tokens are laid out as they were cut."""
    if features.shape[3] > 1:
        return features
    tokens = features[:, :, int(getattr(backbone, "num_prefix_tokens", 0)) :, 0]  # type: ignore[arg-type]
    side = isqrt(tokens.shape[2])
    if side * side == tokens.shape[2] and side > 1:
        return tokens.unflatten(2, (side, side))
    ends = "in one place alone" if tokens.shape[2] < 2 else f"in {tokens.shape[2]:,} tokens that make no square"
    raise InputError(
        f"no heat map can be drawn: the backbone ends {ends}",
        field="models.input.size",
        remedy="take a larger `input.size`, or a backbone that ends in a map of places",
    )


def _spread_over_image(heat: Tensor, center: Tensor, dataset: ImageDataset) -> tuple[Tensor, Tensor]:
    """A window's map laid over the stored images, and where these lie inside the window: the way back of `warp`."""
    height, width = dataset.pixel_cache.pixels.shape[2:]
    longest = (max(height, width),) * 2 if dataset.pixel_cache.resize_mode == "fit" else (width, height)
    across, down = ((2 * torch.arange(side).to(heat) + 1) / side - 1 for side in (width, height))
    stored = torch.stack(torch.meshgrid(across * width / longest[0], down * height / longest[1], indexing="xy"), dim=-1)
    grid = (stored - center.to(heat)) / dataset.window_share
    inside = (grid.abs() <= 1 + ROUNDING).all(dim=-1).to(heat)
    grids = grid.expand(len(heat), -1, -1, -1)
    resampled = functional.grid_sample(
        heat[:, None], grids, mode="bilinear", padding_mode="border", align_corners=False
    )
    return resampled[:, 0] * inside, inside
