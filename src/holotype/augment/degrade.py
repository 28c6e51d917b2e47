"""Optical and detector degradations: gamma, saturation, blur, noise and random erasing."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from holotype.recipe.sections import AugmentSpec

DEGRADATION_DRAWS = 9  # gamma, saturation, blur, noise, and five for random erasing
GRAY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601
# Zhong et al. 2020, "Random erasing data augmentation", section 4.2
ERASED_AREAS, ERASED_ASPECTS = (0.02, 0.33), (0.3, 3.3)
EPSILON = 1e-6


def apply_degradations(pixels: Tensor, draws: Tensor, spec: AugmentSpec, keys: NDArray[np.uint64]) -> Tensor:
    """Apply the degradations of a recipe in the order of the light path: specimen, optics, detector.

    Args:
        pixels: Shape (n, channels, H, W), normalized.
        draws: Uniform numbers in [0, 1), shape (n, 9).
        keys: Seed of each row's noise, shape (n,).
    """
    signed = (draws * 2 - 1).to(pixels.device)
    draws = draws.to(pixels.device)
    if spec.gamma:
        pixels = adjust_gamma(pixels, torch.exp(signed[:, 0] * spec.gamma))
    if spec.saturation:
        pixels = adjust_saturation(pixels, 1 + signed[:, 1] * spec.saturation)
    if spec.blur:
        pixels = blur(pixels, draws[:, 2] * spec.blur, spec.blur)
    if spec.noise:
        pixels = add_noise(pixels, draws[:, 3] * spec.noise, keys)
    return random_erase(pixels, draws[:, 4:9], spec.random_erasing) if spec.random_erasing else pixels


def adjust_gamma(pixels: Tensor, exponents: Tensor) -> Tensor:
    """Raise each channel to a power, relative to its own minimum and maximum, which stay fixed.

    `pixels`: shape (n, channels, H, W); `exponents`: positive, shape (n,).
    """
    low, high = pixels.amin(dim=(2, 3), keepdim=True), pixels.amax(dim=(2, 3), keepdim=True)
    span = (high - low).clamp_min(EPSILON)
    return low + span * ((pixels - low) / span) ** exponents[:, None, None, None]


def adjust_saturation(pixels: Tensor, factors: Tensor) -> Tensor:
    """Scale the difference of colors from gray.

    `pixels`: red, green and blue, shape (n, 3, H, W); `factors`: 0 gives gray, 1 changes nothing, shape (n,).
    """
    gray = (pixels * pixels.new_tensor(GRAY_WEIGHTS)[:, None, None]).sum(dim=1, keepdim=True)
    return gray + (pixels - gray) * factors[:, None, None, None]


def blur(pixels: Tensor, deviations: Tensor, largest: float) -> Tensor:
    """Gaussian blur with one standard deviation per image; edges are mirrored.

    `pixels`: shape (n, channels, H, W); `deviations`: in pixels, shape (n,); `largest`: upper bound of the deviations,
    which sets the size of the kernel.
    """
    count, channels, height, width = pixels.shape
    radius = min(math.ceil(3 * largest), height - 1, width - 1)
    if radius < 1:
        return pixels
    offsets = torch.arange(-radius, radius + 1, device=pixels.device)
    kernel = torch.exp(-0.5 * (offsets / deviations.clamp_min(EPSILON)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    flat = functional.pad(pixels, [radius] * 4, mode="reflect").reshape(1, count * channels, height + 2 * radius, -1)
    horizontal = functional.conv2d(flat, kernel[:, None, None, :], groups=count * channels)
    return functional.conv2d(horizontal, kernel[:, None, :, None], groups=count * channels).reshape(pixels.shape)


def add_noise(pixels: Tensor, deviations: Tensor, keys: NDArray[np.uint64]) -> Tensor:
    """Add Gaussian noise that depends only on the key of a row.

    `pixels`: shape (n, channels, H, W); `deviations`: shape (n,); `keys`: shape (n,).
    """
    noise = torch.empty(pixels.shape)
    for row, key in enumerate(keys):
        noise[row].normal_(generator=torch.Generator().manual_seed(int(key) >> 1))
    return torch.addcmul(pixels, noise.to(pixels.device), deviations[:, None, None, None])


def random_erase(pixels: Tensor, draws: Tensor, probability: float) -> Tensor:
    """Random erasing: set a rectangle of some images to the mean of the data set (Zhong et al. 2020).

    `pixels`: shape (n, channels, H, W), normalized; `draws`: uniform numbers in [0, 1), shape (n, 5): selection, area,
    aspect ratio, position (2); `probability`: of an image to lose a rectangle.
    """
    height, width = pixels.shape[2:]
    area = ERASED_AREAS[0] + draws[:, 1] * (ERASED_AREAS[1] - ERASED_AREAS[0])
    aspect = torch.exp(math.log(ERASED_ASPECTS[0]) + draws[:, 2] * math.log(ERASED_ASPECTS[1] / ERASED_ASPECTS[0]))
    tall, wide = (area * aspect).sqrt().clamp_max(1.0), (area / aspect).sqrt().clamp_max(1.0)
    rows = (torch.arange(height, device=pixels.device) + 0.5) / height
    columns = (torch.arange(width, device=pixels.device) + 0.5) / width
    top, left = draws[:, 3] * (1 - tall), draws[:, 4] * (1 - wide)
    in_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None]) & (draws[:, :1] < probability)
    in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    return pixels.masked_fill((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0.0)
