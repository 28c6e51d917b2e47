"""One training epoch: rows, steps, batches that fit in memory, and detection of divergence."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holotype.core.errors import HolotypeError, TrainingError
from holotype.core.stop import StopRequested, is_stop_requested, stop_if_requested
from holotype.loading import (
    add_pseudo_labeled,
    batches,
    describe_out_of_memory,
    is_out_of_memory,
    prefetch,
    release_memory,
    sample_epoch,
    to_device,
    training_batch,
)
from holotype.training.job import FitJob
from holotype.training.optimizers import set_lr_and_momentum
from holotype.training.pace import Pace
from holotype.training.phases import phase_schedule_value
from holotype.training.processes import largest_of_processes
from holotype.training.sampled_softmax import take_step
from holotype.training.state import save_state
from holotype.training.step import StepOptions
from holotype.training.training_state import PhaseState, TrainingState
from holotype.types import Integers

MEMORY_REMEDY = (
    "write a smaller `input.size` or backbone, or free memory; finished work is kept, and the same command continues "
    "from there"
)
MAX_RATES = 24  # per epoch, for the learning-rate curve
LOSS_CHECK_INTERVAL = 50  # steps between checks of the loss, each of which waits for the device
STOP = 2  # above 1: a state is due
Batch = tuple[Tensor, Tensor]
Piece = NDArray[np.int64]
Result = TypeVar("Result")


class DivergedError(HolotypeError):
    """Divergence: the loss or the logits are NaN or infinite at image `rows`."""

    def __init__(self, what: str, rows: Integers) -> None:
        super().__init__(what)
        self.rows = rows


def train_epoch(training: TrainingState, phase_state: PhaseState) -> float:
    """Train one epoch, or the rest of an interrupted one; `training.progress` counts its steps."""
    progress, steps = training.progress, epoch_steps(training, phase_state)
    if progress.step == 0:
        training.loss_sum = torch.zeros((), device=training.fabric.device)
    factor = progress.rate_factor(phase_state.phase)
    for group, rate in zip(phase_state.optimizer.param_groups, phase_state.rates, strict=True):
        group["largest_rate"] = rate * factor
    if phase_state.phase.budget_plan is not None and training.runtime.pacer is not None and progress.pace is None:
        planned_steps = phase_state.phase.epochs * len(steps)
        progress.pace = Pace(planned_steps, planned_steps)
    while progress.step < len(steps) and not progress.is_out_of_time:
        run_within_memory(
            training, phase_state, steps[progress.step], lambda: _take_steps(training, phase_state, steps)
        )
    return float(training.loss_sum) / max(progress.images, 1)


def run_within_memory(
    training: TrainingState, phase_state: PhaseState, step: Sequence[Piece], work: Callable[[], Result]
) -> Result | None:
    """Run steps, and on an out-of-memory error double the number of accumulated parts per batch.

    `work`: runs steps, with batches cut into `training.progress.parts`. Returns the result of `work`, or None if it
    must be called again.
    """
    job, progress = training.job, training.progress
    largest = max(len(batch) for batch in step)
    try:
        return work()
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        remedy = "write a larger `run.batch`, and `accumulate: 1`"
        if progress.parts > 1:
            remedy = "memory allows no larger batch: write a smaller `input.size` or backbone"
        message = f"{job.label}: batch norm needs more than one image per batch"
        raise TrainingError(message, remedy=remedy) from error
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        shortage = describe_out_of_memory(error)
    phase_state.optimizer.zero_grad(set_to_none=True)  # outside of the handler, whose exception keeps tensors alive
    release_memory()
    if progress.parts >= largest:
        raise TrainingError(
            f"{job.label}: one image does not fit in memory while training ({shortage})", remedy=MEMORY_REMEDY
        )
    progress.parts *= 2
    training.runtime.progress.info(
        f"{job.label}: a batch of {-(-largest * 2 // progress.parts):,} images does not fit in memory; "
        f"gradients are accumulated over {progress.parts} parts"
    )
    return None


def epoch_steps(training: TrainingState, phase_state: PhaseState) -> list[list[Piece]]:
    """Batches of each step of the current epoch.

    Returns per step, its batches: row and number of earlier occurrences in the epoch, shape (n, 2).
    """
    job, batch = training.job, training.runtime.batch
    epoch = training.progress.epoch
    key = training.job.derive_key(phase_state.number, epoch, "order")
    share = _pseudo_label_share(job, phase_state, epoch)
    rows = add_pseudo_labeled(
        job.labeled_rows(phase_state.number), job.pseudo_rows, job.pseudo_rows_per_epoch, share, key
    )
    order = sample_epoch(rows, training.dataset.truth.rows(rows), job.model.sampler, key)
    full_batches = list(batches(order, batch, drop_last=True))
    accumulate = phase_state.phase.accumulate
    return [full_batches[start : start + accumulate] for start in range(0, len(full_batches), accumulate)]


def epoch_rates(training: TrainingState, phase_state: PhaseState) -> list[float]:
    """Learning rates of the completed epoch at evenly spaced steps.

    They are computed from the schedule, not recorded, so that a resumed training reports the same.
    """
    progress, largest = training.progress, float(phase_state.optimizer.param_groups[0]["largest_rate"])
    step_indices = np.unique(np.linspace(0, progress.step - 1, MAX_RATES).round().astype(int))
    first = progress.epoch * progress.step
    pace, phase = progress.pace, phase_state.phase
    if pace is not None:
        positions = [pace.schedule_step(float(step) / progress.step) for step in step_indices]
        return [largest * phase_schedule_value(phase, step, pace.planned // phase.epochs).rate for step in positions]
    return [
        largest * phase_schedule_value(phase_state.phase, first + int(step), progress.step).rate
        for step in step_indices
    ]


def batch_maker(training: TrainingState, phase_state: PhaseState) -> Callable[[Piece], Batch]:
    """Make the function that turns rows into a batch of the current epoch."""
    job, dataset, device = training.job, training.dataset, training.fabric.device
    epoch, draws = training.progress.epoch, phase_state.phase.augmentation_draws
    draw = epoch % draws if draws is not None else epoch
    features = phase_state.features
    if features is not None:
        truth = dataset.truth
        return lambda piece: (
            features.batch(piece[:, 0], draw),
            to_device(torch.from_numpy(truth[piece[:, 0]]), device).float(),
        )
    key = training.job.derive_key(phase_state.number, draw, "augmentation")
    size = job.model.phase_size(phase_state.number)
    rows = job.phase_rows(phase_state.number)
    return lambda piece: training_batch(dataset, piece, key, size, job.model.augment, device, rows)


def keep_state(training: TrainingState, phase_state: PhaseState | None) -> None:
    """Save the training state to disk, from the main process."""
    training.saved_at = time.monotonic()
    if training.fabric.is_global_zero:
        _write_state(training, phase_state)
    training.fabric.barrier()


def _write_state(training: TrainingState, phase_state: PhaseState | None) -> None:
    extra_tensors = {"loss_sum": training.loss_sum}
    scaler = training.fabric.strategy.precision.state_dict()
    extra_tensors |= {f"scaler.{name}": torch.tensor(value) for name, value in scaler.items()}
    if phase_state is not None and phase_state.average is not None:
        extra_tensors |= {f"average.{name}": tensor for name, tensor in phase_state.average.tensors().items()}
    optimizer: Any = phase_state.optimizer if phase_state is not None else None
    save_state(training.workspace, training.progress, training.network, optimizer, extra_tensors)


def _take_steps(training: TrainingState, phase_state: PhaseState, steps: list[list[Piece]]) -> None:
    progress, fabric, phase = training.progress, training.fabric, phase_state.phase
    make = batch_maker(training, phase_state)
    first = progress.step
    pieces = [cut_batches(step, progress.parts, fabric.global_rank, fabric.world_size) for step in steps[first:]]
    prepared = prefetch(make, (piece for step in pieces for piece in step), training.runtime.workers)
    recent: list[Tensor] = []
    for step in range(first, len(steps)):
        global_step = progress.epoch * len(steps) + step
        schedule_step = global_step
        if progress.pace is not None:
            schedule_step = _follow_pace(training, progress.pace, sum(map(len, steps[step])))
        set_lr_and_momentum(phase_state.optimizer.param_groups, phase_schedule_value(phase, schedule_step, len(steps)))
        rows = sum(len(batch) for batch in steps[step])
        noise = training.job.derive_key(phase_state.number, global_step, "noise", fabric.global_rank)
        options = StepOptions(noise, phase.clip, rows, phase.on_nonfinite == "skip")
        micro_batches = [next(prepared) for _ in pieces[step - first]]
        key = training.job.derive_key(phase_state.number, global_step, "classes")
        loss = take_step(training, phase_state, micro_batches, options, key, global_step / len(steps))
        if phase_state.average is not None:
            phase_state.average.update(training.network, global_step)
        recent.append(loss)
        _update_loss_sum(training, phase.on_nonfinite == "skip", loss, rows)
        progress.step = step + 1
        if progress.pace is not None:
            progress.pace.advance()
        is_last = progress.step == len(steps) or progress.is_out_of_time
        epochs = phase.epochs if progress.pace is None else -(-progress.pace.target // len(steps))
        training.task.advance(rows, f"epoch {progress.epoch + 1}/{epochs}")
        is_due = time.monotonic() - training.saved_at > training.runtime.save_seconds
        need = STOP if is_stop_requested() else int(is_due)
        need = largest_of_processes(fabric, need)  # all processes save and stop together
        should_save = need > 0
        if is_last or len(recent) == LOSS_CHECK_INTERVAL or should_save:
            _require_finite(recent, steps[progress.step - len(recent) : progress.step], phase.on_nonfinite == "skip")
            recent = []
        if need == STOP:
            stop_if_requested()  # the state is saved by who catches it
            raise StopRequested("a signal to another process")
        if should_save and not is_last:
            keep_state(training, phase_state)
        if is_last:
            break


def _follow_pace(training: TrainingState, pace: Pace, rows: int) -> int:
    """Let the time keeper decide the length of the training, and return the step of the planned schedule."""
    pacer, fabric = training.runtime.pacer, training.fabric
    if pacer is not None and pace.is_decision_due:
        target = pacer.decide(training.job.label, pace.taken, pace.target) if fabric.is_global_zero else 0
        target = int(fabric.broadcast(target))
        training.task.total += rows * (target - pace.target)
        pace.target = target
    return pace.schedule_step()


def _update_loss_sum(training: TrainingState, skips: bool, loss: Tensor, rows: int) -> None:
    if skips and not bool(torch.isfinite(loss)):
        training.progress.skipped += 1
        return
    training.loss_sum = training.loss_sum + rows * loss
    training.progress.images += rows


def _require_finite(recent: Sequence[Tensor], steps: Sequence[list[Piece]], skips: bool) -> None:
    nonfinite = torch.isfinite(torch.stack(list(recent))).logical_not().nonzero().flatten().tolist()
    if nonfinite and not skips:
        rows = np.concatenate(steps[nonfinite[0]])[:, 0]
        raise DivergedError("the loss is NaN or infinite", rows)


def cut_batches(step: Sequence[Piece], parts: int, rank: int = 0, processes: int = 1) -> list[Piece]:
    """Cut the batches of a step into parts, restricted to the rows of one process."""
    local_batches = [batch[rank::processes] for batch in step]
    return [piece for batch in local_batches for piece in np.array_split(batch, min(parts, len(batch))) if len(piece)]


def _pseudo_label_share(job: FitJob, phase_state: PhaseState, epoch: int) -> float:
    """Position on the ramp of pseudo-labels, in [0, 1]; the ramp is in the first phase."""
    ramp = job.model.pseudo_labels.ramp_epochs if job.model.pseudo_labels is not None else 0
    return 1.0 if phase_state.number > 0 or not ramp else min(1.0, (epoch + 1) / ramp)
