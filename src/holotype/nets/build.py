"""A network from a member's section: a timm backbone, its stem adapted, its weights found, our head on top."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

from holotype.errors import RecipeError, listing
from holotype.nets.activations import replace_activations
from holotype.nets.heads import Head, as_feature_map
from holotype.nets.stems import adapt_stem
from holotype.nets.weights import FoundWeights, find_weights
from holotype.spec import HeadSpec, MemberSpec
from holotype.types import Levels

__all__ = ["Network", "build_network", "check_backbone", "empty_network"]


class Network(nn.Module):
    """A backbone and a head.

    Args:
        backbone: Ends in an unpooled feature map.
        head: Turns it into logits.
    """

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.width = _width(backbone)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            pixels: Shape (n, channels, size, size), normalised.

        Returns:
            Shape (n, classes).
        """
        return self.head(self.features(pixels))

    def pooled(self, pixels: Tensor) -> Tensor:
        """The backbone's features, pooled.

        Args:
            pixels: Shape (n, channels, size, size), normalised.

        Returns:
            Shape (n, pooled width).
        """
        return self.head.pool(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """The backbone's last feature map.

        Args:
            pixels: Shape (n, channels, size, size), normalised.

        Returns:
            Shape (n, width, H, W).
        """
        return as_feature_map(self.backbone(pixels), self.width)


def check_backbone(name: str, field: str = "members.backbone") -> None:
    """Refuse a backbone that timm does not know; slow, as it loads timm.

    Args:
        name: The network's name, with or without the tag of its weights.
        field: Where it stands in the recipe.

    Raises:
        RecipeError: It is not there; the nearest name is suggested.
    """
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=5, cutoff=0.5)
        remedy = f"the nearest are {listing(near)}" if near else "see timm.list_models()"
        raise RecipeError(f"timm has no network {name!r}", field=field, remedy=remedy)
    tagged = timm.list_pretrained(f"{architecture}.*") if tag else []
    if tag and name not in tagged:
        raise RecipeError(f"timm has no weights {name!r}", field=field, value=name, allowed=[architecture, *tagged])


def build_network(
    member: MemberSpec, classes: int, channels: int, seed: int, fold: int | None = None, levels: Levels | None = None
) -> tuple[Network, FoundWeights]:
    """A network ready to train.

    Args:
        member: The recipe's section.
        classes: How many logits it ends in.
        channels: How many channels the images have.
        seed: For what is initialised at random.
        fold: Which network of another run's member it starts from, where the weights are such.
        levels: The ranks above the classes that it learns, where it learns any.

    Returns:
        The network, and the weights it started from.

    Raises:
        RecipeError: There is no such backbone, its weights are not here, or it cannot read the images.
    """
    check_backbone(member.backbone)
    sizes = sorted({size for phase in member.phases if isinstance(size := phase.size or member.input.size, int)})
    options = _options_to_read(member.backbone, channels, tuple(sizes))
    torch.manual_seed(seed)
    found = find_weights(member.backbone, member.weights, fold)
    found = replace(found, options=found.options | options)
    network = empty_network(member.backbone, classes, channels, member.head, found.options, member.activation, levels)
    if found.state is not None:
        _load_backbone(network.backbone, found, channels)
    return network, found


def empty_network(
    backbone: str, classes: int, channels: int, head: HeadSpec, options: dict[str, Any],
    activation: str | None = None, levels: Levels | None = None,
) -> Network:  # fmt: skip
    """A network with random weights, for weights to be loaded into.

    Args:
        backbone: timm's name.
        classes: How many logits it ends in.
        channels: How many channels the images have.
        head: The recipe's section.
        options: What the weights ask of the architecture.
        activation: Replaces the backbone's own, where it is given.
        levels: The ranks above the classes that it learns, where it learns any.
    """
    body = timm.create_model(backbone, pretrained=False, in_chans=channels, num_classes=0, global_pool="", **options)
    if activation is not None:
        replace_activations(body, activation)
    return Network(body, Head(_width(body), classes, head, levels))


def _width(backbone: nn.Module) -> int:
    """Channels of the feature map; some networks widen it behind what timm calls their features."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


@cache  # every fold of a member asks the same
def _options_to_read(backbone: str, channels: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """What a backbone must be asked for to read images of some sizes; tried on the meta device, which computes nothing.

    Vision transformers that were made for one size read others where their positions are interpolated.
    """
    reasons = []
    for options in ({}, {"dynamic_img_size": True}):
        try:
            with torch.device("meta"), torch.no_grad():
                network = empty_network(backbone, 2, channels, HeadSpec(), options).eval()
                for size in sizes:
                    network(torch.zeros(1, channels, size, size))
            return options
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:  # whatever timm has to say
            reasons.append((str(error) or type(error).__name__).splitlines()[0].rstrip("."))
    reason = next(reason for reason in reversed(reasons) if "dynamic_img_size" not in reason)
    config = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    own = config.input_size[-1] if config else None
    raise RecipeError(
        f"the backbone {backbone!r} cannot read {channels} channels at {listing(sizes)} px: {reason}",
        field="members.input.size",
        remedy=f"write its own size, {own}" if own and own not in sizes else "take another backbone",
    )


def _load_backbone(backbone: nn.Module, found: FoundWeights, channels: int) -> None:
    """Load by name, stem adapted; weights of another classifier are left, anything else that is missing is refused."""
    state = dict(found.state or {})
    stem = dict(backbone.pretrained_cfg).get("first_conv")  # type: ignore[arg-type]
    for name in [stem] if isinstance(stem, str) else list(stem or ()):
        key = f"{name}.weight"
        if key in state:
            state[key] = adapt_stem(state[key], channels)
    own = backbone.state_dict()
    missing = [key for key in own if key not in state]
    other_shape = [key for key in own if key in state and state[key].shape != own[key].shape]
    if missing or other_shape:
        raise RecipeError(
            f"the weights do not fit the backbone: {len(missing)} of {len(own)} tensors are missing and "
            f"{len(other_shape)} have another shape, the first {(missing + other_shape)[0]!r}",
            field="members.weights",
            remedy="name the backbone they were trained with",
        )
    backbone.load_state_dict({key: state[key] for key in own})
