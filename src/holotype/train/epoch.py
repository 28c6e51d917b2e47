"""One epoch: rows into steps, steps into batches that fit in memory, and a loss that is no number found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holotype.errors import HolotypeError, TrainingError
from holotype.feed import (
    batches,
    is_out_of_memory,
    prepared_ahead,
    release_memory,
    sampled,
    shortage_of,
    to_device,
    training_batch,
    with_joining,
)
from holotype.seeds import derive_seed
from holotype.train.columns import take_step
from holotype.train.job import FitJob
from holotype.train.optimisers import apply_moment
from holotype.train.phases import phase_moment
from holotype.train.processes import any_process
from holotype.train.state import save_state
from holotype.train.step import StepRules
from holotype.train.training import Stage, Training
from holotype.types import Integers

__all__ = [
    "MEMORY_REMEDY",
    "DivergedError",
    "batch_maker",
    "cut_batches",
    "epoch_rates",
    "epoch_steps",
    "fitting_memory",
    "keep_state",
    "train_epoch",
]

MEMORY_REMEDY = (
    "write a smaller `input.size` or backbone, or free memory; what is trained so far is kept, and the same command "
    "goes on from there"
)
RATES_AT_MOST = 24  # of an epoch, for its curve
LOOKED_AT = 50  # steps after which the loss is looked at; each look waits for the device
Batch = tuple[Tensor, Tensor]
Piece = NDArray[np.int64]
Result = TypeVar("Result")


class DivergedError(HolotypeError):
    """The loss is no longer a number.

    Args:
        what: The message.
        rows: The image rows of the first such step.
    """

    def __init__(self, what: str, rows: Integers) -> None:
        super().__init__(what)
        self.rows = rows


def train_epoch(training: Training, stage: Stage) -> float:
    """Train one pass over the rows, or the rest of one; where the training stands is kept by the course.

    Args:
        training: The network.
        stage: The phase.

    Returns:
        The mean loss of the pass; the steps that were left out do not count.

    Raises:
        DivergedError: The loss is no longer a number.
    """
    course, steps = training.course, epoch_steps(training, stage)
    if course.step == 0:
        training.loss_sum = torch.zeros((), device=training.fabric.device)
    factor = course.rate_factor(stage.phase)
    for group, rate in zip(stage.optimiser.param_groups, stage.rates, strict=True):
        group["largest_rate"] = rate * factor
    while course.step < len(steps):
        fitting_memory(training, stage, steps[course.step], lambda: _take_steps(training, stage, steps))
    return float(training.loss_sum) / max(course.images, 1)


def fitting_memory(
    training: Training, stage: Stage, step: Sequence[Piece], work: Callable[[], Result]
) -> Result | None:
    """Do some steps; where memory is short, batches are cut in parts of half the size, and their gradients added up.

    Args:
        training: The network; its course knows into how many parts a batch is cut.
        stage: The phase.
        step: The batches of the step that comes next.
        work: Takes steps, with batches cut as the course says.

    Returns:
        What the work gives, or nothing where memory was short and it has to be done again.

    Raises:
        TrainingError: One image is more than memory holds, or batch normalization has one image alone.
    """
    job, course = training.job, training.course
    largest = max(len(batch) for batch in step)
    try:
        return work()
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(f"{job.label}: batch normalisation cannot learn from one image a batch",
                            remedy="write a larger `run.batch`, and `accumulate: 1`" if course.parts == 1 else
                            "memory is short: write a smaller `input.size` or backbone") from error  # fmt: skip
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        shortage = shortage_of(error)
    stage.optimiser.zero_grad(set_to_none=True)  # after the handler, which holds on to what the step had made
    release_memory()
    if course.parts >= largest:
        raise TrainingError(f"{job.label}: one image does not fit in memory while training ({shortage})",
                            remedy=MEMORY_REMEDY)  # fmt: skip
    course.parts *= 2
    training.runtime.progress.say(
        f"{job.label}: a batch of {-(-largest * 2 // course.parts):,} images does not fit in memory; "
        f"half of it is taken at once, and gradients are added up over {course.parts} parts"
    )
    return None


def epoch_steps(training: Training, stage: Stage) -> list[list[Piece]]:
    """The batches of each step of the present epoch.

    Args:
        training: The network.
        stage: The phase.

    Returns:
        For each step its batches: rows, and how often the epoch has had each before, shape (n, 2).
    """
    job, batch = training.job, training.runtime.batch
    epoch = training.course.epoch
    key = _key(training, stage, epoch, "order")
    share = _joined_share(job, stage, epoch)
    rows = with_joining(job.labelled_rows(stage.number), job.pseudo_rows, job.joining, share, key)
    order = sampled(rows, training.specimens.truth.rows(rows), job.member.sampler, key)
    whole = list(batches(order, batch, whole=True))
    together = stage.phase.accumulate
    return [whole[start : start + together] for start in range(0, len(whole), together)]


def epoch_rates(training: Training, stage: Stage) -> list[float]:
    """The learning rates of the epoch that was just trained, at steps spread evenly from its first to its last.

    They follow from the phase and not from what was seen, so that a resumed training writes the same.

    Args:
        training: Its course stands at the end of the epoch.
        stage: The phase.
    """
    course, largest = training.course, float(stage.optimiser.param_groups[0]["largest_rate"])
    places = np.unique(np.linspace(0, course.step - 1, RATES_AT_MOST).round().astype(int))
    first = course.epoch * course.step
    return [largest * phase_moment(stage.phase, first + int(place), course.step).rate for place in places]


def batch_maker(training: Training, stage: Stage) -> Callable[[Piece], Batch]:
    """What makes a batch of the present epoch.

    Args:
        training: The network, and where the images lie.
        stage: The phase; its augmentation may have a fixed number of draws.
    """
    job, specimens, device = training.job, training.specimens, training.fabric.device
    epoch, draws = training.course.epoch, stage.phase.draws
    draw = epoch % draws if draws is not None else epoch
    features = stage.features
    if features is not None:
        truth = specimens.truth
        return lambda piece: (
            features.batch(piece[:, 0], draw),
            to_device(torch.from_numpy(truth[piece[:, 0]]), device).float(),
        )
    key = _key(training, stage, draw, "augmentation")
    size = job.member.phase_size(stage.number)
    rows = job.phase_rows(stage.number)
    return lambda piece: training_batch(specimens, piece, key, size, job.member.augment, device, rows)


def keep_state(training: Training, stage: Stage | None) -> None:
    """Write where the training stands; one process of several does.

    Args:
        training: The network.
        stage: The phase, whose optimiser is written too.
    """
    training.saved_at = time.monotonic()
    if training.fabric.is_global_zero:
        _write_state(training, stage)
    training.fabric.barrier()


def _write_state(training: Training, stage: Stage | None) -> None:
    more = {"loss_sum": training.loss_sum}
    scaler = training.fabric.strategy.precision.state_dict()
    more |= {f"scaler.{name}": torch.tensor(value) for name, value in scaler.items()}
    if stage is not None and stage.average is not None:
        more |= {f"average.{name}": tensor for name, tensor in stage.average.tensors().items()}
    optimiser: Any = stage.optimiser if stage is not None else None
    save_state(training.workspace, training.course, training.network, optimiser, more)


def _take_steps(training: Training, stage: Stage, steps: list[list[Piece]]) -> None:
    course, fabric, phase = training.course, training.fabric, stage.phase
    make = batch_maker(training, stage)
    first = course.step
    pieces = [cut_batches(step, course.parts, fabric.global_rank, fabric.world_size) for step in steps[first:]]
    made = prepared_ahead(make, (piece for step in pieces for piece in step), training.runtime.workers)
    recent: list[Tensor] = []
    for step in range(first, len(steps)):
        now = course.epoch * len(steps) + step
        apply_moment(stage.optimiser.param_groups, phase_moment(phase, now, len(steps)))
        rows = sum(len(batch) for batch in steps[step])
        noise = _key(training, stage, now, "noise", fabric.global_rank)
        rules = StepRules(noise, phase.clip, rows, phase.on_nonfinite == "skip")
        parts = [next(made) for _ in pieces[step - first]]
        key = _key(training, stage, now, "classes")
        loss = take_step(training, stage, parts, rules, key, now / len(steps))
        if stage.average is not None:
            stage.average.update(training.network, now)
        recent.append(loss)
        _count(training, phase.on_nonfinite == "skip", loss, rows)
        course.step = step + 1
        training.task.advance(rows, f"epoch {course.epoch + 1}/{phase.epochs}")
        late = _is_late(training)
        if course.step == len(steps) or len(recent) == LOOKED_AT or late:
            _look(recent, steps[course.step - len(recent) : course.step], phase.on_nonfinite == "skip")
            recent = []
        if late and course.step < len(steps):
            keep_state(training, stage)


def _is_late(training: Training) -> bool:
    """Whether the state should be written: all processes write it together."""
    return any_process(training.fabric, time.monotonic() - training.saved_at > training.runtime.save_seconds)


def _count(training: Training, skips: bool, loss: Tensor, rows: int) -> None:
    if skips and not bool(torch.isfinite(loss)):
        training.course.skipped += 1
        return
    training.loss_sum = training.loss_sum + rows * loss
    training.course.images += rows


def _look(recent: Sequence[Tensor], steps: Sequence[list[Piece]], skips: bool) -> None:
    """Refuse losses that are no number, and name the images of the first."""
    lost = torch.isfinite(torch.stack(list(recent))).logical_not().nonzero().flatten().tolist()
    if lost and not skips:
        rows = np.concatenate(steps[lost[0]])[:, 0]
        raise DivergedError("the loss is no longer a number", rows)


def cut_batches(step: Sequence[Piece], parts: int, rank: int = 0, processes: int = 1) -> list[Piece]:
    """The batches of a step as one process takes them: its own rows, in so many parts.

    Args:
        step: Its batches.
        parts: Into how many parts each is cut.
        rank: Of the process.
        processes: How many there are.
    """
    own = [batch[rank::processes] for batch in step]
    return [piece for batch in own for piece in np.array_split(batch, min(parts, len(batch))) if len(piece)]


def _key(training: Training, stage: Stage, *purpose: str | int) -> int:
    job = training.job
    return derive_seed(job.seed, job.seed_name, stage.number, job.fold, *purpose)


def _joined_share(job: FitJob, stage: Stage, epoch: int) -> float:
    """How far the rows that join have joined; they do so in the first phase."""
    ramp = job.member.pseudo.ramp if job.member.pseudo is not None else 0
    return 1.0 if stage.number > 0 or not ramp else min(1.0, (epoch + 1) / ramp)
