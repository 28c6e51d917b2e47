"""Stem adaptation: pretrained first layers for any number of input channels."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["adapt_stem", "first_kernels", "stem_names"]


def adapt_stem(weight: Tensor, channels: int) -> Tensor:
    """Adapt first-layer weights (out, old channels, height, width) to another number of input channels.

    Each new channel gets the mean over the old ones, scaled by old / new, so that an image with equal channels gives
    the response of the pretrained layer to a gray image. Weights for the same number of channels are returned
    unchanged.
    """
    old = weight.shape[1]
    if old == channels:
        return weight
    return weight.float().mean(dim=1, keepdim=True).repeat(1, channels, 1, 1) * (old / channels)


def stem_names(backbone: nn.Module) -> list[str]:
    """Names of the layers of a timm backbone that read the image."""
    names = getattr(backbone, "pretrained_cfg", {}).get("first_conv")
    return [names] if isinstance(names, str) else list(names or ())


def first_kernels(backbone: nn.Module) -> Tensor | None:
    """Get the kernels (kernels, channels, height, width) of a first layer that is a convolution, or None."""
    layers = dict(backbone.named_modules())
    for name in stem_names(backbone):
        if isinstance(layers.get(name), nn.Conv2d):
            return layers[name].weight.detach()  # type: ignore[return-value]
    first = next((layer for layer in layers.values() if isinstance(layer, nn.Conv2d | nn.Linear)), None)
    return first.weight.detach() if isinstance(first, nn.Conv2d) else None
