"""Composite loss of a training phase: weighted losses with class weights and logit adjustment."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from holotype.losses.registry import WARM_UP, Parts, get_loss, loss_info
from holotype.types import AnyLabels, LabelMatrix

if TYPE_CHECKING:
    from torch import Tensor

EFFECTIVE_NUMBER_BETA = 0.999  # beta: about a thousand samples of a class carry all of its information
Loss = Callable[..., "Tensor"]


def compose_loss(
    parts: Parts,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
    adjustment: Tensor | None = None,
    kind: str = "multilabel",
) -> Loss:
    """Combine weighted losses into one function `loss(logits, targets, epochs, columns, offset)`.

    `epochs` is the number of epochs done in the phase (margins warm up by it). With sampled classes, `columns` gives
    the indices of the classes that the logits have, and `offset` is added to their logits.

    Args:
        parts: Loss name to its weight, or to a mapping of `weight` and the loss's options.
        weights: Class weights, shape (classes,).
        smoothing: Label smoothing, in [0, 1).
        adjustment: Added to the logits in training only, shape (classes,): the scaled log-prior of Menon et al. 2021,
            "Long-tail learning via logit adjustment", equation 10.
        kind: `multiclass` or `multilabel`; `focal` is another function for each.

    Raises:
        RecipeError: No loss has one of the names.
    """
    import torch

    functions = [(get_loss(name, kind), *_split_weight_and_options(entry)) for name, entry in parts.items()]
    common_arguments = [loss_info(function).common for function, _, _ in functions]

    def loss(
        logits: Tensor,
        targets: Tensor,
        epochs: float = math.inf,
        columns: Tensor | None = None,
        offset: Tensor | None = None,
    ) -> Tensor:
        logits = logits if logits.dtype == torch.float64 else logits.float()
        targets = targets.to(logits.dtype)
        for addend in (_select_classes(adjustment, logits, columns), offset):
            logits = logits if addend is None else logits + addend.to(logits)
        scale = _select_classes(weights, logits, columns)
        terms = []
        for (function, weight, options), common in zip(functions, common_arguments, strict=True):
            shared = {"class_weights": scale, "smoothing": smoothing}
            shared = {name: shared[name] for name in common}
            terms.append(weight * function(logits, targets, **shared, **_with_margin_warmup(function, options, epochs)))
        return torch.stack(terms).sum()

    return loss


def _with_margin_warmup(function: Callable[..., Tensor], options: Mapping[str, Any], epochs: float) -> dict[str, Any]:
    loss_options = {name: value for name, value in options.items() if name != WARM_UP}
    if not options.get(WARM_UP):
        return loss_options
    margin = loss_options.get("margin", inspect.signature(function).parameters["margin"].default)
    return loss_options | {"margin": margin * min(1.0, epochs / options[WARM_UP])}


def _select_classes(values: Tensor | None, logits: Tensor, columns: Tensor | None) -> Tensor | None:
    selected = None if values is None else values.to(logits)
    return selected if selected is None or columns is None else selected[columns]


def _split_weight_and_options(entry: float | Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    if not isinstance(entry, Mapping):
        return float(entry), {}
    options = {name: value for name, value in entry.items() if name != "weight"}
    return float(entry.get("weight", 1.0)), options


def class_weights(truth: AnyLabels, rule: str | None, kind: str) -> Tensor | None:
    """Class weights that raise rare classes.

    Args:
        truth: Labels of the training rows, shape (n, classes).
        rule: `inverse` frequency, its square root `sqrt`, or the inverse `effective` number of samples (Cui et al.
            2019, CVPR, equation 2).
        kind: `multiclass`: weights of rows, with mean 1 over the rows; `multilabel`: weights of the positive part,
            negatives over positives.

    Returns:
        Shape (classes,); None without a rule.
    """
    import torch

    if rule is None:
        return None
    counts = LabelMatrix.from_dense(truth).counts()
    positives = np.maximum(counts, 1)
    ratio = (len(truth) - positives + 1) / positives if kind == "multilabel" else len(truth) / positives
    if rule == "effective":
        ratio = (1 - EFFECTIVE_NUMBER_BETA) / (1 - EFFECTIVE_NUMBER_BETA**positives)
        ratio = ratio * len(ratio) / ratio.sum()
    weights = ratio**0.5 if rule == "sqrt" else ratio
    if kind == "multiclass":
        weights = weights * counts.sum() / (weights * counts).sum()
    return torch.tensor(weights, dtype=torch.float32)


def prior_logits(truth: AnyLabels, kind: str) -> Tensor:
    """Logits of the class priors, shape (classes,): log-probabilities for one label per sample, log-odds for several.

    One pseudo-count keeps absent classes finite.
    """
    import torch

    share = (LabelMatrix.from_dense(truth).counts() + 1) / (len(truth) + 2)
    logits = np.log(share) if kind == "multiclass" else np.log(share / (1 - share))
    return torch.tensor(logits, dtype=torch.float32)
