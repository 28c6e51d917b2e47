"""The pack against what it replaces: decoding files, and holding everything in memory.

    python bench/pack.py

Four-channel images of 512 pixels a side, one PNG a channel; a pack of 2 GB read at random; batches for training from
the pack and from memory. Every comparison alternates within the run.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from _common import alternate

from holotype.data import PixelCache, read_image
from holotype.loading import ImageDataset, batches, training_batch
from holotype.recipe.sections import AugmentSpec
from holotype.simulate.cells import SimulationPlan, simulate_cells
from holotype.types import Normalization

CHANNELS = ["microtubules", "nucleus", "reticulum", "protein"]
SIDE, FILES = 512, 24


def anonymous_memory() -> float:
    """Resident anonymous memory of this process, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("RssAnon"))


def against_decoding(place: Path) -> None:
    made = simulate_cells(place, SimulationPlan(train=FILES, test=0, size=SIDE, plates=4, duplicates=0.0))
    names = made.truth["id"].to_list()
    files = [[made.folder / "images" / f"{name}_{channel}.png" for channel in CHANNELS] for name in names]
    first = np.stack([read_image(one) for one in files])
    np.save(place / "pixels.npy", first)
    pixels = np.load(place / "pixels.npy", mmap_mode="r")
    order = np.random.default_rng(1).permutation(len(files))
    ours, theirs, ratio = alternate(
        lambda: [np.ascontiguousarray(pixels[[row]]) for row in order],
        lambda: [read_image(files[row]) for row in order],
        7,
    )
    print(
        f"one image of {SIDE}x{SIDE}, 4 channels: {1e3 * theirs / len(files):.2f} ms decoded, "
        f"{1e3 * ours / len(files):.3f} ms from the pack: {ratio:.1f} times faster"
    )


def random_reads(place: Path, size: float) -> None:
    count = int(size * 1e9 / (4 * 256 * 256))
    pixels = np.lib.format.open_memmap(place / "large.npy", mode="w+", dtype=np.uint8, shape=(count, 4, 256, 256))
    generator = np.random.default_rng(2)
    for start in range(0, count, 512):
        part = pixels[start : start + 512]
        part[:] = generator.integers(0, 256, part.shape, dtype=np.uint8)
    pixels.flush()
    del pixels
    pack = PixelCache(np.load(place / "large.npy", mmap_mode="r"), "fit")
    specimens = ImageDataset(pack, Normalization((100.0,) * 4, (50.0,) * 4), np.zeros((count, 2), bool))
    most = anonymous_memory()
    for rows in batches(generator.permutation(count), 32, drop_last=True):
        training_batch(specimens, rows, 1, 64, AugmentSpec(), torch.device("cpu"))
        most = max(most, anonymous_memory())
    (place / "large.npy").unlink()
    print(f"a pack of {size:.0f} GB read at random in batches of 32: anonymous memory at most {most:.0f} MB")


def against_memory(place: Path) -> None:
    generator = np.random.default_rng(3)
    held = generator.integers(0, 65_536, (4_096, 3, 96, 96)).astype(np.uint16)
    np.save(place / "small.npy", held)
    scale, truth = Normalization((3e4,) * 3, (2e4,) * 3), np.zeros((len(held), 2), bool)
    packs = [PixelCache(np.load(place / "small.npy", mmap_mode="r"), "fit"), PixelCache(held, "fit")]
    both = [ImageDataset(pack, scale, truth) for pack in packs]
    order = generator.permutation(len(held))[:1_024]

    def epoch(specimens: ImageDataset) -> None:
        for rows in batches(order, 32, drop_last=True):
            training_batch(specimens, rows, 1, 96, AugmentSpec(), torch.device("cpu"))

    ours, theirs, ratio = alternate(lambda: epoch(both[0]), lambda: epoch(both[1]), 9)
    print(
        f"batches for training: {len(order) / ours:.0f} images/s from the pack, {len(order) / theirs:.0f} from memory: "
        f"{ratio:.3f} of the speed"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as place:
        against_decoding(Path(place))
        against_memory(Path(place))
        random_reads(Path(place), parser.parse_args().gigabytes)


if __name__ == "__main__":
    main()
