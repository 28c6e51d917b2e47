"""Intensity transforms: normalization, and brightness and contrast per channel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from holotype.recipe.sections import AugmentSpec


def intensity_draws(channels: int) -> int:
    """Number of uniform random numbers that `jitter` needs per image."""
    return 2 * channels


def normalize(
    pixels: Tensor,
    mean: Sequence[float] | Tensor,
    deviation: Sequence[float] | Tensor,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
) -> Tensor:
    """Scale each channel to mean 0 and deviation 1, as float32; all pixel depths are converted here.

    Args:
        pixels: Shape (n, channels, H, W), in the units of the files.
        mean: One per channel, or shape (n, channels).
        deviation: Like `mean`, positive.
        low: Lower clipping limit per channel, in the units of the files.
    """
    shape = (-1, pixels.shape[1], 1, 1)
    scale = 1.0 / torch.as_tensor(deviation, dtype=torch.float32, device=pixels.device).reshape(shape)
    shift = -torch.as_tensor(mean, dtype=torch.float32, device=pixels.device).reshape(shape) * scale
    values = pixels.float()
    if low is not None and high is not None:
        limits = (
            torch.tensor(list(side), dtype=torch.float32, device=pixels.device).reshape(shape) for side in (low, high)
        )
        values = values.clamp(*limits)
    return torch.addcmul(shift, values, scale)


def jitter(pixels: Tensor, draws: Tensor, spec: AugmentSpec, jitter_channels: Sequence[int] | None = None) -> Tensor:
    """Jitter brightness and contrast of each channel independently.

    Args:
        pixels: Shape (n, channels, H, W), normalized.
        draws: Uniform numbers in [0, 1), shape (n, 2 * channels): contrast of all channels, then brightness.
        jitter_channels: Indices of the channels to change; None changes all.
    """
    if spec.brightness == 0 and spec.contrast == 0:
        return pixels
    signed = (draws * 2 - 1).to(pixels.device)[:, :, None, None]
    channels = pixels.shape[1]
    if jitter_channels is not None:
        unchanged = [number for number in range(channels) if number not in jitter_channels]
        signed[:, [*unchanged, *(channels + number for number in unchanged)]] = 0.0
    gain = 1 + signed[:, :channels] * spec.contrast
    shift = signed[:, channels:] * spec.brightness
    center = pixels.mean(dim=(2, 3), keepdim=True)
    return torch.addcmul(center * (1 - gain) + shift, pixels, gain)
