"""A network from a model's section: a timm backbone, its stem adapted, its weights found, our head on top."""

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
    """A backbone and a head.

    Args:
        backbone: Ends in an unpooled feature map.
        head: Turns it into logits.
    """

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.width = _feature_width(backbone)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            pixels: Shape (n, channels, size, size), normalized.

        Returns:
            Shape (n, classes).
        """
        return self.head(self.features(pixels))

    def pooled(self, pixels: Tensor) -> Tensor:
        """The backbone's features, pooled.

        Args:
            pixels: Shape (n, channels, size, size), normalized.

        Returns:
            Shape (n, pooled width).
        """
        return self.head.pool(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """The backbone's last feature map.

        Args:
            pixels: Shape (n, channels, size, size), normalized.

        Returns:
            Shape (n, width, H, W).
        """
        return as_feature_map(self.backbone(pixels), self.width)


def build_network(
    model: ModelSpec,
    classes: int,
    channels: int,
    seed: int,
    fold: int | None = None,
    rank_heads: RankHeads | None = None,
) -> tuple[Network, PretrainedWeights]:
    """A network ready to train.

    Args:
        model: The recipe's section.
        classes: How many logits it ends in.
        channels: How many channels the images have.
        seed: For what is initialised at random.
        fold: Which network of another run's model it starts from, where the weights are such.
        rank_heads: The ranks above the classes that it learns, where it learns any.

    Returns:
        The network, and the weights it started from.

    Raises:
        RecipeError: There is no such backbone, its weights are not here, or it cannot read the images.
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
    """A network with random weights, for weights to be loaded into.

    Args:
        backbone: timm's name.
        classes: How many logits it ends in.
        channels: How many channels the images have.
        head: The recipe's section.
        options: What the weights ask of the architecture.
        activation: Replaces the backbone's own, where it is given.
        rank_heads: The ranks above the classes that it learns, where it learns any.
    """
    body = timm.create_model(backbone, pretrained=False, in_chans=channels, num_classes=0, global_pool="", **options)
    if activation is not None:
        replace_activations(body, activation)
    return Network(body, Head(_feature_width(body), classes, head, rank_heads))


def _feature_width(backbone: nn.Module) -> int:
    """Channels of the feature map; some networks widen it behind what timm calls their features."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


@cache  # every fold of a model asks the same
def _find_backbone_options(backbone: str, channels: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """What a backbone must be asked for to read images of some sizes; tried on the meta device, which computes nothing.

    Vision transformers that were made for one size read others where their positions are interpolated.
    """
    reasons = []
    for options in ({}, {"dynamic_img_size": True}):
        try:
            with torch.device("meta"), torch.no_grad():
                network = build_architecture(backbone, 2, channels, HeadSpec(), options).eval()
                for size in sizes:
                    network(torch.zeros(1, channels, size, size))
            return options
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:  # whatever timm has to say
            reasons.append((str(error) or type(error).__name__).splitlines()[0].rstrip("."))
    reason = next(reason for reason in reversed(reasons) if "dynamic_img_size" not in reason)
    config = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    native_size = config.input_size[-1] if config else None
    raise RecipeError(
        f"the backbone {backbone!r} cannot read {channels} channels at {join_names(sizes)} px: {reason}",
        field="models.input.size",
        remedy=f"write its own size, {native_size}"
        if native_size and native_size not in sizes
        else "take another backbone",
    )


def _load_backbone(backbone: nn.Module, pretrained: PretrainedWeights, channels: int) -> None:
    """Load by name, stem adapted; weights of another classifier are left, anything else that is missing is refused."""
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
