"""Losses that ask for a margin between classes, on the logits of a head that measures angles (`head.margin`).

Such a head says `scale * cos(angle to the class's center)`, so that a margin needs nothing but its logits: alone, mixed
with cross-entropy, or in a later phase of a network that was trained without one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holotype.losses.multiclass import cross_entropy
from holotype.losses.registry import register

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MARGINS", "arcface", "cosface"]

MARGINS = frozenset({"arcface", "cosface"})
MAX_COSINE = 1 - 1e-6  # the angle's slope is infinite at 1


@register("multiclass")
def arcface(
    logits: Tensor,
    targets: Tensor,
    class_weights: Tensor | None = None,
    smoothing: float = 0.0,
    margin: float = 0.5,
    scale: float = 30.0,
) -> Tensor:
    """Cross-entropy after the angle to the own class's center was made larger (Deng et al. 2019, ArcFace, equation 3).

    Where the larger angle would pass half a turn, `margin * sin(margin)` is taken from the cosine instead, so that the
    loss keeps falling.

    Args:
        logits: Shape (n, classes), `scale` times cosines.
        targets: Shape (n, classes); each row sums to 1. Of a mixture each class has its share of the margin.
        class_weights: Shape (classes,), the weight of each class's rows.
        smoothing: Share of each target that is spread evenly over all classes; it moves no margin.
        margin: In radians.
        scale: The head's.

    Returns:
        The mean over rows, a scalar; zero where there are no rows.
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
    """Cross-entropy after the own class's cosine was made smaller (Wang et al. 2018, CosFace, equation 4).

    Args:
        logits: Shape (n, classes), `scale` times cosines.
        targets: Shape (n, classes); each row sums to 1. Of a mixture each class has its share of the margin.
        class_weights: Shape (classes,), the weight of each class's rows.
        smoothing: Share of each target that is spread evenly over all classes; it moves no margin.
        margin: Of the cosine.
        scale: The head's.

    Returns:
        The mean over rows, a scalar; zero where there are no rows.
    """
    return cross_entropy(logits - scale * margin * targets, targets, class_weights, smoothing)
