"""Training of one model on one fold: phases and epochs, validation, checkpoints, and resuming."""

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

from holotype.core.errors import TrainingError, join_names
from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.core.seeds import derive_seed
from holotype.core.stop import StopRequested, deferred_stop
from holotype.core.table_files import write_parquet
from holotype.loading import ImageDataset, describe_out_of_memory, is_out_of_memory
from holotype.losses import prior_logits
from holotype.networks import architecture_of, build_network, load_network, open_checkpoint, save_network
from holotype.training.checkpoint_selection import best_candidate, save_candidate, select_weights
from holotype.training.device import launch_fabric, prepare_process
from holotype.training.epoch import MEMORY_REMEDY, DivergedError, epoch_rates, epoch_steps, keep_state, train_epoch
from holotype.training.halt import TrainingPaused, stop_training_if_requested
from holotype.training.job import FitJob
from holotype.training.phase_state import restore_phase, start_phase
from holotype.training.phases import freeze
from holotype.training.plateau import selection_score
from holotype.training.progress import TrainingProgress
from holotype.training.sampled_softmax import classes_per_step
from holotype.training.schedules import cycle_ends
from holotype.training.state import newest_state, strip_prefix
from holotype.training.training_state import PhaseState, TrainingState, evaluate
from holotype.types import Checkpoint

__all__ = ["fit_model"]

MAX_HALVINGS = 5  # if 1/32 of the rate still diverges, the rate is not the cause


def fit_model(job: FitJob, dataset: ImageDataset, folder: Path, workspace: Path, runtime: Runtime) -> Checkpoint:
    """Train one network, or resume its training.

    Args:
        folder: Receives the finished checkpoint.
        workspace: Holds the state of unfinished training between calls.

    Raises:
        TrainingError: There are no training rows, the loss diverged, or memory is short.
        TrainingPaused: The runtime stops the training before its end.
    """
    if any(job.epoch_length(number) == 0 for number in range(len(job.model.phases))):
        raise TrainingError(f"{job.label}: no rows are left to train on; use fewer folds or coarser groups")
    fabric = launch_fabric(runtime)
    try:
        if runtime.processes > 1:
            with _release_master_port():
                _reraise(fabric.launch(_ProcessWorker(job, dataset, folder, workspace, runtime)))
        else:
            _train(fabric, job, dataset, folder, workspace, runtime)
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"{job.label}: out of memory ({describe_out_of_memory(error)})", remedy=MEMORY_REMEDY
        ) from error
    return open_checkpoint(folder)


class _ProcessWorker:
    """Work of one of several processes; an object, because Lightning unpacks the arguments of functions."""

    def __init__(self, job: FitJob, dataset: ImageDataset, folder: Path, workspace: Path, runtime: Runtime) -> None:
        self.arguments = (job, dataset, folder, workspace)
        self.runtime = runtime

    def __call__(self, fabric: Fabric) -> dict[str, Any] | None:
        """Train, and return errors common to all processes as data, because exceptions would come back as text."""
        prepare_process(self.runtime)
        is_main = fabric.is_global_zero
        local_runtime = self.runtime if is_main else replace(self.runtime, progress=Progress(quiet=True))
        try:
            _train(fabric, *self.arguments, local_runtime)
        except TrainingPaused as halted:
            return {"what": halted.what, "history": halted.history}
        except TrainingError as error:
            return {"what": error.what, "field": error.field, "remedy": error.remedy}
        return None


@contextmanager
def _release_master_port() -> Iterator[None]:
    """Forget the port of a launch: Lightning would reuse it when another program may have it."""
    port = os.environ.get("MASTER_PORT")
    try:
        yield
    finally:
        if port is None:
            os.environ.pop("MASTER_PORT", None)


def _reraise(failure: dict[str, Any] | None) -> None:
    if failure is not None and "history" in failure:
        raise TrainingPaused(**failure)
    if failure is not None:
        raise TrainingError(failure.pop("what"), **failure)


