"""Mixing of training images: mixup, CutMix, sample pairing."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import beta
from torch import Tensor

from holotype.recipe.sections import MixSpec

MIX_DRAWS = 5  # selection, weight, position (2), partner


def mix_batches(
    pixels: Tensor, partners: Tensor, targets: Tensor, partner_targets: Tensor, draws: Tensor, spec: MixSpec
) -> tuple[Tensor, Tensor]:
    """Mix each image with a partner that was drawn and augmented independently.

    Mixup (Zhang et al. 2018), CutMix (Yun et al. 2019, labels weighted by the area that is covered after clipping), and
    sample pairing (Inoue 2018, labels unchanged). Multilabel targets are mixed in the same way.

    Args:
        pixels: Shape (n, channels, H, W).
        targets: Shape (n, classes).
        draws: Uniform numbers in [0, 1), shape (n, at least 4): selection, weight, position (2).

    Returns:
        Pixels and targets of the same shapes.
    """
    mixed = (draws[:, 0] < spec.probability).to(pixels.device)
    weight = torch.from_numpy(beta.ppf(draws[:, 1].double().numpy(), spec.alpha, spec.alpha)).to(targets)
    if spec.kind == "sample-pairing":
        half = torch.where(mixed, 0.5, 1.0)[:, None, None, None].to(pixels)
        return pixels * half + partners * (1 - half), targets
    if spec.kind == "mixup":
        weight = torch.where(mixed, weight, 1.0).to(targets)
        image_share = weight[:, None, None, None].to(pixels)
        return pixels * image_share + partners * (1 - image_share), _interpolate(targets, partner_targets, weight)
    covered = _rectangles(1 - weight, draws[:, 2:4].to(pixels.device), pixels.shape[2], pixels.shape[3])
    covered = covered & mixed[:, None, None]
    image_share = 1 - covered.to(targets).mean(dim=(1, 2))
    return torch.where(covered[:, None], partners, pixels), _interpolate(targets, partner_targets, image_share)


def _interpolate(targets: Tensor, others: Tensor, weight: Tensor) -> Tensor:
    return targets * weight[:, None] + others * (1 - weight[:, None])


def _rectangles(areas: Tensor, centers: Tensor, height: int, width: int) -> Tensor:
    """Masks of rectangles with the image's aspect ratio, clipped at the edges, shape (n, height, width)."""
    side = areas.clamp_min(0.0).sqrt().to(centers) / 2
    rows = (torch.arange(height, device=centers.device) + 0.5) / height
    columns = (torch.arange(width, device=centers.device) + 0.5) / width
    in_rows = (rows - centers[:, :1]).abs() < side[:, None]
    in_columns = (columns - centers[:, 1:2]).abs() < side[:, None]
    return in_rows[:, :, None] & in_columns[:, None, :]


def mixing_partners(draws: Tensor, count: int) -> NDArray[np.int64]:
    """Choose the index of each image's partner among `count` rows, by uniform numbers in [0, 1), shape (n,)."""
    return (draws.double() * count).long().clamp_max(count - 1).numpy()
