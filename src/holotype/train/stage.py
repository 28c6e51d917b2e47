"""Opening a phase: its optimiser, its loss, its rate, the features it reuses; and putting a state back into it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from holotype.errors import HolotypeError
from holotype.feed import training_batch
from holotype.predict import Reading, in_precision, infer_logits
from holotype.seeds import derive_seed
from holotype.table_files import read_parquet, write_parquet
from holotype.train.average import MovingAverage
from holotype.train.columns import take_step
from holotype.train.epoch import batch_maker, cut_batches, epoch_steps, fitting_memory
from holotype.train.features import Features, HeadOnly, compute_features
from holotype.train.finder import find_rate
from holotype.train.optimisers import carry_momentum
from holotype.train.phases import freeze, phase_loss, phase_optimiser
from holotype.train.state import load_optimiser, newest_state, part_of
from holotype.train.step import StepRules
from holotype.train.training import PLAIN, Stage, Training
from holotype.types import Integers, dense

__all__ = ["open_stage", "restore"]

FINDER_STEPS = 100
MOST_BYTES = 8e9  # beyond this features would crowd out the images


def open_stage(training: Training, number: int) -> Stage:
    """A phase ready to train, before any state is put back.

    Args:
        training: The network.
        number: Of the phase.
    """
    job, fabric = training.job, training.fabric
    phase = job.member.phases[number]
    rows = job.phase_rows(number)
    loss = phase_loss(phase, training.specimens.truth.rows(rows), job.kind, job.member.head, job.levels)
    freeze(training.network, phase)
    features = _features(training, number)
    moving: nn.Module = training.network if features is None else HeadOnly(training.network)
    optimiser = phase_optimiser(phase, training.network, 1.0)
    wrapped, fabric_optimiser = fabric.setup(moving, optimiser)
    stage = Stage(number, phase, wrapped, fabric_optimiser, [], loss, None, features)
    shares = [float(group["largest_rate"]) for group in optimiser.param_groups]
    rate = _found_rate(training, stage, shares) if phase.lr == "find" else _largest(phase.lr)
    stage.rates = [rate * share for share in shares]
    if phase.ema is not None:
        stage.average = MovingAverage(training.network, phase.ema)
    return stage


def restore(training: Training, stage: Stage) -> None:
    """Put the newest state on the disk into a phase: optimiser, average and what the present epoch has summed up.

    Args:
        training: The network, its own weights put back already.
        stage: The phase at which the course stands.
    """
    state = newest_state(training.workspace)
    if state is None:
        raise HolotypeError(f"the state of {training.job.label} is gone from {training.workspace}")
    tensors, course = state
    begins = course.epoch == 0 and course.step == 0
    stage.optimiser.state.clear()
    if not begins:
        load_optimiser(tensors, _bare(stage.optimiser))
    elif stage.phase.optimizer.carry and stage.number > 0:
        before = phase_optimiser(training.job.member.phases[stage.number - 1], training.network, 1.0)
        load_optimiser(tensors, before)
        freeze(training.network, stage.phase)
        carried = carry_momentum(before, _bare(stage.optimiser))
        training.runtime.progress.say(f"{training.job.label}: the momentum of {carried} tensors is carried over")
    if stage.average is not None:
        average = part_of(tensors, "average.")
        stage.average.load(average if average and not begins else training.network.state_dict())
    training.loss_sum = tensors["loss_sum"].to(training.fabric.device)
    scaler = {name: value.item() for name, value in part_of(tensors, "scaler.").items()}
    if scaler:
        training.fabric.strategy.precision.load_state_dict(scaler)


def _bare(optimiser: Optimizer) -> Optimizer:
    """The optimiser inside Fabric's."""
    return getattr(optimiser, "optimizer", optimiser)


def _largest(rate: float | str | dict[int, float]) -> float:
    return max(rate.values()) if isinstance(rate, dict) else float(rate)


def _found_rate(training: Training, stage: Stage, shares: list[float]) -> float:
    """The rate that a sweep recommends; what it decided is a part of the course, which a resumed run reads."""
    course, key = training.course, str(stage.number)
    written = training.workspace / f"finder-{stage.number}.parquet"
    if written.is_file():
        course.rates[key] = float(read_parquet(written)["chosen"][0])
        return course.rates[key]
    own = {name: tensor.clone() for name, tensor in training.network.state_dict().items()}
    steps = epoch_steps(training, stage)
    make, count = batch_maker(training, stage), [0]

    def step(rate: float) -> float:
        for group, share in zip(stage.optimiser.param_groups, shares, strict=True):
            group["lr"] = rate * share
        number = count[0]
        count[0] += 1
        job, batches = training.job, steps[number % len(steps)]
        noise = derive_seed(job.seed, job.seed_name, stage.number, job.fold, number, "find")
        rows = sum(len(batch) for batch in batches) * training.fabric.world_size  # all processes see the same
        rules = StepRules(noise, stage.phase.clip, rows)

        def work() -> float:
            parts = [make(piece) for piece in cut_batches(batches, course.parts)]
            return float(take_step(training, stage, parts, rules, derive_seed(noise, "classes")))

        loss = None
        while loss is None:
            loss = fitting_memory(training, stage, batches, work)
        return loss

    curve = find_rate(step, steps=FINDER_STEPS)
    training.network.load_state_dict(own)
    stage.optimiser.state.clear()
    frame = pl.DataFrame({"rate": curve.rates, "loss": curve.losses, "smoothed": curve.smoothed})
    if training.fabric.is_global_zero:
        write_parquet(frame.with_columns(pl.lit(curve.chosen).alias("chosen")), written)
    training.runtime.progress.say(f"{training.job.label}: {curve.words}")
    course.rates[key] = curve.chosen
    return curve.chosen


def _features(training: Training, number: int) -> Features | None:
    """The features of a frozen backbone, where the phase sees the same pictures again and again."""
    job, specimens, device, network = training.job, training.specimens, training.fabric.device, training.network
    phase, rows, size = job.member.phases[number], job.phase_rows(number), job.member.phase_size(number)
    pool = network.head.pool  # type: ignore[union-attr]
    pool_learns = isinstance(pool, nn.Module) and any(True for _ in pool.parameters())
    if phase.freeze != "backbone" or phase.draws is None or pool_learns or job.member.augment.mix is not None:
        return None
    if phase.draws * len(rows) * network.head.width * 4 > MOST_BYTES:  # type: ignore[union-attr,operator]
        return None
    keys = [derive_seed(job.seed, job.seed_name, number, job.fold, draw, "augmentation") for draw in range(phase.draws)]

    def drawing(key: int) -> Callable[[Integers], Tensor]:
        return lambda part: training_batch(specimens, part, key, size, job.member.augment, device)[0]

    pooled: Callable[[Tensor], Tensor] = network.pooled  # type: ignore[assignment]
    others = np.union1d(job.validation_rows, job.inner_rows).astype(np.int64)
    network.eval()
    pooled = in_precision(pooled, training.runtime.precision, device)
    label = f"{job.label}: features of the frozen backbone"
    with training.runtime.progress.task(label, len(keys) * len(rows) + len(others)) as task:
        seen = infer_logits(pooled, specimens, others, Reading(job.size, "multilabel", PLAIN), device, task)
        plain = dense(seen, "a frozen backbone's features")
        counts = (rows, others, len(specimens.truth))
        return compute_features(pooled, [drawing(key) for key in keys], counts, plain, device, task.advance)