def _train(fabric: Fabric, job: FitJob, dataset: ImageDataset, folder: Path, workspace: Path, runtime: Runtime) -> None:
    seed = derive_seed(job.seed, job.seed_name, job.fold, "weights")
    network, pretrained = build_network(job.model, len(job.classes), dataset.channels, seed, job.fold, job.rank_heads)
    if job.init_checkpoint is not None:
        network.load_state_dict(load_network(open_checkpoint(job.init_checkpoint)).state_dict())
        pretrained = replace(pretrained, description="of the overall model", loading="")
    elif isinstance(network.head.last, torch.nn.Linear):  # a cosine head has no bias for the class priors
        with torch.no_grad():
            network.head.last.bias.copy_(prior_logits(dataset.truth.rows(job.train_rows), job.kind))
    network = network.to(memory_format=torch.channels_last).to(fabric.device)  # type: ignore[call-overload]
    backbone = architecture_of(job.model.backbone)
    loading = f" ({pretrained.loading})" if pretrained.loading else ""
    loading += ", pixels normalized as in pretraining" if job.model.input.normalize == "weights" else ""
    runtime.progress.info(f"{job.label}: {backbone} at {job.size} px, weights: {pretrained.description}{loading}")
    sampled_class_count = classes_per_step(job.model.head, len(job.classes), fabric.world_size)
    if sampled_class_count is not None:
        runtime.progress.info(
            f"{job.label}: each step samples {sampled_class_count:,} of {len(job.classes):,} classes (all of its batch)"
        )
    workspace.mkdir(parents=True, exist_ok=True)
    state = newest_state(workspace)
    fabric.barrier()  # all processes have read the state before one writes
    progress = TrainingProgress() if state is None else state[1]
    if state is not None and progress.position > (0, 0, 0):
        epochs = sum(phase.epochs for phase in job.model.phases)
        runtime.progress.info(f"{job.label}: resumes after epoch {progress.done} of {epochs}")
    with runtime.progress.task(f"{job.label}: training", _remaining_images(job, progress, runtime.batch)) as task:
        zero = torch.zeros((), device=fabric.device)
        training = TrainingState(job, dataset, fabric, network, workspace, runtime, task, progress, zero)
        if state is None:
            keep_state(training, None)
        else:
            network.load_state_dict(strip_prefix(state[0], "network."))
        with deferred_stop():
            while training.progress.phase < len(job.model.phases):
                _run_phase(training)
    facts = pretrained.card_facts | {"normalization": dataset.normalization.as_facts()}
    _save_finished(training, folder, facts)


def _run_phase(training: TrainingState) -> None:
    phase_state = start_phase(training, training.progress.phase)
    restore_phase(training, phase_state)
    while not _is_over(training, phase_state):
        stop_training_if_requested(training)
        freeze(training.network, phase_state.phase)
        started, before = time.perf_counter(), training.progress.images
        try:
            loss = train_epoch(training, phase_state)
            seconds = time.perf_counter() - started
            _record_epoch(training, phase_state, loss, seconds, training.progress.images - before)
        except DivergedError as error:
            _restore_with_half_rate(training, phase_state, error)
            continue
        except StopRequested:
            keep_state(training, phase_state)  # also from within an evaluation, after the steps of the epoch
            raise
        keep_state(training, phase_state)
    if phase_state.average is not None:
        training.network.load_state_dict(phase_state.average.tensors())
    pace = training.progress.pace
    if pace is not None and pace.taken != pace.planned:
        epochs = pace.taken * phase_state.phase.epochs / pace.planned
        training.runtime.progress.info(
            f"{training.job.label}: {epochs:.1f} epochs instead of {phase_state.phase.epochs}, to end in time"
        )
    training.progress.next_phase()
    keep_state(training, phase_state)


def _is_over(training: TrainingState, phase_state: PhaseState) -> bool:
    progress = training.progress
    is_complete = progress.epoch >= phase_state.phase.epochs if progress.pace is None else progress.pace.is_finished
    return is_complete or progress.stop.stopped or progress.plateau.stopped


def _record_epoch(training: TrainingState, phase_state: PhaseState, loss: float, seconds: float, images: int) -> None:
    """Evaluate the network, record the epoch, and act on the verdict of the plateau."""
    job, progress, phase = training.job, training.progress, phase_state.phase
    with _averaged_weights(training, phase_state):
        no_metrics: dict[str, Any] = {"loss": None, "score": None}
        validation_metrics = (
            evaluate(training, phase_state, job.validation_rows) if len(job.validation_rows) else no_metrics
        )
        inner_metrics = evaluate(training, phase_state, job.inner_rows) if len(job.inner_rows) else None
        if inner_metrics is not None and np.isnan(inner_metrics["score"]) and progress.done == 0:
            training.runtime.progress.info(
                f"{job.label}: no class has a positive among the {len(job.inner_rows):,} selection rows, so the "
                "metric is undefined there; the loss is used instead"
            )
        losses = [loss, validation_metrics["loss"], (inner_metrics or no_metrics)["loss"]]
        if not np.isfinite([value for value in losses if value is not None]).all():
            last = np.concatenate(epoch_steps(training, phase_state)[-1])[:, 0]
            raise DivergedError("the network's scores are NaN or infinite", last)
        record = {
            "phase": phase_state.number,
            "epoch": progress.done + 1,
            "lr": phase_state.optimizer.param_groups[0]["lr"],
            "train_loss": loss,
            "validation_loss": validation_metrics["loss"],
            "validation_score": _nan_to_none(validation_metrics["score"]),
        }
        if inner_metrics:
            record |= {"inner_loss": inner_metrics["loss"], "inner_score": _nan_to_none(inner_metrics["score"])}
        record |= {
            "rates": epoch_rates(training, phase_state),
            "skipped": progress.skipped,
            "images_per_second": images / seconds,
            "seconds": seconds,
        }
        if progress.pace is not None:
            record |= {"steps": progress.step, "schedule_position": progress.pace.position}
        progress.history.append(record)
        verdict = "keep"
        if inner_metrics:
            verdict = progress.update_plateau(phase, inner_metrics["score"], inner_metrics["loss"])
        progress.next_epoch()
        rewinds = phase.schedule.name == "plateau" and phase.schedule.rewind
        if job.model.checkpoints.last != 1 or rewinds:
            candidate_info: dict[str, Any] = {"cycle": _ends_a_cycle(training, phase_state)}
            candidate_info |= inner_metrics or no_metrics
            state = training.network.state_dict() if training.fabric.is_global_zero else None
            save_candidate(training.workspace, progress, job.model.checkpoints, state, candidate_info, rewinds)
    if verdict == "rewind" and rewinds:
        best = best_candidate(training.workspace, progress)
        training.runtime.progress.info(
            f"{job.label}: epoch {progress.done}: no improvement; the best weights are restored"
        )
        if best is not None:
            training.network.load_state_dict(best)
            phase_state.optimizer.state.clear()
            if phase_state.average is not None:
                phase_state.average.load(best)


