"""Build a network from a model's recipe section: timm backbone, adapted stem, pretrained weights and head."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

from holotype.core.errors import RecipeError, join_names
from holotype.networks.activations import replace_activations
from holotype.networks.backbones import check_backbone
from holotype.networks.heads import Head, as_feature_map
from holotype.networks.pretrained import PretrainedWeights, find_weights
from holotype.networks.stems import adapt_stem
from holotype.recipe.sections import HeadSpec, ModelSpec
from holotype.types import RankHeads

__all__ = ["Network", "build_architecture", "build_network"]


class Network(nn.Module):
    """Image classifier: a timm backbone that ends in a feature map, and a head.

    Its methods take pixels of shape (n, channels, size, size), normalized.
    """

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.width = _feature_width(backbone)

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the logits of a batch, shape (n, classes)."""
        return self.head(self.features(pixels))

    def pooled(self, pixels: Tensor) -> Tensor:
        """Compute the pooled features of a batch, shape (n, pooled width)."""
        return self.head.pool(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """Compute the last feature map of the backbone, shape (n, width, H, W)."""
        return as_feature_map(self.backbone(pixels), self.width)


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
    sizes = sorted({size for phase in model.phases if isinstance(size := phase.size or model.input.size, int)})
    options = _find_backbone_options(model.backbone, channels, tuple(sizes))
    torch.manual_seed(seed)
    pretrained = find_weights(model.backbone, model.weights, fold)
    pretrained = replace(pretrained, options=pretrained.options | options)
    network = build_architecture(
        model.backbone, classes, channels, model.head, pretrained.options, model.activation, rank_heads
    )
    if pretrained.state is not None:
        _load_backbone(network.backbone, pretrained, channels)
    return network, pretrained


def build_architecture(
    backbone: str,
    classes: int,
    channels: int,
    head: HeadSpec,
    options: dict[str, Any],
    activation: str | None = None,
    rank_heads: RankHeads | None = None,
) -> Network:
    """Build a network with random weights, to load weights into.

    Args:
        options: Keyword arguments of `timm.create_model` that the weights need.
        activation: Replaces the activations of the backbone.
        rank_heads: Taxonomic ranks that the network learns in addition to the classes.
    """
    body = timm.create_model(backbone, pretrained=False, in_chans=channels, num_classes=0, global_pool="", **options)
    if activation is not None:
        replace_activations(body, activation)
    return Network(body, Head(_feature_width(body), classes, head, rank_heads))


def _feature_width(backbone: nn.Module) -> int:
    """Number of channels of the feature map; some networks widen it after timm's `num_features`."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


@cache  # the same for every fold of a model
def _find_backbone_options(backbone: str, channels: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Find the timm options with which a backbone reads all sizes, by a trial on the meta device.

    Vision transformers of a fixed size read other sizes if their position embeddings are interpolated.
    """
    reasons = []
    for options in ({}, {"dynamic_img_size": True}):
        try:
            with torch.device("meta"), torch.no_grad():
                network = build_architecture(backbone, 2, channels, HeadSpec(), options).eval()
                for size in sizes:
                    network(torch.zeros(1, channels, size, size))
            return options
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:  # timm raises any of these
            reasons.append((str(error) or type(error).__name__).splitlines()[0].rstrip("."))
    reason = next(reason for reason in reversed(reasons) if "dynamic_img_size" not in reason)
    config = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    native_size = config.input_size[-1] if config else None
    raise RecipeError(
        f"the backbone {backbone!r} cannot read {channels} channels at {join_names(sizes)} px: {reason}",
        field="models.input.size",
        remedy=f"write its native size, {native_size}"
        if native_size and native_size not in sizes
        else "choose another backbone",
    )


def _load_backbone(backbone: nn.Module, pretrained: PretrainedWeights, channels: int) -> None:
    """Load weights by name and adapt the stem; classifier weights are ignored, missing tensors are an error."""
    state = dict(pretrained.state or {})
    stem = dict(backbone.pretrained_cfg).get("first_conv")  # type: ignore[arg-type]
    for name in [stem] if isinstance(stem, str) else list(stem or ()):
        key = f"{name}.weight"
        if key in state:
            state[key] = adapt_stem(state[key], channels)
    expected = backbone.state_dict()
    missing = [key for key in expected if key not in state]
    other_shape = [key for key in expected if key in state and state[key].shape != expected[key].shape]
    if missing or other_shape:
        raise RecipeError(
            f"the weights do not fit the backbone: {len(missing)} of {len(expected)} tensors are missing and "
            f"{len(other_shape)} have another shape, the first {(missing + other_shape)[0]!r}",
            field="models.weights",
            remedy="name the backbone they were trained with",
        )
    backbone.load_state_dict({key: state[key] for key in expected})
