"""Sampled softmax (Partial FC): training steps over some of very many classes.

An et al. 2022, "Killing two birds with one stone: efficient and robust training of face recognition CNNs by Partial
FC", CVPR. For one step the last layer, and the optimizer's state of it, are restricted to the classes of the batch and
others drawn anew. An offset on the logits of the drawn classes makes the sum of the softmax right on average (Jean et
al. 2015, "On using very large target vocabulary for neural machine translation", section 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from holotype.core.seeds import keyed_uniforms
from holotype.recipe.sections import HeadSpec
from holotype.training.step import StepOptions, train_step
from holotype.training.training_state import PhaseState, TrainingState
from holotype.types import MANY_CLASSES

MIN_CLASSES = 1_000
SAMPLE_DIVISOR = 10  # a tenth, as in the paper


@dataclass(frozen=True)
class SampledClasses:
    """Classes of one training step.

    Args:
        indices: Ascending, shape (m,).
        offset: Added to the logits, shape (m,): 0 for a class of the batch; for a drawn class the logarithm of the
            number of classes that it represents.
    """

    indices: Tensor
    offset: Tensor


def classes_per_step(head: HeadSpec, classes: int, processes: int = 1) -> int | None:
    """Number of classes per training step; None for all."""
    default = max(MIN_CLASSES, classes // SAMPLE_DIVISOR) if classes > MANY_CLASSES else classes
    requested = default if head.classes_per_step is None else head.classes_per_step
    uses_all = processes > 1 or head.taxonomy is not None  # ranks are marginals over every class
    return None if uses_all or requested >= classes else requested


def sample_classes(targets: Sequence[Tensor], class_count: int, key: int) -> SampledClasses:
    """Sample the classes of a step: those of its targets, and random others up to a number.

    `targets`: shape (n, classes) for each batch; `key`: from (seed, model, phase, fold, step).
    """
    device = targets[0].device
    present = torch.stack([(part > 0).any(dim=0) for part in targets]).any(dim=0).cpu().numpy()
    others = np.flatnonzero(~present)
    extra_count = min(max(class_count - int(present.sum()), 0), len(others))
    sampled = others[np.argsort(keyed_uniforms(key, others, 1)[:, 0], kind="stable")[:extra_count]]
    indices = np.sort(np.append(np.flatnonzero(present), sampled))
    log_weight = np.log(len(others) / extra_count) if extra_count else 0.0
    offset = np.where(present[indices], 0.0, log_weight).astype(np.float32)
    return SampledClasses(torch.from_numpy(indices).to(device), torch.from_numpy(offset).to(device))


@contextmanager
def restricted_to_classes(last: nn.Module, optimizer: Optimizer, indices: Tensor, classes: int) -> Iterator[None]:
    """Restrict a layer and its optimizer state to some classes, within a `with` block.

    A tensor belongs to the classes by its rows if their number is the number of classes or a multiple (several centers
    per class). State created meanwhile is zero for the other classes. `indices`: the classes, shape (m,).
    """
    originals = [
        (parameter, parameter.data, _rows_of_classes(indices, len(parameter) // classes))
        for parameter in last.parameters()
    ]
    saved_states: list[dict[str, Tensor]] = []
    for parameter, data, rows in originals:
        state = optimizer.state.get(parameter, {})
        saved_states.append({name: value for name, value in state.items() if _has_rows_by_class(value, len(data))})
        for name, value in saved_states[-1].items():
            state[name] = value.index_select(0, rows)
        parameter.data = data.index_select(0, rows)
    try:
        yield
    finally:
        for (parameter, data, rows), before in zip(originals, saved_states, strict=True):
            data.index_copy_(0, rows, parameter.data)
            parameter.data, parameter.grad = data, None
            state = optimizer.state.get(parameter, {})
            for name, value in state.items():
                if name in before or _has_rows_by_class(value, len(rows)):
                    full = before.get(name)
                    full = value.new_zeros((len(data), *value.shape[1:])) if full is None else full
                    state[name] = full.index_copy_(0, rows, value)


def take_step(
    training: TrainingState,
    phase_state: PhaseState,
    micro_batches: Sequence[tuple[Tensor, Tensor]],
    options: StepOptions,
    key: int,
    epochs: float = math.inf,
) -> Tensor:
    """Take one training step, over all classes or a sample of them.

    `micro_batches`: batches of (pixels, targets). Returns as `train_step`.
    """
    classes, fabric = len(training.job.classes), training.fabric
    class_count = classes_per_step(training.job.model.head, classes, fabric.world_size)
    if class_count is None:
        full_loss = partial(phase_state.loss, epochs=epochs)
        return train_step(fabric, phase_state.trainable, phase_state.optimizer, full_loss, micro_batches, options)
    sampled = sample_classes([targets for _, targets in micro_batches], class_count, key)
    restricted_batches = [(pixels, targets.index_select(1, sampled.indices)) for pixels, targets in micro_batches]
    loss = partial(phase_state.loss, epochs=epochs, columns=sampled.indices, offset=sampled.offset)
    last: nn.Module = training.network.head.last  # type: ignore[union-attr,assignment]
    base_optimizer: Optimizer = getattr(phase_state.optimizer, "optimizer", phase_state.optimizer)
    with restricted_to_classes(last, base_optimizer, sampled.indices, classes):
        return train_step(fabric, phase_state.trainable, phase_state.optimizer, loss, restricted_batches, options)


def _rows_of_classes(indices: Tensor, each: int) -> Tensor:
    return (indices[:, None] * each + torch.arange(each, device=indices.device)).flatten()


def _has_rows_by_class(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == rows
