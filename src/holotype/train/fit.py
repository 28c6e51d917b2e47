"""Training of one member on one fold: phases of epochs, validated by the one inference loop, resumed by epoch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from lightning_fabric import Fabric
from torch import nn

from holotype.decide import decide_plainly
from holotype.errors import TrainingError
from holotype.feed import Specimens, batches, prepared_ahead, shuffled, training_batch
from holotype.losses import prior_logits
from holotype.metrics import log_loss, macro_f1
from holotype.nets import build_network, open_checkpoint, save_network
from holotype.predict import Reading, infer_logits
from holotype.progress import Task
from holotype.runtime import Runtime
from holotype.seeds import derive_seed
from holotype.spec import PhaseSpec, ViewSpec
from holotype.train.device import launch_fabric
from holotype.train.job import FitJob
from holotype.train.optimisers import apply_moment
from holotype.train.phases import freeze, phase_loss, phase_optimiser, steps_per_epoch
from holotype.train.schedules import schedule
from holotype.train.state import load_state, newest_state, save_state
from holotype.train.step import train_step
from holotype.types import Checkpoint

__all__ = ["fit_member"]

PLAIN = ViewSpec(views="none")


@dataclass
class _Training:
    """What moves while a network is trained.

    Args:
        fabric: Device, precision and processes.
        network: As `fabric.setup` gave it.
        history: One entry an epoch.
    """

    fabric: Fabric
    network: nn.Module
    history: list[dict[str, Any]] = field(default_factory=list)


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
        TrainingError: There are no rows to train on, or the loss is no longer a number.
    """
    if len(job.train_rows) == 0:
        raise TrainingError(f"{job.label}: no rows are left to train on; use fewer folds or coarser groups")
    fabric = launch_fabric(runtime)
    network, found = build_network(
        job.member, len(job.classes), specimens.channels, derive_seed(job.seed, job.member.name, job.fold, "weights")
    )
    with torch.no_grad():
        network.head.last.bias.copy_(prior_logits(specimens.truth[job.train_rows], job.kind))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    runtime.progress.say(f"{job.label}: {job.member.backbone} at {job.size} px, weights: {found.words}")
    training = _Training(fabric, network.to(fabric.device))
    _run_phases(job, specimens, training, workspace, runtime)
    card = job.card(specimens.pack) | {"backbone_options": found.options, "weights": found.words}
    pl.DataFrame(training.history).write_parquet(folder / "history.parquet")
    save_network(folder, network, card)
    return open_checkpoint(folder)


def _run_phases(job: FitJob, specimens: Specimens, training: _Training, workspace: Path, runtime: Runtime) -> None:
    workspace.mkdir(parents=True, exist_ok=True)
    state = newest_state(workspace)
    done, epochs = 0, sum(phase.epochs for phase in job.member.phases)
    if state is not None:
        done, training.history = state[1]["done"], state[1]["history"]
        runtime.progress.say(f"{job.label}: resumes after epoch {done} of {epochs}")
    whole = len(job.train_rows) - len(job.train_rows) % min(runtime.batch, len(job.train_rows))
    with runtime.progress.task(f"{job.label}: training", (epochs - done) * whole) as task:
        before = 0
        for number, phase in enumerate(job.member.phases):
            first = max(done - before, 0)  # epochs of this phase that an earlier run did
            before += phase.epochs
            if first < phase.epochs or (state is not None and done == before == epochs):
                optimiser = phase_optimiser(phase, training.network)
                if state is not None:
                    load_state(state[0], training.network, optimiser if first else None)
                    state = None
                _run_phase(job, specimens, training, optimiser, _Place(number, phase, first, workspace, runtime, task))


@dataclass(frozen=True)
class _Place:
    """Where in the recipe, and on which machine, a phase is run."""

    number: int
    phase: PhaseSpec
    first: int
    workspace: Path
    runtime: Runtime
    task: Task


def _run_phase(
    job: FitJob, specimens: Specimens, training: _Training, optimiser: torch.optim.Optimizer, place: _Place
) -> None:
    fabric, bare = training.fabric, training.network
    network, optimiser = fabric.setup(bare, optimiser)
    for epoch in range(place.first, place.phase.epochs):
        freeze(bare, place.phase)
        started = time.perf_counter()
        loss, images = _train_epoch(job, specimens, training, (network, optimiser), place, epoch)
        seconds = time.perf_counter() - started
        found = _validate(job, specimens, bare, fabric.device)
        if not np.isfinite([loss, found["validation_loss"]]).all():
            raise TrainingError(
                f"{job.label}: the loss is no longer a number in epoch {epoch + 1} of phases.{place.number}",
                remedy=f"lower `lr` (it is {place.phase.lr})" + (" or set `clip`" if place.phase.clip is None else ""),
            )
        facts = {"phase": place.number, "epoch": len(training.history) + 1, "lr": optimiser.param_groups[0]["lr"]}
        facts |= {"train_loss": loss, **found}
        training.history.append(facts | {"images_per_second": images / seconds, "seconds": seconds})
        done = {"done": len(training.history), "history": training.history}
        save_state(place.workspace, bare, optimiser, done)


def _train_epoch(
    job: FitJob, specimens: Specimens, training: _Training, moving: tuple[nn.Module, Any], place: _Place, epoch: int
) -> tuple[float, int]:
    """One pass; returns the mean loss and how many images were seen."""
    fabric, phase, runtime = training.fabric, place.phase, place.runtime
    network, optimiser = moving
    key = derive_seed(job.seed, job.member.name, place.number, job.fold, epoch, "augmentation")
    size = job.member.phase_size(place.number)
    order = shuffled(job.train_rows, derive_seed(job.seed, job.member.name, place.number, job.fold, epoch, "order"))
    chosen = list(batches(order, runtime.batch, whole=True))
    steps = steps_per_epoch(len(order), runtime.batch, phase.accumulate)
    prepared = prepared_ahead(
        lambda rows: training_batch(specimens, rows, key, size, job.member.augment, fabric.device),
        chosen,
        runtime.workers,
    )
    loss = phase_loss(phase, specimens.truth[job.train_rows], job.kind)
    total, images = torch.zeros((), device=fabric.device), 0
    for step in range(steps):
        parts = [next(prepared) for _ in chosen[step * phase.accumulate : (step + 1) * phase.accumulate]]
        now = epoch * steps + step
        apply_moment(optimiser.param_groups, schedule(phase.schedule, now, phase.epochs * steps))
        noise = derive_seed(job.seed, job.member.name, place.number, job.fold, now, fabric.global_rank, "noise")
        rows = sum(len(targets) for _, targets in parts)
        total += rows * train_step(fabric, network, optimiser, loss, parts, phase.clip, noise)
        images += rows
        place.task.advance(rows, f"epoch {epoch + 1}/{phase.epochs}")
    return float(total) / images, images


def _validate(job: FitJob, specimens: Specimens, network: nn.Module, device: torch.device) -> dict[str, float]:
    """Loss and score of the fold left out, for the record only: nothing is chosen by it."""
    network.eval()
    reading = Reading(job.size, job.kind, PLAIN)
    logits = infer_logits(network, specimens, job.validation_rows, reading, device)
    truth = specimens.truth[job.validation_rows]
    decided = decide_plainly(logits, job.kind)
    return {
        "validation_loss": log_loss(truth, decided, logits, job.kind),
        "validation_score": macro_f1(truth, decided, logits, job.kind),
    }
