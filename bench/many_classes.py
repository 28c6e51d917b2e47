"""What 32,093 classes cost: a training step against one of 1,000 classes, and scores of 30,000 samples.

The step's seconds are taken in turn in one run, its memory is that of whole processes.

    python bench/many_classes.py [step] [--rounds 7] [--steps 8] [--threads 0]
    python bench/many_classes.py [scores] [--rows 30000]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

CLASSES, FEW, BATCH, SIZE = 32_093, 1_000, 32, 64


def peak() -> float:
    """The largest resident memory of this process so far, in MB (Linux; what `getrusage` says counts its parent's)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def stepper(classes: int, steps: int, threads: int) -> Callable[[], None]:
    """What trains a few steps of a network of so many classes, on random images."""
    import torch

    from holotype.core.progress import Progress
    from holotype.core.runtime import Runtime
    from holotype.data import PixelCache
    from holotype.loading import ImageDataset, training_batch
    from holotype.networks import build_network
    from holotype.recipe.sections import HeadSpec, InputSpec, ModelSpec, PhaseSpec
    from holotype.training import FitJob, StepOptions, launch_fabric
    from holotype.training.phases import phase_loss, phase_optimizer
    from holotype.training.progress import TrainingProgress
    from holotype.training.sampled_softmax import take_step
    from holotype.training.training_state import PhaseState, TrainingState
    from holotype.types import LabelMatrix, Normalization

    rows = BATCH * steps
    draws = np.random.Generator(np.random.Philox(1))
    pixels = draws.integers(0, 256, (rows, 3, SIZE, SIZE), dtype=np.uint8)
    truth = LabelMatrix.from_pairs(np.arange(rows), draws.integers(0, classes, rows), (rows, classes))
    scale = Normalization((127.0,) * 3, (74.0,) * 3)
    fed = ImageDataset(PixelCache(pixels, "fit"), scale, truth)
    model = ModelSpec(weights="none", input=InputSpec(size=SIZE), head=HeadSpec(hidden=512), phases=[PhaseSpec()])
    runtime = Runtime(threads=threads, progress=Progress(quiet=True))
    fabric = launch_fabric(runtime)
    network, _ = build_network(model, classes, 3, seed=1)
    network = network.to(memory_format=torch.channels_last)
    names = tuple(map(str, range(classes)))
    job = FitJob(model, 0, 1, np.arange(rows), np.arange(0), names, "multiclass", None, scale)
    moving, optimiser = fabric.setup(network, phase_optimizer(model.phases[0], network, 3e-3))
    loss = phase_loss(model.phases[0], truth, "multiclass", model.head)
    phase = PhaseState(0, model.phases[0], moving, optimiser, [3e-3], loss)
    zero = torch.zeros(())
    training = TrainingState(job, fed, fabric, network, Path(), runtime, None, TrainingProgress(), zero)

    def work() -> None:
        for step in range(steps):
            chosen = np.arange(step * BATCH, (step + 1) * BATCH)
            batch = training_batch(fed, chosen, 7, SIZE, model.augment, fabric.device)
            take_step(training, phase, [batch], StepOptions(step, 5.0), step)

    return work


def compare_steps(rounds: int, steps: int, threads: int) -> None:
    """Print the ratio of the two steps, and the difference of the memory of two processes that do nothing else."""
    from _common import alternate

    few, many, ratio = alternate(stepper(FEW, steps, threads), stepper(CLASSES, steps, threads), rounds)
    print(
        f"a step of {BATCH} images of {SIZE} px, efficientnet_lite0, hidden 512: {1000 * few / steps:.1f} ms with "
        f"{FEW:,} classes, {1000 * many / steps:.1f} ms with {CLASSES:,}, ratio {ratio:.3f}",
        flush=True,
    )
    used = []
    for classes in (FEW, CLASSES):
        asked = ["memory", "--classes", str(classes), "--steps", str(steps), "--threads", str(threads)]
        told = subprocess.run([sys.executable, __file__, *asked], capture_output=True, text=True, check=True)
        used.append(float(told.stdout))
    print(
        f"peak memory: {used[0]:.0f} MB with {FEW:,} classes, {used[1]:.0f} MB with {CLASSES:,}, "
        f"{used[1] - used[0]:.0f} MB more",
        flush=True,
    )


def score(rows: int, classes: int) -> None:
    """Print what files, choices and metrics of two models' scores take, one step after another."""
    import polars as pl

    from holotype.evaluation import score_nested
    from holotype.postprocessing.decision import CalibrationStep, DecisionContext, DecisionStep
    from holotype.postprocessing.ensemble import EnsembleStep, ModelSelection
    from holotype.postprocessing.submission import write_scores
    from holotype.recipe.sections import CalibrationSpec, WeightedSpec
    from holotype.types import Folds, OofPredictions, SampleTable, concatenate, keep_top_k

    draws = np.random.Generator(np.random.Philox(2))
    numbers = np.sort((classes * draws.random(rows) ** 2).astype(np.int64))[draws.permutation(rows)]  # a long tail
    started = [perf_counter()]

    def told(what: str) -> None:
        print(f"{what}: {perf_counter() - started[0]:.1f} s, peak {peak():.0f} MB", flush=True)
        started[0] = perf_counter()

    models = []
    for strength in (6.0, 5.0):
        parts = []
        for start in range(0, rows, 128):
            logits = draws.standard_normal((min(128, rows - start), classes), dtype=np.float32)
            logits[np.arange(len(logits)), numbers[start : start + 128]] += strength
            parts.append(keep_top_k(logits))
        models.append(concatenate(parts))
    told(f"drawn and condensed batch by batch, two models of {rows:,} x {classes:,}")
    ids = pl.Series("id", [f"s{number}" for number in range(rows)])
    with tempfile.TemporaryDirectory() as folder:
        for place, model in enumerate(models):
            write_scores(Path(folder) / f"{place}.parquet", ids, model)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
    told(f"two files of {size:.0f} MB in all")
    groups = np.arange(rows) // 3
    frame = pl.DataFrame(
        {"sample": ids, "role": ["train"] * rows, "labels": numbers[:, None].tolist(), "group.sheet": groups}
    )
    names = tuple(map(str, range(classes)))
    labels, fold = SampleTable(frame, np.arange(rows), names, "multiclass"), groups % 5
    oof = [OofPredictions(np.arange(rows), model, fold) for model in models]
    pooled = ModelSelection(
        EnsembleStep(WeightedSpec(kind="weighted"), ("one", "two"), "multiclass"), (("mean",), ("mean",))
    )
    chain = [
        pooled,
        CalibrationStep(CalibrationSpec(method="temperature"), "multiclass"),
        DecisionStep(None, DecisionContext(names, "multiclass")),
    ]
    folds = Folds(pl.DataFrame(), fold, 5, (0, 1, 2, 3, 4), independent_groups=groups)
    nested = score_nested(oof, labels, folds, chain, "macro_f1", 1)
    told("weights, temperature and argmax refitted without each of five folds, seven metrics with intervals, classes")
    for name, metric in nested.scorecard.metrics.items():
        fresh = metric.next
        print(
            f"  {name} {metric.value:.4f} ({metric.low:.4f} to {metric.high:.4f}; next {fresh['low']:.4f} to "
            f"{fresh['high']:.4f})"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="all", choices=["all", "step", "memory", "scores"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--classes", type=int, default=CLASSES)
    parser.add_argument("--rows", type=int, default=30_000)
    given = parser.parse_args()
    if given.what in {"all", "step"}:
        compare_steps(given.rounds, given.steps, given.threads)
    if given.what in {"all", "scores"}:
        score(given.rows, given.classes)
    if given.what == "memory":
        stepper(given.classes, given.steps, given.threads)()
        print(peak())
