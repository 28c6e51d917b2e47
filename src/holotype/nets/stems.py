"""First layers for any number of channels that keep the response of the pretrained one."""

from __future__ import annotations

from torch import Tensor

__all__ = ["adapt_stem"]


def adapt_stem(weight: Tensor, channels: int) -> Tensor:
    """A first layer's weights for another number of input channels.

    An image whose channels are all alike gives the response that the pretrained layer gives to a grey image: each new
    channel takes the mean over the old ones, scaled by old over new. Three channels onto three stay as they are.

    Args:
        weight: Shape (out, old channels, height, width).
        channels: New number of channels.

    Returns:
        Shape (out, channels, height, width).
    """
    old = weight.shape[1]
    if old == channels:
        return weight
    return weight.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1) * (old / channels)
