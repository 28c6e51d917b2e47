"""Images a second of our whole training step against a bare loop on random tensors, alternating in one run.

Ours reads a memory-mapped pack, warps and jitters each image, clips the gradient and steps the optimiser. The bare loop
has the same network, batch, threads, memory format and optimiser, and one batch of random numbers over and over.

    python bench/train_loop.py [--rounds 9] [--steps 12] [--sizes 64 128] [--backbones efficientnet_lite0 ...]
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import torch
from _common import alternate

from holotype.core.runtime import Runtime
from holotype.data import PixelCache
from holotype.loading import ImageDataset, training_batch
from holotype.networks import build_network
from holotype.recipe.sections import InputSpec, ModelSpec, PhaseSpec
from holotype.training import StepOptions, launch_fabric, train_step
from holotype.training.phases import phase_loss, phase_optimizer
from holotype.types import Normalization

ROWS, CLASSES, BATCH = 2_048, 16, 32


def specimens(folder: Path, size: int) -> ImageDataset:
    """Random 8-bit images in a memory-mapped file."""
    pixels = np.random.Generator(np.random.Philox(1)).integers(0, 256, (ROWS, 1, size, size), dtype=np.uint8)
    np.save(folder / "pixels.npy", pixels)
    truth = np.zeros((ROWS, CLASSES), dtype=bool)
    truth[np.arange(ROWS), np.arange(ROWS) % CLASSES] = True
    return ImageDataset(
        PixelCache(np.load(folder / "pixels.npy", mmap_mode="r"), "fit"), Normalization((127.0,), (74.0,)), truth
    )


def compare(backbone: str, size: int, rounds: int, steps: int, folder: Path) -> None:
    """Print one line: ours, bare, ratio."""
    fed = specimens(folder, size)
    model = ModelSpec(backbone=backbone, weights="none", input=InputSpec(size=size), phases=[PhaseSpec()])
    fabric = launch_fabric(Runtime())

    def set_up() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        network, _ = build_network(model, CLASSES, 1, seed=1)
        network = network.to(memory_format=torch.channels_last)
        return fabric.setup(network, phase_optimizer(model.phases[0], network, 3e-3))

    network, optimiser = set_up()
    loss = phase_loss(model.phases[0], fed.truth, "multiclass", model.head)
    rows = np.arange(BATCH * steps)

    def ours() -> None:
        for step in range(steps):
            chosen = rows[step * BATCH : (step + 1) * BATCH]
            batch = training_batch(fed, chosen, 7, size, model.augment, fabric.device)
            train_step(fabric, network, optimiser, loss, [batch], StepOptions(step, 5.0))

    bare_network, bare_optimiser = set_up()
    pixels = torch.randn(BATCH, 1, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (BATCH,))

    def bare() -> None:
        for _ in range(steps):
            torch.nn.functional.cross_entropy(bare_network(pixels), labels).backward()
            bare_optimiser.step()
            bare_optimiser.zero_grad()

    own, other, ratio = alternate(ours, bare, rounds)
    images = BATCH * steps
    print(
        f"{backbone}, {size:4d} px: ours {images / own:6.1f} images/s, bare loop {images / other:6.1f}, "
        f"ratio {ratio:.3f}",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0", "efficientnet_b1"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for name, side in product(given.backbones, given.sizes):
            compare(name, side, given.rounds, given.steps, Path(place))
