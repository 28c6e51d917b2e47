"""Training of one member on one fold: phases of epochs, validated by the one inference loop, resumed where it was."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from lightning_fabric import Fabric

from holotype.errors import TrainingError, listing
from holotype.feed import Specimens, is_out_of_memory, shortage_of
from holotype.losses import prior_logits
from holotype.nets import build_network, load_network, open_checkpoint, save_network
from holotype.progress import Progress
from holotype.runtime import Runtime
from holotype.seeds import derive_seed
from holotype.table_files import write_parquet
from holotype.train.columns import classes_of_a_step
from holotype.train.course import Course
from holotype.train.device import launch_fabric, prepare_process
from holotype.train.epoch import (
    MEMORY_REMEDY,
    DivergedError,
    epoch_rates,
    epoch_steps,
    keep_state,
    train_epoch,
)
from holotype.train.halt import HaltedError, halt_where_asked
from holotype.train.job import FitJob
from holotype.train.keeping import best_candidate, keep_candidate, kept_weights
from holotype.train.phases import freeze
from holotype.train.plateau import selection_score
from holotype.train.schedules import cycle_ends
from holotype.train.stage import open_stage, restore
from holotype.train.state import newest_state, part_of
from holotype.train.training import Stage, Training, examine
from holotype.types import Checkpoint

__all__ = ["fit_member"]

MOST_HALVINGS = 5  # a rate that still diverges at a 32nd is not the matter


def fit_member(job: FitJob, specimens: Specimens, folder: Path, workspace: Path, runtime: Runtime) -> Checkpoint:
    """Train one network, or go on training it.

    Args:
        job: Member, fold and rows.
        specimens: Pixels and labels.
        folder: Where the finished checkpoint is written.
        workspace: Where the state of unfinished training is kept, from one call to the next.
        runtime: Device, threads, batch and progress.

    Returns:
        The checkpoint in `folder`.

    Raises:
        TrainingError: There are no rows to train on, the loss is no longer a number, or memory is short.
        HaltedError: The runtime wants it to stop before its end.
    """
    if any(job.epoch_length(number) == 0 for number in range(len(job.member.phases))):
        raise TrainingError(f"{job.label}: no rows are left to train on; use fewer folds or coarser groups")
    fabric = launch_fabric(runtime)
    try:
        if runtime.processes > 1:
            with _port_of_its_own():
                _raise_again(fabric.launch(_InProcess(job, specimens, folder, workspace, runtime)))
        else:
            _fit(fabric, job, specimens, folder, workspace, runtime)
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"{job.label}: memory is short ({shortage_of(error)})", remedy=MEMORY_REMEDY) from error
    return open_checkpoint(folder)


class _InProcess:
    """What one of several processes does; an object, since Lightning takes the arguments of functions apart."""

    def __init__(self, job: FitJob, specimens: Specimens, folder: Path, workspace: Path, runtime: Runtime) -> None:
        self.given = (job, specimens, folder, workspace)
        self.runtime = runtime

    def __call__(self, fabric: Fabric) -> dict[str, Any] | None:
        """Train; what all processes refuse together comes back as facts, since an exception would come as text."""
        prepare_process(self.runtime)
        speaks = fabric.is_global_zero
        own = self.runtime if speaks else replace(self.runtime, progress=Progress(quiet=True))
        try:
            _fit(fabric, *self.given, own)
        except HaltedError as halted:
            return {"what": halted.what, "history": halted.history}
        except TrainingError as error:
            return {"what": error.what, "field": error.field, "remedy": error.remedy}
        return None


@contextmanager
def _port_of_its_own() -> Iterator[None]:
    """Lightning keeps the port of one launch for the next; by then it may be another program's."""
    named = os.environ.get("MASTER_PORT")
    try:
        yield
    finally:
        if named is None:
            os.environ.pop("MASTER_PORT", None)


def _raise_again(refusal: dict[str, Any] | None) -> None:
    if refusal is not None and "history" in refusal:
        raise HaltedError(**refusal)
    if refusal is not None:
        raise TrainingError(refusal.pop("what"), **refusal)


