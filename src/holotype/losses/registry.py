"""The losses by name, and what they share."""

from __future__ import annotations

from torch import Tensor

from holotype.registry import Registry

__all__ = ["LOSSES", "smoothed"]

LOSSES = Registry("loss")


def smoothed(targets: Tensor, share: float, towards: float) -> Tensor:
    """Targets of which a share is moved towards ignorance.

    Args:
        targets: Any shape.
        share: 0 leaves them as they are.
        towards: What ignorance would say of a class.
    """
    return targets if share == 0 else targets * (1 - share) + share * towards
