"""Steps that look at some of very many classes: those of the batch, and others that are drawn anew every step.

An et al. 2022, "Killing two birds with one stone: efficient and robust training of face recognition CNNs by Partial
FC", CVPR. For the length of a step the last layer has the rows of these classes alone, and so has what the optimiser
keeps of them: a step costs what its classes cost, whatever the optimiser, and between two steps the layer is whole. The
drawn classes stand for all that were not: what is added to their logits makes the sum of a softmax right on average
(Jean et al. 2015, "On using very large target vocabulary for neural machine translation", section 3).
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

from holotype.seeds import keyed_uniforms
from holotype.spec import HeadSpec
from holotype.train.step import StepRules, train_step
from holotype.train.training import Stage, Training
from holotype.types import MANY

__all__ = ["Columns", "classes_of_a_step", "draw_columns", "narrowed", "take_step"]

FEWEST = 1_000
SHARE = 10  # a tenth, as in the paper


@dataclass(frozen=True)
class Columns:
    """The classes of a step.

    Args:
        numbers: Ascending, shape (m,).
        offset: What is added to the logit of each, shape (m,): nothing for a class of the batch, and the logarithm of
            how many classes a drawn one stands for.
    """

    numbers: Tensor
    offset: Tensor


def classes_of_a_step(head: HeadSpec, classes: int, processes: int = 1) -> int | None:
    """How many classes a step looks at.

    Args:
        head: The recipe's section.
        classes: How many there are.
        processes: How many processes train one network; with several, or with ranks, a step looks at all classes.

    Returns:
        None where it looks at all of them.
    """
    usual = max(FEWEST, classes // SHARE) if classes > MANY else classes
    wanted = usual if head.sampled is None else head.sampled
    sees_all = processes > 1 or head.levels is not None  # ranks are sums over every class
    return None if sees_all or wanted >= classes else wanted


def draw_columns(targets: Sequence[Tensor], wanted: int, key: int) -> Columns:
    """The classes of a step: all that its targets hold, and others until there are enough.

    Args:
        targets: Of its batches, shape (n, classes) each.
        wanted: How many classes; more where the batches hold more.
        key: From (seed, member, phase, fold, step).
    """
    device = targets[0].device
    held = torch.stack([(part > 0).any(dim=0) for part in targets]).any(dim=0).cpu().numpy()
    others = np.flatnonzero(~held)
    more = min(max(wanted - int(held.sum()), 0), len(others))
    drawn = others[np.argsort(keyed_uniforms(key, others, 1)[:, 0], kind="stable")[:more]]
    numbers = np.sort(np.append(np.flatnonzero(held), drawn))
    stands_for = np.log(len(others) / more) if more else 0.0
    offset = np.where(held[numbers], 0.0, stands_for).astype(np.float32)
    return Columns(torch.from_numpy(numbers).to(device), torch.from_numpy(offset).to(device))


@contextmanager
def narrowed(last: nn.Module, optimiser: Optimizer, numbers: Tensor, classes: int) -> Iterator[None]:
    """For a while a layer has the rows of some classes alone, and so has the optimiser's state of its parameters.

    A parameter or a state belongs to the classes by its rows where it has as many rows as there are classes, or a
    multiple of that (several centres a class). A state that is born meanwhile is zero for the other classes.

    Args:
        last: The last layer; every parameter has rows by class.
        optimiser: Its state is exchanged, whatever it is called.
        numbers: The classes, shape (m,).
        classes: How many there are.
    """
    whole = [
        (parameter, parameter.data, _rows_of(numbers, len(parameter) // classes)) for parameter in last.parameters()
    ]
    kept: list[dict[str, Tensor]] = []
    for parameter, data, rows in whole:
        state = optimiser.state.get(parameter, {})
        kept.append({name: value for name, value in state.items() if _by_class(value, len(data))})
        for name, value in kept[-1].items():
            state[name] = value.index_select(0, rows)
        parameter.data = data.index_select(0, rows)
    try:
        yield
    finally:
        for (parameter, data, rows), before in zip(whole, kept, strict=True):
            data.index_copy_(0, rows, parameter.data)
            parameter.data, parameter.grad = data, None
            state = optimiser.state.get(parameter, {})
            for name, value in state.items():
                if name in before or _by_class(value, len(rows)):
                    full = before.get(name)
                    full = value.new_zeros((len(data), *value.shape[1:])) if full is None else full
                    state[name] = full.index_copy_(0, rows, value)


def take_step(
    training: Training, stage: Stage, parts: Sequence[tuple[Tensor, Tensor]], rules: StepRules, key: int,
    epochs: float = math.inf,
) -> Tensor:  # fmt: skip
    """One step of training, over all classes or over some.

    Args:
        training: The network, and how many classes there are.
        stage: The phase, with its optimiser and loss.
        parts: Batches of (pixels, targets).
        rules: Of the step.
        key: For the classes that are drawn.
        epochs: Of the phase that are done, over which margins grow.

    Returns:
        As `train_step`.
    """
    classes, fabric = len(training.job.classes), training.fabric
    wanted = classes_of_a_step(training.job.member.head, classes, fabric.world_size)
    if wanted is None:
        whole = partial(stage.loss, epochs=epochs)
        return train_step(fabric, stage.moving, stage.optimiser, whole, parts, rules)
    columns = draw_columns([targets for _, targets in parts], wanted, key)
    few = [(pixels, targets.index_select(1, columns.numbers)) for pixels, targets in parts]
    loss = partial(stage.loss, epochs=epochs, columns=columns.numbers, offset=columns.offset)
    last: nn.Module = training.network.head.last  # type: ignore[union-attr,assignment]
    bare: Optimizer = getattr(stage.optimiser, "optimizer", stage.optimiser)
    with narrowed(last, bare, columns.numbers, classes):
        return train_step(fabric, stage.moving, stage.optimiser, loss, few, rules)


def _rows_of(numbers: Tensor, each: int) -> Tensor:
    """The rows of some classes, of which each has so many."""
    return (numbers[:, None] * each + torch.arange(each, device=numbers.device)).flatten()


def _by_class(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == rows