def _fit(fabric: Fabric, job: FitJob, specimens: Specimens, folder: Path, workspace: Path, runtime: Runtime) -> None:
    seed = derive_seed(job.seed, job.seed_name, job.fold, "weights")
    network, found = build_network(job.member, len(job.classes), specimens.channels, seed, job.fold, job.levels)
    if job.start is not None:
        network.load_state_dict(load_network(open_checkpoint(job.start)).state_dict())
        found = replace(found, words="of the overall model")
    elif isinstance(network.head.last, torch.nn.Linear):  # angles cannot begin with how often a class comes
        with torch.no_grad():
            network.head.last.bias.copy_(prior_logits(specimens.truth.rows(job.train_rows), job.kind))
    network = network.to(memory_format=torch.channels_last).to(fabric.device)  # type: ignore[call-overload]
    runtime.progress.say(f"{job.label}: {job.member.backbone} at {job.size} px, weights: {found.words}")
    some = classes_of_a_step(job.member.head, len(job.classes), fabric.world_size)
    if some is not None:
        runtime.progress.say(
            f"{job.label}: a step looks at {some:,} of {len(job.classes):,} classes, or those of its batch"
        )
    workspace.mkdir(parents=True, exist_ok=True)
    state = newest_state(workspace)
    fabric.barrier()  # before anybody writes, all have looked
    course = Course() if state is None else state[1]
    if state is not None and course.order > (0, 0, 0):
        epochs = sum(phase.epochs for phase in job.member.phases)
        runtime.progress.say(f"{job.label}: resumes after epoch {course.done} of {epochs}")
    with runtime.progress.task(f"{job.label}: training", _images_to_go(job, course, runtime.batch)) as task:
        zero = torch.zeros((), device=fabric.device)
        training = Training(job, specimens, fabric, network, workspace, runtime, task, course, zero)
        if state is None:
            keep_state(training, None)
        else:
            network.load_state_dict(part_of(state[0], "network."))
        while training.course.phase < len(job.member.phases):
            _run_phase(training)
    _finish(training, folder, {"backbone_options": found.options, "weights": found.words})


def _run_phase(training: Training) -> None:
    """Train the phase at which the course stands, to its end."""
    number = training.course.phase
    stage = open_stage(training, number)
    restore(training, stage)
    while not _is_over(training, stage):
        halt_where_asked(training)
        freeze(training.network, stage.phase)
        started, before = time.perf_counter(), training.course.images
        try:
            loss = train_epoch(training, stage)
            seconds, images = time.perf_counter() - started, training.course.images - before
            _close_epoch(training, stage, loss, (seconds, images))
        except DivergedError as lost:
            _go_back(training, stage, lost)
            continue
        keep_state(training, stage)
    if stage.average is not None:
        training.network.load_state_dict(stage.average.tensors())
    training.course.next_phase()
    keep_state(training, stage)


def _is_over(training: Training, stage: Stage) -> bool:
    course = training.course
    return course.epoch >= stage.phase.epochs or course.stop.stopped or course.plateau.stopped


def _close_epoch(training: Training, stage: Stage, loss: float, pace: tuple[float, int]) -> None:
    """Examine the network, write down what was seen, and do what the phase makes of it."""
    job, course, phase = training.job, training.course, stage.phase
    with _averaged(training, stage):
        nothing: dict[str, Any] = {"loss": None, "score": None}
        seen = examine(training, stage, job.validation_rows) if len(job.validation_rows) else nothing
        chooses = examine(training, stage, job.inner_rows) if len(job.inner_rows) else None
        if chooses is not None and np.isnan(chooses["score"]) and course.done == 0:
            training.runtime.progress.say(
                f"{job.label}: no class has a positive among the {len(job.inner_rows):,} rows that choose, and the "
                "metric is not defined there; the loss chooses in its place"
            )
        losses = [loss, seen["loss"], (chooses or nothing)["loss"]]
        if not np.isfinite([value for value in losses if value is not None]).all():
            last = np.concatenate(epoch_steps(training, stage)[-1])[:, 0]
            raise DivergedError("the network's scores are no longer numbers", last)
        facts = {"phase": stage.number, "epoch": course.done + 1, "lr": stage.optimiser.param_groups[0]["lr"]}
        facts |= {"train_loss": loss, "validation_loss": seen["loss"], "validation_score": _defined(seen["score"])}
        facts |= {"inner_loss": chooses["loss"], "inner_score": _defined(chooses["score"])} if chooses else {}
        seconds, images = pace
        facts |= {
            "rates": epoch_rates(training, stage),
            "skipped": course.skipped,
            "images_per_second": images / seconds,
            "seconds": seconds,
        }
        course.history.append(facts)
        verdict = course.judge(phase, chooses["score"], chooses["loss"]) if chooses else "keep"
        course.next_epoch()
        rewinds = phase.schedule.name == "plateau" and phase.schedule.rewind
        if job.member.keep.last != 1 or rewinds:
            marks: dict[str, Any] = {"cycle": _ends_a_cycle(training, stage)}
            marks |= chooses or nothing
            state = training.network.state_dict() if training.fabric.is_global_zero else None
            keep_candidate(training.workspace, course, job.member.keep, state, marks, rewinds)
    if verdict == "rewind" and rewinds:
        best = best_candidate(training.workspace, course)
        training.runtime.progress.say(f"{job.label}: epoch {course.done}: no gain; back to the best weights")
        if best is not None:
            training.network.load_state_dict(best)
            stage.optimiser.state.clear()
            if stage.average is not None:
                stage.average.load(best)


