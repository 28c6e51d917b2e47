"""A network from a member's section: a timm backbone, its stem adapted, its weights found, our head on top."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import timm
import torch
from torch import Tensor, nn

from holotype.errors import RecipeError, listing
from holotype.nets.heads import Head, as_feature_map
from holotype.nets.stems import adapt_stem
from holotype.nets.weights import FoundWeights, find_weights
from holotype.spec import HeadSpec, MemberSpec

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
        self.width = int(backbone.num_features)  # type: ignore[arg-type]

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            pixels: Shape (n, channels, size, size), normalised.

        Returns:
            Shape (n, classes).
        """
        return self.head(as_feature_map(self.backbone(pixels), self.width))


def check_backbone(name: str, field: str = "members.backbone") -> None:
    """Refuse a backbone that timm does not know; slow, as it loads timm.

    Args:
        name: The network's name, with or without the tag of its weights.
        field: Where it stands in the recipe.

    Raises:
        RecipeError: It is not there; the nearest name is suggested.
    """
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=5, cutoff=0.5)
        remedy = f"the nearest are {listing(near)}" if near else "see timm.list_models()"
        raise RecipeError(f"timm has no network {name!r}", field=field, remedy=remedy)


def build_network(member: MemberSpec, classes: int, channels: int, seed: int) -> tuple[Network, FoundWeights]:
    """A network ready to train.

    Args:
        member: The recipe's section.
        classes: How many logits it ends in.
        channels: How many channels the images have.
        seed: For what is initialised at random.

    Returns:
        The network, and the weights it started from.
    """
    check_backbone(member.backbone)
    torch.manual_seed(seed)
    found = find_weights(member.backbone, member.weights)
    network = empty_network(member.backbone, classes, channels, member.head, found.options)
    if found.state is not None:
        _load_backbone(network.backbone, found, channels)
    return network, found


def empty_network(backbone: str, classes: int, channels: int, head: HeadSpec, options: dict[str, Any]) -> Network:
    """A network with random weights, for weights to be loaded into.

    Args:
        backbone: timm's name.
        classes: How many logits it ends in.
        channels: How many channels the images have.
        head: The recipe's section.
        options: What the weights ask of the architecture.
    """
    body = timm.create_model(backbone, pretrained=False, in_chans=channels, num_classes=0, global_pool="", **options)
    width = int(body.num_features)  # type: ignore[arg-type]
    return Network(body, Head(width, classes, head))


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
