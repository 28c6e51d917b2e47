"""Heads: from the backbone's last feature map to one logit a class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holotype.registry import Registry
from holotype.spec import HeadSpec

__all__ = ["POOLS", "Head", "as_feature_map"]

POOLS = Registry("pooling")


@POOLS.register
def avg(features: Tensor) -> Tensor:
    """The mean over places.

    Args:
        features: Shape (n, width, H, W).

    Returns:
        Shape (n, width).
    """
    return features.mean(dim=(2, 3))


@POOLS.register
def max(features: Tensor) -> Tensor:  # noqa: A001  (the recipe says `pool: max`)
    """The largest value over places.

    Args:
        features: Shape (n, width, H, W).

    Returns:
        Shape (n, width).
    """
    return features.amax(dim=(2, 3))


@POOLS.register
def concat(features: Tensor) -> Tensor:
    """Mean and largest value side by side.

    Args:
        features: Shape (n, width, H, W).

    Returns:
        Shape (n, 2 * width).
    """
    return torch.cat([avg(features), max(features)], dim=1)


class Head(nn.Module):
    """Pooling, an optional hidden layer, dropout and the last linear layer.

    Args:
        width: Channels of the feature map.
        classes: How many logits there are.
        spec: The recipe's `head` section.
    """

    def __init__(self, width: int, classes: int, spec: HeadSpec) -> None:
        super().__init__()
        self.pool = POOLS[spec.pool]
        width = self.width = 2 * width if spec.pool == "concat" else width
        layers: list[nn.Module] = []
        if spec.hidden is not None:
            layers += [nn.Linear(width, spec.hidden, bias=False), nn.BatchNorm1d(spec.hidden), nn.ReLU(inplace=True)]
            width = spec.hidden
        self.neck = nn.Sequential(*layers)
        self.dropout = nn.Dropout(spec.dropout)
        self.last = nn.Linear(width, classes)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            features: Shape (n, width, H, W).

        Returns:
            Shape (n, classes).
        """
        return self.classify(self.pool(features))

    def classify(self, pooled: Tensor) -> Tensor:
        """Logits of pooled features.

        Args:
            pooled: Shape (n, pooled width).

        Returns:
            Shape (n, classes).
        """
        return self.last(self.dropout(self.neck(pooled)))


def as_feature_map(features: Tensor, width: int) -> Tensor:
    """Whatever a backbone ends in, as (n, width, H, W): maps, channels-last maps, tokens or vectors.

    Args:
        features: The backbone's output.
        width: Its number of channels, which tells the layouts apart.
    """
    if features.ndim == 4:
        return features if features.shape[1] == width else features.permute(0, 3, 1, 2)
    if features.ndim == 3:
        return features.transpose(1, 2).unsqueeze(3)
    return features[:, :, None, None]
