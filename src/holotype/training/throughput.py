"""Throughput of a model on this machine, measured with the loops of a real run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from holotype.core.progress import Progress, Task
from holotype.core.runtime import Runtime
from holotype.loading import ImageDataset
from holotype.networks import build_network
from holotype.prediction import InferenceOptions, infer_logits
from holotype.training.device import launch_fabric
from holotype.training.epoch import keep_state, train_epoch
from holotype.training.job import FitJob
from holotype.training.phase_state import start_phase
from holotype.training.phases import freeze
from holotype.training.progress import TrainingProgress
from holotype.training.training_state import IDENTITY_VIEW, TrainingState

WARMUP_STEPS = 2  # steps that allocate memory and choose kernels
MAX_STEPS = 40
INFERENCE_IMAGES = 64


@dataclass(frozen=True)
class Throughput:
    """Seconds of the parts of a training.

    Args:
        training: Per image of a training step.
        inference: Per image and view.
        building: To build a network.
        saving: To save the training state.
    """

    training: float
    inference: float
    building: float
    saving: float
    weights_description: str


def measure_throughput(
    job: FitJob, dataset: ImageDataset, workspace: Path, runtime: Runtime, seconds: float
) -> Throughput:
    """Measure throughput with a few training steps and predictions; nothing is kept.

    `dataset`: with pixels of the true shape; their values do not matter; `seconds`: approximate duration of the
    training steps.
    """
    runtime = replace(runtime, progress=Progress(quiet=True), processes=1)
    fabric = launch_fabric(runtime)
    started = time.perf_counter()
    network, pretrained = build_network(job.model, len(job.classes), dataset.channels, job.seed, None, job.rank_heads)
    network = network.to(memory_format=torch.channels_last).to(fabric.device)  # type: ignore[call-overload]
    building = time.perf_counter() - started

    rows = np.resize(job.train_rows, max(len(job.train_rows), runtime.batch))
    short_job = replace(job, train_rows=rows[: WARMUP_STEPS * runtime.batch], external=np.empty(0, bool))
    zero = torch.zeros((), device=fabric.device)
    task = Task("probe", len(rows), "images")
    training = TrainingState(short_job, dataset, fabric, network, workspace, runtime, task, TrainingProgress(), zero)
    phase_state = start_phase(training, 0)
    phase_state.rates = [0.0] * len(phase_state.rates)  # as fast as training, and cannot diverge
    freeze(network, phase_state.phase)

    def epoch(steps: int) -> float:
        training.job = replace(short_job, train_rows=rows[: steps * runtime.batch])
        elapsed = _measure_seconds(lambda: train_epoch(training, phase_state))
        image_count = max(training.progress.images, 1)
        training.progress.next_epoch()
        return elapsed / image_count

    seconds_per_image = epoch(WARMUP_STEPS)
    steps = int(seconds / max(seconds_per_image * runtime.batch, 1e-6))
    if steps > 0:  # else the warm-up alone took the time, and is the measure
        seconds_per_image = epoch(min(steps, MAX_STEPS))
    saving = _measure_seconds(lambda: keep_state(training, phase_state))
    network.eval()
    options = InferenceOptions(job.size, job.kind, IDENTITY_VIEW)
    inference_rows = np.resize(rows, INFERENCE_IMAGES).astype(np.int64)
    infer_logits(network, dataset, inference_rows[: INFERENCE_IMAGES // 8], options, fabric.device)
    inference = _measure_seconds(lambda: infer_logits(network, dataset, inference_rows, options, fabric.device))
    inference /= INFERENCE_IMAGES
    return Throughput(seconds_per_image, inference, building, saving, pretrained.description)


def _measure_seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