def _nan_to_none(score: float | None) -> float | None:
    """Undefined metrics (no class has a positive row) are missing in the history, not NaN."""
    return None if score is None or np.isnan(score) else score


def _ends_a_cycle(training: TrainingState, phase_state: PhaseState) -> bool:
    schedule, done = phase_state.phase.schedule, training.progress.epoch
    if schedule.name == "cosine-restarts":
        return done in cycle_ends(schedule, phase_state.phase.epochs)
    return training.progress.is_out_of_time or done == phase_state.phase.epochs


@contextmanager
def _averaged_weights(training: TrainingState, phase_state: PhaseState) -> Iterator[None]:
    """Give the network the averaged weights for a while, if there is an average."""
    network, average = training.network, phase_state.average
    if average is None:
        yield
        return
    original_state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(average.tensors())
    try:
        yield
    finally:
        network.load_state_dict(original_state)


def _restore_with_half_rate(training: TrainingState, phase_state: PhaseState, error: DivergedError) -> None:
    """Return to the newest saved state with half the learning rate, or stop if that is not wanted or has not helped."""
    job, phase, halvings = training.job, phase_state.phase, training.progress.halvings
    location = f"epoch {training.progress.epoch + 1} of phases.{phase_state.number}"
    if phase.on_nonfinite != "halve" or halvings >= MAX_HALVINGS:
        remedy = f"lower `lr` (it is {phase.lr})" + (" or set `clip`" if phase.clip is None else "")
        raise TrainingError(
            f"{job.label}: {error.what} in {location}; images of the step: {join_names(error.rows.tolist(), 8)} "
            "(rows of images.parquet)",
            remedy=remedy,
        )
    state = newest_state(training.workspace)
    if state is None:
        raise TrainingError(
            f"{job.label}: {error.what} in {location}, and the state saved before is missing; run it again"
        )
    training.network.load_state_dict(strip_prefix(state[0], "network."))
    rates, parts = training.progress.rates, training.progress.parts
    training.progress = replace(state[1], halvings=halvings + 1, rates=rates, parts=parts)
    restore_phase(training, phase_state)
    training.runtime.progress.info(
        f"{job.label}: {error.what} in {location}; training continues from the last saved state with half the rate"
    )


def _save_finished(training: TrainingState, folder: Path, metadata: dict[str, Any]) -> None:
    """Write the selected weights, the card, the history and the curves of the rate finder."""
    job, progress = training.job, training.progress
    network = training.network
    last = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def score(state: dict[str, torch.Tensor]) -> float:
        network.load_state_dict(state)
        metrics = evaluate(training, None, job.inner_rows)
        return selection_score(metrics["score"], metrics["loss"], job.model.checkpoints.metric)

    states, epochs = select_weights(training.workspace, progress, job.model.checkpoints, last, score)
    network.load_state_dict(states[0])
    if not training.fabric.is_global_zero:
        return
    card = job.card(training.dataset.pixel_cache) | metadata | {"epochs": epochs, "rates": progress.rates}
    write_parquet(pl.DataFrame(progress.history, infer_schema_length=None), folder / "history.parquet")
    for curve in training.workspace.glob("finder-*.parquet"):
        (folder / curve.name).write_bytes(curve.read_bytes())
    save_network(folder, network, card, states[1:])


def _remaining_images(job: FitJob, progress: TrainingProgress, batch: int) -> int:
    total = 0
    for number, phase in enumerate(job.model.phases):
        if number >= progress.phase:
            rows = job.epoch_length(number)
            done = progress.epoch if number == progress.phase else 0
            total += (phase.epochs - done) * (rows - rows % min(batch, rows))
    return total
