"""Attributions: where in a picture a network finds what speaks for a class."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from holotype.data import held_part, resize_image
from holotype.errors import InputError
from holotype.feed import Specimens, batches, read_batch
from holotype.nets import Network, load_networks
from holotype.predict.infer import batch_of
from holotype.predict.views import Reading, list_views
from holotype.runtime import Runtime
from holotype.spec import MemberSpec, ViewSpec
from holotype.types import Checkpoint, Integers

__all__ = ["class_activation", "grad_cam", "heat_over_image"]

Heat = NDArray[np.float32]
ROUNDING, NOTHING = 1e-5, 1e-30


def grad_cam(
    network: Checkpoint, specimens: Specimens, rows: Integers, classes: Integers, runtime: Runtime, device: torch.device
) -> Heat:
    """Heat maps of images, each for one class, by a trained network that sees them plainly, without views.

    Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2, on the last feature map before the pooling; of the tokens of a
    transformer those that stand for places. Where a checkpoint holds several networks, or an image is cut into tiles,
    their maps are averaged. A map hangs on its own image alone, not on its company.

    Args:
        network: On disk, from `open_checkpoint`.
        specimens: Where the images are stored.
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
    parts = [np.zeros((0, *specimens.pack.pixels.shape[2:]), np.float32)]
    label = f"{card['member']['name']}, fold {network.fold}: heat maps"
    with runtime.progress.task(label, len(rows) * len(networks)) as task:
        for chosen in batches(np.arange(len(rows)), batch_of(specimens), whole=False):
            pixels = read_batch(specimens, rows[chosen], device)
            wanted = torch.from_numpy(np.asarray(classes[chosen], np.int64)).to(device)
            heat = pixels.new_zeros((len(chosen), *pixels.shape[2:]))
            for one in networks:
                heat += _heat(one.to(device), specimens, pixels, wanted, int(card["size"]))
                task.advance(len(chosen))
            parts.append((heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(NOTHING)).cpu().numpy())
    return np.concatenate(parts)


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


def heat_over_image(heat: NDArray[Any], height: int, width: int, member: MemberSpec) -> Heat:
    """A heat map as it lies over an image in its own size: what is stored around a smaller image is cut away.

    Args:
        heat: Shape (H, W) of the stored images, from `grad_cam`.
        height: Of the image in pixels.
        width: Of the image in pixels.
        member: The section of the network's card.

    Returns:
        Shape (height, width), 0 to 1.
    """
    if member.input.resize != "stretch":
        tile = member.input.tile
        heat = heat[
            held_part(heat.shape, (height, width), 1.0 if tile is None else min(1.0, member.stored_size / tile.side))
        ]
    return resize_image(heat[None].astype(np.float32), height, width)[0]


def _heat(network: Network, specimens: Specimens, pixels: Tensor, classes: Tensor, size: int) -> Tensor:
    """Maps in the frame of the stored images, shape (n, H, W): the mean over the windows that see a place."""
    total, seen = pixels.new_zeros(()), pixels.new_zeros(())
    windows = list_views(specimens, Reading(size, "multilabel", ViewSpec(views="none")))
    for window, centre in zip(windows, specimens.grid(), strict=True):
        heat, inside = _spread(_activation(network, window(pixels), classes), centre, specimens)
        total, seen = total + heat, seen + inside
    return total / seen.clamp_min(1.0)


def _activation(network: Network, batch: Tensor, classes: Tensor) -> Tensor:
    """Equations 1 and 2 of one window, shape (n, places down, places across); only the head is differentiated."""
    with torch.no_grad():
        features = network.features(batch)
    with torch.enable_grad():
        features = features.detach().requires_grad_()
        said = network.head(features).gather(1, classes[:, None])
        (gradients,) = torch.autograd.grad(said.sum(), features)
    return class_activation(_places(features.detach(), network.backbone), _places(gradients, network.backbone))


def _places(features: Tensor, backbone: nn.Module) -> Tensor:
    """What a backbone ends in as a map of places, (n, width, H, W): tokens are laid out as they were cut."""
    if features.shape[3] > 1:
        return features
    tokens = features[:, :, int(getattr(backbone, "num_prefix_tokens", 0)) :, 0]  # type: ignore[arg-type]
    side = isqrt(tokens.shape[2])
    if side * side == tokens.shape[2] and side > 1:
        return tokens.unflatten(2, (side, side))
    ends = "in one place alone" if tokens.shape[2] < 2 else f"in {tokens.shape[2]:,} tokens that make no square"
    raise InputError(
        f"no heat map can be drawn: the backbone ends {ends}", field="members.input.size",
        remedy="take a larger `input.size`, or a backbone that ends in a map of places",
    )  # fmt: skip


def _spread(heat: Tensor, centre: Tensor, specimens: Specimens) -> tuple[Tensor, Tensor]:
    """A window's map laid over the stored images, and where these lie inside the window: the way back of `warp`."""
    height, width = specimens.pack.pixels.shape[2:]
    longest = (max(height, width),) * 2 if specimens.pack.fitting == "fit" else (width, height)
    across, down = ((2 * torch.arange(side).to(heat) + 1) / side - 1 for side in (width, height))
    stored = torch.stack(torch.meshgrid(across * width / longest[0], down * height / longest[1], indexing="xy"), dim=-1)
    grid = (stored - centre.to(heat)) / specimens.window_share
    inside = (grid.abs() <= 1 + ROUNDING).all(dim=-1).to(heat)
    many = grid.expand(len(heat), -1, -1, -1)
    laid = functional.grid_sample(heat[:, None], many, mode="bilinear", padding_mode="border", align_corners=False)
    return laid[:, 0] * inside, inside
