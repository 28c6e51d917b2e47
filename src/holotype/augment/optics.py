"""What optics and detectors do to an image: exponents, saturation, blur, noise, and parts that are missing."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from holotype.errors import RecipeError
from holotype.spec import AugmentSpec

__all__ = [
    "OPTICS_DRAWS",
    "add_noise",
    "blur",
    "change_gamma",
    "change_saturation",
    "check_augment",
    "disturb",
    "erase",
]

OPTICS_DRAWS = 9  # exponent, saturation, blur, the noise's strength, and five for the erasing
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
AREAS, ASPECTS = (0.02, 0.33), (0.3, 3.3)  # Zhong et al. 2020, "Random erasing data augmentation", section 4.2
TINY = 1e-6


def check_augment(spec: AugmentSpec, channels: int) -> None:
    """Refuse what does not go with the images.

    Args:
        spec: The recipe's section.
        channels: Channels that the network sees.

    Raises:
        RecipeError: Saturation is asked for where there are not three channels.
    """
    if spec.saturation and channels != 3:
        raise RecipeError(f"saturation is for red, green and blue, and the network sees {channels} channels",
                          field="members.augment.saturation", value=spec.saturation,
                          remedy="write 0; brightness and contrast change each channel by itself")  # fmt: skip


def disturb(pixels: Tensor, draws: Tensor, spec: AugmentSpec, keys: NDArray[np.uint64]) -> Tensor:
    """Exponent, saturation, blur, noise and erasing, in the order of light: specimen, optics, detector.

    Args:
        pixels: Shape (n, channels, H, W), normalised.
        draws: Uniform numbers in [0, 1), shape (n, 9).
        spec: The ranges.
        keys: One a row, for the noise, shape (n,).

    Returns:
        The same shape.
    """
    signed = (draws * 2 - 1).to(pixels.device)
    draws = draws.to(pixels.device)
    if spec.gamma:
        pixels = change_gamma(pixels, torch.exp(signed[:, 0] * spec.gamma))
    if spec.saturation:
        pixels = change_saturation(pixels, 1 + signed[:, 1] * spec.saturation)
    if spec.blur:
        pixels = blur(pixels, draws[:, 2] * spec.blur, spec.blur)
    if spec.noise:
        pixels = add_noise(pixels, draws[:, 3] * spec.noise, keys)
    return erase(pixels, draws[:, 4:9], spec.erase) if spec.erase else pixels


def change_gamma(pixels: Tensor, exponents: Tensor) -> Tensor:
    """Raise each channel to a power between its own darkest and brightest pixel, which stay.

    Args:
        pixels: Shape (n, channels, H, W).
        exponents: Above zero, shape (n,).
    """
    low, high = pixels.amin(dim=(2, 3), keepdim=True), pixels.amax(dim=(2, 3), keepdim=True)
    span = (high - low).clamp_min(TINY)
    return low + span * ((pixels - low) / span) ** exponents[:, None, None, None]


def change_saturation(pixels: Tensor, factors: Tensor) -> Tensor:
    """Move colours away from their grey, or towards it.

    Args:
        pixels: Red, green and blue, shape (n, 3, H, W).
        factors: 0 is grey, 1 leaves the colours, shape (n,).
    """
    grey = (pixels * pixels.new_tensor(GREY)[:, None, None]).sum(dim=1, keepdim=True)
    return grey + (pixels - grey) * factors[:, None, None, None]


def blur(pixels: Tensor, deviations: Tensor, largest: float) -> Tensor:
    """Convolve each image with a Gaussian of its own; the edges are mirrored.

    Args:
        pixels: Shape (n, channels, H, W).
        deviations: In pixels, shape (n,).
        largest: The largest that may be drawn, which decides how far the kernel reaches.
    """
    count, channels, height, width = pixels.shape
    reach = min(math.ceil(3 * largest), height - 1, width - 1)
    if reach < 1:
        return pixels
    places = torch.arange(-reach, reach + 1, device=pixels.device)
    kernel = torch.exp(-0.5 * (places / deviations.clamp_min(TINY)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    flat = functional.pad(pixels, [reach] * 4, mode="reflect").reshape(1, count * channels, height + 2 * reach, -1)
    across = functional.conv2d(flat, kernel[:, None, None, :], groups=count * channels)
    return functional.conv2d(across, kernel[:, None, :, None], groups=count * channels).reshape(pixels.shape)


def add_noise(pixels: Tensor, deviations: Tensor, keys: NDArray[np.uint64]) -> Tensor:
    """Add Gaussian noise that depends on a row's key alone.

    Args:
        pixels: Shape (n, channels, H, W).
        deviations: Shape (n,).
        keys: Shape (n,).
    """
    noise = torch.empty(pixels.shape)
    for row, key in enumerate(keys):
        noise[row].normal_(generator=torch.Generator().manual_seed(int(key) >> 1))
    return torch.addcmul(pixels, noise.to(pixels.device), deviations[:, None, None, None])


def erase(pixels: Tensor, draws: Tensor, share: float) -> Tensor:
    """Set a rectangle of some images to the data set's mean (Zhong et al. 2020).

    Args:
        pixels: Shape (n, channels, H, W), normalised.
        draws: Uniform numbers in [0, 1), shape (n, 5): whether, area, aspect, and where.
        share: Of the images that lose a rectangle.
    """
    height, width = pixels.shape[2:]
    area = AREAS[0] + draws[:, 1] * (AREAS[1] - AREAS[0])
    aspect = torch.exp(math.log(ASPECTS[0]) + draws[:, 2] * math.log(ASPECTS[1] / ASPECTS[0]))
    tall, wide = (area * aspect).sqrt().clamp_max(1.0), (area / aspect).sqrt().clamp_max(1.0)
    rows = (torch.arange(height, device=pixels.device) + 0.5) / height
    columns = (torch.arange(width, device=pixels.device) + 0.5) / width
    top, left = draws[:, 3] * (1 - tall), draws[:, 4] * (1 - wide)
    in_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None]) & (draws[:, :1] < share)
    in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    return pixels.masked_fill((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0.0)
