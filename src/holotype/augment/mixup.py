"""Training images made of two: mixup, cutmix, sample pairing."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import beta
from torch import Tensor

from holotype.recipe.sections import MixSpec

__all__ = ["MIX_DRAWS", "mix_batches", "mixing_partners"]

MIX_DRAWS = 5  # whether, the weight, where (two), and which partner


def mix_batches(
    pixels: Tensor, partners: Tensor, targets: Tensor, partner_targets: Tensor, draws: Tensor, spec: MixSpec
) -> tuple[Tensor, Tensor]:
    """Mix each image with a partner that was drawn and augmented by itself.

    Mixup (Zhang et al. 2018), cutmix (Yun et al. 2019, its labels by the area that is really covered), and sample
    pairing (Inoue 2018). Many labels a sample are mixed as one label is.

    Args:
        pixels: Shape (n, channels, H, W).
        partners: The same shape.
        targets: Shape (n, classes).
        partner_targets: The same shape.
        draws: Uniform numbers in [0, 1), shape (n, at least 4): whether, the weight, and where.
        spec: The recipe's section.

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
    """Rectangles of the images' aspect with some areas and centers, cut off at the edges, shape (n, height, width)."""
    side = areas.clamp_min(0.0).sqrt().to(centers) / 2
    rows = (torch.arange(height, device=centers.device) + 0.5) / height
    columns = (torch.arange(width, device=centers.device) + 0.5) / width
    in_rows = (rows - centers[:, :1]).abs() < side[:, None]
    in_columns = (columns - centers[:, 1:2]).abs() < side[:, None]
    return in_rows[:, :, None] & in_columns[:, None, :]


def mixing_partners(draws: Tensor, count: int) -> NDArray[np.int64]:
    """Which of some rows is each image's partner.

    Args:
        draws: Uniform numbers in [0, 1), shape (n,).
        count: How many rows there are.
    """
    return (draws.double() * count).long().clamp_max(count - 1).numpy()