def _defined(score: float | None) -> float | None:
    """A metric that is not defined, since no class has a positive row, is missing and not NaN in the history."""
    return None if score is None or np.isnan(score) else score


def _ends_a_cycle(training: Training, stage: Stage) -> bool:
    schedule, done = stage.phase.schedule, training.course.epoch
    if schedule.name == "cosine-restarts":
        return done in cycle_ends(schedule, stage.phase.epochs)
    return done == stage.phase.epochs


@contextmanager
def _averaged(training: Training, stage: Stage) -> Iterator[None]:
    """The network has the averaged weights for a while, where there is an average."""
    network, average = training.network, stage.average
    if average is None:
        yield
        return
    own = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(average.tensors())
    try:
        yield
    finally:
        network.load_state_dict(own)


def _go_back(training: Training, stage: Stage, lost: DivergedError) -> None:
    """Return to the newest state on the disk with half the rate, or stop where that is wanted or has not helped."""
    job, phase, halvings = training.job, stage.phase, training.course.halvings
    place = f"epoch {training.course.epoch + 1} of phases.{stage.number}"
    if phase.on_nonfinite != "halve" or halvings >= MOST_HALVINGS:
        rate = f"lower `lr` (it is {phase.lr})" + (" or set `clip`" if phase.clip is None else "")
        raise TrainingError(
            f"{job.label}: {lost.what} in {place}; the images of the step: {listing(lost.rows.tolist(), 8)} (rows of "
            "images.parquet)", remedy=rate,
        )  # fmt: skip
    state = newest_state(training.workspace)
    if state is None:
        raise TrainingError(f"{job.label}: {lost.what} in {place}, and the state before it is gone; run it again")
    training.network.load_state_dict(part_of(state[0], "network."))
    rates, parts = training.course.rates, training.course.parts
    training.course = replace(state[1], halvings=halvings + 1, rates=rates, parts=parts)
    restore(training, stage)
    training.runtime.progress.say(f"{job.label}: {lost.what} in {place}; it goes on from before with half the rate")


def _finish(training: Training, folder: Path, found: dict[str, Any]) -> None:
    """Write what is kept of the training, and what it was like."""
    job, course = training.job, training.course
    network = training.network
    last = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def score(state: dict[str, torch.Tensor]) -> float:
        network.load_state_dict(state)
        marks = examine(training, None, job.inner_rows)
        return selection_score(marks["score"], marks["loss"], job.member.keep.by)

    states, epochs = kept_weights(training.workspace, course, job.member.keep, last, score)
    network.load_state_dict(states[0])
    if not training.fabric.is_global_zero:
        return
    card = job.card(training.specimens.pack) | found | {"epochs": epochs, "rates": course.rates}
    write_parquet(pl.DataFrame(course.history, infer_schema_length=None), folder / "history.parquet")
    for curve in training.workspace.glob("finder-*.parquet"):
        (folder / curve.name).write_bytes(curve.read_bytes())
    save_network(folder, network, card, states[1:])


def _images_to_go(job: FitJob, course: Course, batch: int) -> int:
    total = 0
    for number, phase in enumerate(job.member.phases):
        if number >= course.phase:
            rows = job.epoch_length(number)
            done = course.epoch if number == course.phase else 0
            total += (phase.epochs - done) * (rows - rows % min(batch, rows))
    return total
