"""Phase setup: optimizer, loss, learning rate and cached features; and restoring a saved state."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import polars as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from holotype.core.errors import HolotypeError
from holotype.core.seeds import derive_seed
from holotype.core.table_files import read_parquet, write_parquet
from holotype.loading import training_batch
from holotype.prediction import InferenceOptions, in_precision, infer_logits
from holotype.training.epoch import batch_maker, cut_batches, epoch_steps, run_within_memory
from holotype.training.features import Features, HeadOnly, compute_features
from holotype.training.lr_finder import find_rate
from holotype.training.optimizers import carry_momentum
from holotype.training.phases import freeze, phase_loss, phase_optimizer
from holotype.training.sampled_softmax import take_step
from holotype.training.state import load_optimizer, newest_state, strip_prefix
from holotype.training.step import StepOptions
from holotype.training.training_state import IDENTITY_VIEW, PhaseState, TrainingState
from holotype.training.weight_averaging import MovingAverage
from holotype.types import Integers, to_dense

FINDER_STEPS = 100
MAX_BYTES = 8e9  # larger features would leave too little memory for the images


def start_phase(training: TrainingState, number: int) -> PhaseState:
    """Set up a phase for training, before any saved state is restored."""
    job, fabric = training.job, training.fabric
    phase = job.model.phases[number]
    rows = job.phase_rows(number)
    loss = phase_loss(phase, training.dataset.truth.rows(rows), job.kind, job.model.head, job.rank_heads)
    freeze(training.network, phase)
    features = _backbone_features(training, number)
    trainable: nn.Module = training.network if features is None else HeadOnly(training.network)
    optimizer = phase_optimizer(phase, training.network, 1.0)
    wrapped_network, wrapped_optimizer = fabric.setup(trainable, optimizer)
    phase_state = PhaseState(number, phase, wrapped_network, wrapped_optimizer, [], loss, None, features)
    shares = [float(group["largest_rate"]) for group in optimizer.param_groups]
    if phase.lr == "find":
        rate = _find_phase_rate(training, phase_state, shares)
    else:
        rate = max(phase.lr.values()) if isinstance(phase.lr, dict) else float(phase.lr)
    phase_state.rates = [rate * share for share in shares]
    if phase.ema is not None:
        phase_state.average = MovingAverage(training.network, phase.ema)
    return phase_state


def restore_phase(training: TrainingState, phase_state: PhaseState) -> None:
    """Restore the newest saved optimizer, moving average and epoch sums; the network's weights are restored before."""
    state = newest_state(training.workspace)
    if state is None:
        raise HolotypeError(f"{training.job.label}: the saved state is missing from {training.workspace}; run it again")
    tensors, progress = state
    at_start = progress.epoch == 0 and progress.step == 0
    phase_state.optimizer.state.clear()
    if not at_start:
        load_optimizer(tensors, _base_optimizer(phase_state.optimizer))
    elif phase_state.phase.optimizer.carry_state and phase_state.number > 0:
        previous_optimizer = phase_optimizer(training.job.model.phases[phase_state.number - 1], training.network, 1.0)
        load_optimizer(tensors, previous_optimizer)
        freeze(training.network, phase_state.phase)
        carried = carry_momentum(previous_optimizer, _base_optimizer(phase_state.optimizer))
        training.runtime.progress.info(
            f"{training.job.label}: the momentum of {carried} tensors is kept from the previous phase"
        )
    if phase_state.average is not None:
        average = strip_prefix(tensors, "average.")
        phase_state.average.load(average if average and not at_start else training.network.state_dict())
    training.loss_sum = tensors["loss_sum"].to(training.fabric.device)
    scaler = {name: value.item() for name, value in strip_prefix(tensors, "scaler.").items()}
    if scaler:
        training.fabric.strategy.precision.load_state_dict(scaler)


def _base_optimizer(optimizer: Optimizer) -> Optimizer:
    return getattr(optimizer, "optimizer", optimizer)


def _find_phase_rate(training: TrainingState, phase_state: PhaseState, shares: list[float]) -> float:
    progress, key = training.progress, str(phase_state.number)
    path = training.workspace / f"finder-{phase_state.number}.parquet"
    if path.is_file():
        progress.rates[key] = float(read_parquet(path)["suggestion"][0])
        return progress.rates[key]
    original_state = {name: tensor.clone() for name, tensor in training.network.state_dict().items()}
    steps = epoch_steps(training, phase_state)
    make, numbers = batch_maker(training, phase_state), itertools.count()

    def step(rate: float) -> float:
        for group, share in zip(phase_state.optimizer.param_groups, shares, strict=True):
            group["lr"] = rate * share
        number = next(numbers)
        job, batches = training.job, steps[number % len(steps)]
        noise = job.derive_key(phase_state.number, number, "find")
        rows = sum(len(batch) for batch in batches) * training.fabric.world_size  # every process takes all rows
        options = StepOptions(noise, phase_state.phase.clip, rows)

        def work() -> float:
            micro_batches = [make(piece) for piece in cut_batches(batches, progress.parts)]
            return float(take_step(training, phase_state, micro_batches, options, derive_seed(noise, "classes")))

        loss = None
        while loss is None:
            loss = run_within_memory(training, phase_state, batches, work)
        return loss

    curve = find_rate(step, steps=FINDER_STEPS)
    training.network.load_state_dict(original_state)
    phase_state.optimizer.state.clear()
    frame = pl.DataFrame({"rate": curve.rates, "loss": curve.losses, "smoothed": curve.smoothed})
    if training.fabric.is_global_zero:
        write_parquet(frame.with_columns(pl.lit(curve.suggestion).alias("suggestion")), path)
    training.runtime.progress.info(f"{training.job.label}: {curve.description}")
    progress.rates[key] = curve.suggestion
    return curve.suggestion


def _backbone_features(training: TrainingState, number: int) -> Features | None:
    job, dataset, device, network = training.job, training.dataset, training.fabric.device, training.network
    phase, rows, size = job.model.phases[number], job.phase_rows(number), job.model.phase_size(number)
    pool = network.head.pool  # type: ignore[union-attr]
    pool_learns = isinstance(pool, nn.Module) and any(True for _ in pool.parameters())
    if phase.freeze != "backbone" or phase.augmentation_draws is None:
        return None
    if pool_learns or job.model.augment.mix is not None:
        return None
    if phase.augmentation_draws * len(rows) * network.head.width * 4 > MAX_BYTES:  # type: ignore[union-attr,operator]
        return None
    keys = [job.derive_key(number, draw, "augmentation") for draw in range(phase.augmentation_draws)]

    def batch_function(key: int) -> Callable[[Integers], Tensor]:
        return lambda part: training_batch(dataset, part, key, size, job.model.augment, device)[0]

    pooled: Callable[[Tensor], Tensor] = network.pooled  # type: ignore[assignment]
    others = np.union1d(job.validation_rows, job.inner_rows).astype(np.int64)
    network.eval()
    pooled = in_precision(pooled, training.runtime.precision, device)
    label = f"{job.label}: features of the frozen backbone"
    with training.runtime.progress.task(label, len(keys) * len(rows) + len(others)) as task:
        scores = infer_logits(
            pooled, dataset, others, InferenceOptions(job.size, "multilabel", IDENTITY_VIEW), device, task
        )
        unaugmented = to_dense(scores, "a frozen backbone's features")
        return compute_features(
            pooled,
            [batch_function(key) for key in keys],
            unaugmented,
            device,
            task.advance,
            training_rows=rows,
            others=others,
            row_count=len(dataset.truth),
        )
