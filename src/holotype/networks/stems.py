"""First layers for any number of channels that keep the response of the pretrained one."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["adapt_stem", "first_kernels"]


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


def first_kernels(backbone: nn.Module) -> Tensor | None:
    """What a backbone's first layer multiplies the channels by.

    Args:
        backbone: Any of timm's.

    Returns:
        Shape (kernels, channels, height, width); none where its first layer is no convolution.
    """
    layer_names = getattr(backbone, "pretrained_cfg", {}).get("first_conv")
    layers = dict(backbone.named_modules())
    for name in [layer_names] if isinstance(layer_names, str) else list(layer_names or ()):
        if isinstance(layers.get(name), nn.Conv2d):
            return layers[name].weight.detach()  # type: ignore[return-value]
    first = next((layer for layer in layers.values() if isinstance(layer, nn.Conv2d | nn.Linear)), None)
    return first.weight.detach() if isinstance(first, nn.Conv2d) else None
