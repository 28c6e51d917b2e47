"""Margin losses for a cosine classifier (`head.margin`).

The logits are `scale * cos(angle to the class's center)`, so a margin loss needs no access to the head. It can be mixed
with cross-entropy, or used in a later phase of a network trained without a margin.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holotype.losses.multiclass import cross_entropy
from holotype.losses.registry import register

if TYPE_CHECKING:
    from torch import Tensor

MARGINS = frozenset({"arcface", "cosface"})
MAX_COSINE = 1 - 1e-6  # the slope of acos is infinite at 1


@register("multiclass")
def arcface(
    logits: Tensor,
    targets: Tensor,
    class_weights: Tensor | None = None,
    smoothing: float = 0.0,
    margin: float = 0.5,
    scale: float = 30.0,
) -> Tensor:
    """ArcFace: cross-entropy with an additive angular margin (Deng et al. 2019, equation 3).

    Where the enlarged angle would exceed pi, `margin * sin(margin)` is subtracted from the cosine instead, so that the
    loss stays monotonic.

    Args:
        logits: Shape (n, classes), `scale` times cosines.
        targets: Shape (n, classes); each row sums to 1. In a mixture each class has its share of the margin.
        class_weights: Shape (classes,), the weight of each class's rows.
        smoothing: Share of each target that is spread evenly over all classes; it does not change margins.
        margin: In radians.
        scale: The scale of the head.
    """
    cosine = (logits / scale).clamp(-MAX_COSINE, MAX_COSINE)
    angle, margins = cosine.acos(), margin * targets
    cosine_with_margin = (angle + margins).cos().where(angle <= math.pi - margins, cosine - margins * margins.sin())
    adjusted = (cosine_with_margin * scale).where(targets > 0, logits)
    return cross_entropy(adjusted, targets, class_weights, smoothing)


@register("multiclass")
def cosface(
    logits: Tensor,
    targets: Tensor,
    class_weights: Tensor | None = None,
    smoothing: float = 0.0,
    margin: float = 0.35,
    scale: float = 30.0,
) -> Tensor:
    """CosFace: cross-entropy with an additive cosine margin (Wang et al. 2018, equation 4).

    Args:
        logits: Shape (n, classes), `scale` times cosines.
        targets: Shape (n, classes); each row sums to 1. In a mixture each class has its share of the margin.
        class_weights: Shape (classes,), the weight of each class's rows.
        smoothing: Share of each target that is spread evenly over all classes; it does not change margins.
        margin: Subtracted from the cosine of the true class.
        scale: The scale of the head.
    """
    return cross_entropy(logits - scale * margin * targets, targets, class_weights, smoothing)
