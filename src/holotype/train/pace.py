"""How fast a member learns and predicts on this machine, measured through the very loops that a run goes through."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from holotype.feed import Specimens
from holotype.nets import build_network
from holotype.predict import Reading, infer_logits
from holotype.progress import Progress, Task
from holotype.runtime import Runtime
from holotype.train.course import Course
from holotype.train.device import launch_fabric
from holotype.train.epoch import keep_state, train_epoch
from holotype.train.job import FitJob
from holotype.train.phases import freeze
from holotype.train.stage import open_stage
from holotype.train.training import PLAIN, Training

__all__ = ["Pace", "measure_pace"]

WARM_UP = 2  # steps in which memory is fetched and kernels are chosen
MOST_STEPS = 40
SEEN = 64


@dataclass(frozen=True)
class Pace:
    """Seconds of the parts of a training.

    Args:
        training: Of a training step, an image.
        seeing: Of a prediction, an image and view.
        building: Until a network is ready to train.
        saving: To write down where a training stands.
        words: Where the network's first weights come from.
    """

    training: float
    seeing: float
    building: float
    saving: float
    words: str


def measure_pace(job: FitJob, specimens: Specimens, workspace: Path, runtime: Runtime, seconds: float) -> Pace:
    """Train a few steps and predict a few images; nothing is kept.

    Args:
        job: Member, fold and rows; its first phase is measured.
        specimens: Labels, and pixels of the true form; what they show makes no difference.
        workspace: An empty folder.
        runtime: Device, threads and batch.
        seconds: About how long the steps may take.
    """
    runtime = replace(runtime, progress=Progress(quiet=True), processes=1)
    fabric = launch_fabric(runtime)
    started = time.perf_counter()
    network, found = build_network(job.member, len(job.classes), specimens.channels, job.seed, None, job.levels)
    network = network.to(memory_format=torch.channels_last).to(fabric.device)  # type: ignore[call-overload]
    building = time.perf_counter() - started

    rows = np.resize(job.train_rows, max(len(job.train_rows), runtime.batch))
    short = replace(job, train_rows=rows[: WARM_UP * runtime.batch], external=np.empty(0, bool))
    zero = torch.zeros((), device=fabric.device)
    task = Task("probe", len(rows), "images")
    training = Training(short, specimens, fabric, network, workspace, runtime, task, Course(), zero)
    stage = open_stage(training, 0)
    stage.rates = [0.0] * len(stage.rates)  # the pace is the same, and nothing can diverge
    freeze(network, stage.phase)

    def epoch(steps: int) -> float:
        training.job = replace(short, train_rows=rows[: steps * runtime.batch])
        taken = _seconds(lambda: train_epoch(training, stage))
        seen = max(training.course.images, 1)
        training.course.next_epoch()
        return taken / seen

    pace = epoch(WARM_UP)
    steps = int(seconds / max(pace * runtime.batch, 1e-6))
    if steps > 0:  # else the first ones took longer than all may, and tell enough
        pace = epoch(min(steps, MOST_STEPS))
    saving = _seconds(lambda: keep_state(training, stage))
    network.eval()
    reading = Reading(job.size, job.kind, PLAIN)
    asked = np.resize(rows, SEEN).astype(np.int64)
    infer_logits(network, specimens, asked[: SEEN // 8], reading, fabric.device)
    seeing = _seconds(lambda: infer_logits(network, specimens, asked, reading, fabric.device)) / SEEN
    return Pace(pace, seeing, building, saving, found.words)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
