"""Build a network from a model's recipe section: timm backbone, adapted stem, pretrained weights and head."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

from holotype.core.errors import RecipeError, join_names
from holotype.networks.activations import replace_activations
from holotype.networks.backbones import BACKBONES, architecture_of, check_backbone
from holotype.networks.heads import Head, as_feature_map
from holotype.networks.pretrained import PretrainedWeights, find_weights
from holotype.networks.stems import adapt_stem, stem_names
from holotype.recipe.sections import HeadSpec, ModelSpec
from holotype.types import RankHeads

__all__ = ["BACKBONE_SEED", "Network", "build_architecture", "build_network"]

BACKBONE_SEED = 0
"""Seed of the tensors that the weights of a frozen backbone lack: it is the same for features and for every fold."""


class Network(nn.Module):
    """Image classifier: a timm backbone that ends in a feature map, and a head.

    Its methods take pixels of shape (n, channels, size, size), normalized.

    Args:
        channels_as: `stacked`: the backbone reads all channels at once. `separate` and `separate-mean`: it reads each
            as an image of one channel (a bag of channels), and their features are concatenated or averaged.
    """

    def __init__(self, backbone: nn.Module, head: Head, channels_as: str = "stacked") -> None:
        super().__init__()
        self.backbone, self.head, self.channels_as = backbone, head, channels_as
        self.width = _feature_width(backbone)

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the logits of a batch, shape (n, classes)."""
        return self.head(self.features(pixels))

    def pooled(self, pixels: Tensor) -> Tensor:
        """Compute the pooled features of a batch, shape (n, pooled width)."""
        return self.head.pool(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """Compute the last feature map, shape (n, width, H, W); `separate` channels have `width` features each."""
        if self.channels_as == "stacked":
            return as_feature_map(self.backbone(pixels), self.width)
        single = pixels.reshape(-1, 1, *pixels.shape[2:])
        by_channel = as_feature_map(self.backbone(single), self.width).unflatten(0, (-1, pixels.shape[1]))
        return by_channel.flatten(1, 2) if self.channels_as == "separate" else by_channel.mean(dim=1)


def build_network(
    model: ModelSpec,
    classes: int,
    channels: int,
    seed: int,
    fold: int | None = None,
    rank_heads: RankHeads | None = None,
) -> tuple[Network, PretrainedWeights]:
    """Build a network that is ready to train.

    Args:
        fold: If `weights` names another run's model, the fold whose network is loaded.
        rank_heads: Taxonomic ranks that the network learns in addition to the classes.

    Returns:
        The network and the weights it starts from.

    Raises:
        RecipeError: There is no such backbone, its weights are not on this machine, or it cannot read the images.
    """
    check_backbone(model.backbone)
    backbone = architecture_of(model.backbone)
    sizes = sorted({size for phase in model.phases if isinstance(size := phase.size or model.input.size, int)})
    torch.manual_seed(seed)
    pretrained = find_weights(model.backbone, model.weights, fold)
    channels_as = model.input.channels_as
    stem_channels = channels if channels_as == "stacked" else 1
    options = _find_backbone_options(backbone, stem_channels, tuple(sizes), tuple(pretrained.options.items()))
    pretrained = replace(pretrained, options=options)
    network = build_architecture(
        backbone, classes, channels, model.head, options, model.activation, rank_heads, channels_as=channels_as
    )
    if pretrained.state is not None:
        _load_backbone(network.backbone, pretrained.state, stem_channels)
    return network, pretrained


def build_architecture(
    backbone: str,
    classes: int,
    channels: int,
    head: HeadSpec,
    options: dict[str, Any],
    activation: str | None = None,
    rank_heads: RankHeads | None = None,
    *,
    channels_as: str = "stacked",
) -> Network:
    """Build a network with random weights, to load weights into.

    Args:
        options: Keyword arguments of `timm.create_model` that the weights need.
        activation: Replaces the activations of the backbone.
        rank_heads: Taxonomic ranks that the network learns in addition to the classes.
        channels_as: As in `Network`.
    """
    stem_channels = channels if channels_as == "stacked" else 1
    body = _make_backbone(backbone, stem_channels, options)
    if activation is not None:
        replace_activations(body, activation)
    if head.pool == "token" and backbone not in BACKBONES and getattr(body, "cls_token", None) is None:
        raise RecipeError(
            f"the backbone {backbone!r} has no class token",
            field="models.head.pool",
            value=head.pool,
            allowed=("avg", "max", "concat"),
        )
    width = _feature_width(body) * (channels if channels_as == "separate" else 1)
    return Network(body, Head(width, classes, head, rank_heads), channels_as)


def _make_backbone(name: str, channels: int, options: dict[str, Any]) -> nn.Module:
    """Backbone with random weights, of a plugin or of timm."""
    if name not in BACKBONES:
        return timm.create_model(name, pretrained=False, in_chans=channels, num_classes=0, global_pool="", **options)
    backbone = BACKBONES[name](channels, **options)
    if not isinstance(backbone, nn.Module) or not isinstance(getattr(backbone, "num_features", None), int):
        raise RecipeError(
            f"the backbone {name!r} is of the type {type(backbone).__name__}, or has no attribute num_features",
            field="models.backbone",
            value=name,
            remedy="return a torch.nn.Module whose num_features is the width of its features",
        )
    return backbone


def _feature_width(backbone: nn.Module) -> int:
    """Number of channels of the feature map; some networks widen it after timm's `num_features`."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


@cache  # the same for every fold of a model
def _find_backbone_options(
    backbone: str, channels: int, sizes: tuple[int, ...], needed: tuple[tuple[str, Any], ...] = ()
) -> dict[str, Any]:
    """Find the timm options with which a backbone reads all sizes, by a trial on the meta device.

    Vision transformers of a fixed size read other sizes if their position embeddings are interpolated.

    Args:
        needed: Options that the weights need.
    """
    reasons = []
    for options in (dict(needed), {**dict(needed), "dynamic_img_size": True}):
        try:
            with torch.device("meta"), torch.no_grad():
                network = build_architecture(backbone, 2, channels, HeadSpec(), options).eval()
                for size in sizes:
                    network(torch.zeros(1, channels, size, size))
            return options
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:  # timm raises any of these
            reasons.append((str(error) or type(error).__name__).splitlines()[0].rstrip("."))
    reason = next(reason for reason in reversed(reasons) if "dynamic_img_size" not in reason)
    raise RecipeError(
        f"the backbone {backbone!r} cannot read {channels} channels at {join_names(sizes)} px: {reason}",
        field="models.input.size",
        remedy=_suggest_size(backbone, sizes, reason),
    )


def _suggest_size(backbone: str, sizes: tuple[int, ...], reason: str) -> str:
    patch = re.search(r"divisible by patch size \((\d+)\)", reason)
    if patch is not None:
        side = int(patch[1])
        lower = max(sizes) // side * side
        return f"write a multiple of {side}, such as {join_names([size for size in (lower, lower + side) if size])}"
    config = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    native_size = config.input_size[-1] if config else None
    is_new = native_size and native_size not in sizes
    return f"write its native size, {native_size}" if is_new else "choose another backbone"


def _load_backbone(backbone: nn.Module, state: Mapping[str, Tensor], channels: int) -> None:
    """Load weights by name and adapt the first layers; tensors that the weights lack stay as they were drawn."""
    stems = {f"{name}.weight" for name in stem_names(backbone)}
    adapted = {name: adapt_stem(value, channels) if name in stems else value for name, value in state.items()}
    expected = backbone.state_dict()
    wrong = [name for name, value in adapted.items() if value.shape != expected[name].shape]
    if wrong:
        shapes = f"{tuple(adapted[wrong[0]].shape)} in the file, {tuple(expected[wrong[0]].shape)} in the network"
        raise RecipeError(
            f"the weights do not fit the backbone with {channels} channels: {wrong[0]!r} has the shape {shapes}",
            field="models.weights",
            remedy="select as many channels as the weights have with `input.channels`, or write `weights: none`",
        )
    backbone.load_state_dict({**expected, **adapted})
