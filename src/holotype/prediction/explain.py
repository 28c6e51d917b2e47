"""Grad-CAM heat maps: the image regions that speak for a class."""

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
    """Compute Grad-CAM heat maps, one class per image, without test-time augmentation.

    Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2, on the last feature map before pooling; for a transformer, on
    its patch tokens. The score is the logit of the class. For multiclass models the mean of all logits is subtracted,
    because a softmax ignores a constant and the map should too. Maps of several networks or of several tiles are
    averaged. A map depends on its own image only, not on the batch.

    Args:
        rows: Image rows, shape (n,); a row may occur several times, for several classes.
        classes: Class of each map, shape (n,): indices into the card's `classes`.

    Returns:
        Shape (n, height, width) of the cached images, float32 in 0 to 1, each map divided by its maximum; all zeros if
        nothing speaks for the class. `heat_over_image` maps it onto the original image.

    Raises:
        InputError: The backbone does not end in a spatial feature map.
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
    """Compute the height and width of the feature map that heat maps are made from.

    Raises InputError if the backbone does not end in a spatial feature map.
    """
    card, first = network.card, load_network(network)
    with torch.no_grad():
        features = first.features(torch.zeros(1, card["input_channels"], int(card["size"]), int(card["size"])))
    down, across = _as_feature_grid(features, first.backbone).shape[2:]
    return down, across


def class_activation(features: Tensor, gradients: Tensor) -> Tensor:
    """Weight feature maps by their mean gradients, sum over channels and clip at zero.

    `features`: shape (n, width, H, W). Returns shape (n, H, W).
    """
    weights = gradients.mean(dim=(2, 3), keepdim=True)  # equation 1
    return (weights * features).sum(dim=1).relu()  # equation 2


def heat_over_image(heat: NDArray[Any], height: int, width: int, model: ModelSpec) -> HeatMap:
    """Resize a heat map to the original image, cutting off the padding of the cached image.

    `heat`: shape (H, W) of the cached images, from `grad_cam`. Returns shape (height, width), 0 to 1.
    """
    if model.input.resize != "stretch":
        tile = model.input.tile
        scale = 1.0 if tile is None else min(1.0, model.stored_size / tile.size)
        heat = heat[unpadded_region(heat.shape, (height, width), scale)]
    return resize_image(heat[None].astype(np.float32), height, width)[0]


def _window_heat_map(
    network: Network, dataset: ImageDataset, pixels: Tensor, classes: Tensor, card: dict[str, Any]
) -> Tensor:
    """Heat maps in the frame of the cached images, shape (n, H, W): the mean over the windows that cover a pixel."""
    total, coverage = pixels.new_zeros(()), pixels.new_zeros(())
    windows = tta_transforms(dataset, InferenceOptions(int(card["size"]), card["kind"], PredictSpec(tta="none")))
    for window, center in zip(windows, dataset.grid(), strict=True):
        heat, inside = _spread_over_image(_activation(network, window(pixels), classes, card["kind"]), center, dataset)
        total, coverage = total + heat, coverage + inside
    return total / coverage.clamp_min(1.0)


def _activation(network: Network, batch: Tensor, classes: Tensor, kind: str) -> Tensor:
    """Equations 1 and 2 for one window, shape (n, rows, columns); only the head is differentiated."""
    with torch.no_grad():
        features = network.features(batch)
    with torch.enable_grad():
        features = features.detach().requires_grad_()
        logits = network.head(features)
        if kind == "multiclass":
            logits = logits - logits.mean(dim=1, keepdim=True)
        (gradients,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), features)
    return class_activation(*(_as_feature_grid(part, network.backbone) for part in (features.detach(), gradients)))


def _as_feature_grid(features: Tensor, backbone: nn.Module) -> Tensor:
    """Backbone output as a spatial map (n, width, H, W); patch tokens are arranged in their square."""
    if features.shape[3] > 1:
        return features
    tokens = features[:, :, int(getattr(backbone, "num_prefix_tokens", 0)) :, 0]  # type: ignore[arg-type]
    side = isqrt(tokens.shape[2])
    if side * side == tokens.shape[2] and side > 1:
        return tokens.unflatten(2, (side, side))
    ends = "in a single position" if tokens.shape[2] < 2 else f"in {tokens.shape[2]:,} tokens, which form no square"
    raise InputError(
        f"no heat map can be computed: the backbone ends {ends}",
        field="models.input.size",
        remedy="use a larger `input.size`, or a backbone that ends in a spatial feature map",
    )


def _spread_over_image(heat: Tensor, center: Tensor, dataset: ImageDataset) -> tuple[Tensor, Tensor]:
    """A window's map resampled onto the cached image (the inverse of `warp`), and the mask of pixels it covers."""
    height, width = dataset.pixel_cache.pixels.shape[2:]
    longest = (max(height, width),) * 2 if dataset.pixel_cache.resize_mode == "fit" else (width, height)
    across, down = ((2 * torch.arange(side).to(heat) + 1) / side - 1 for side in (width, height))
    stored = torch.stack(torch.meshgrid(across * width / longest[0], down * height / longest[1], indexing="xy"), dim=-1)
    grid = (stored - center.to(heat)) / dataset.window_share
    inside = (grid.abs() <= 1 + ROUNDING).all(dim=-1).to(heat)
    grids = grid.expand(len(heat), -1, -1, -1)
    resampled = functional.grid_sample(heat[:, None], grids, padding_mode="border", align_corners=False)
    return resampled[:, 0] * inside, inside
