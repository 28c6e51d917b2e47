"""Mixed precision: the precision of a device, and a network under autocast."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from holotype.core.runtime import Precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor

AUTOCAST_TYPES = {"bf16": "bfloat16", "16": "float16"}


def resolve_precision(precision: Precision, device_type: str) -> Literal["32", "bf16", "16"]:
    """Resolve the precision that a device computes in.

    `precision`: `auto` is mixed precision on a GPU: bfloat16 if the hardware has it, float16 if it only emulates it
    (T4, V100).
    """
    if precision != "auto":
        return precision
    if device_type != "cuda":
        return "32"
    import torch

    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "16"


def in_precision(
    network: Callable[[Tensor], Tensor], precision: Precision, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Wrap a network in autocast; in single precision it is returned unchanged.

    Outputs that overflow float16 are computed again in single precision.

    Returns a function from pixels to float32 scores.
    """
    import torch

    name = AUTOCAST_TYPES.get(resolve_precision(precision, device.type))
    if name is None:
        return network
    kind = getattr(torch, name)

    def autocast_network(pixels: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=kind):
            scores = network(pixels).float()
        if kind is torch.float16 and not bool(torch.isfinite(scores).all()):
            scores = network(pixels)
        return scores

    return autocast_network
