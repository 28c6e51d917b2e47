"""What views cost, and how near prediction comes to a bare forward loop, alternating in one run.

python bench/predict.py [--rounds 7] [--size 64]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from _common import alternate

from holotype.core.runtime import Runtime
from holotype.data import PixelCache
from holotype.loading import ImageDataset
from holotype.networks import build_network
from holotype.prediction import InferenceOptions, infer_logits
from holotype.recipe.sections import InputSpec, ModelSpec, PredictSpec
from holotype.training import launch_fabric
from holotype.types import Normalization

ROWS, CLASSES, BATCH = 1_024, 16, 128

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=64)
    given = parser.parse_args()
    size = given.size
    model = ModelSpec(weights="none", input=InputSpec(size=size))
    device = launch_fabric(Runtime()).device
    network = build_network(model, CLASSES, 1, seed=1)[0].to(memory_format=torch.channels_last).eval()
    with TemporaryDirectory() as place:
        pixels = np.random.default_rng(1).integers(0, 256, (ROWS, 1, size, size), dtype=np.uint8)
        np.save(Path(place) / "pixels.npy", pixels)
        pack = PixelCache(np.load(Path(place) / "pixels.npy", mmap_mode="r"), "fit")
        specimens = ImageDataset(pack, Normalization((127.0,), (74.0,)), np.zeros((ROWS, CLASSES), bool))
        rows = np.arange(ROWS)
        random = torch.randn(BATCH, 1, size, size).contiguous(memory_format=torch.channels_last)

        def asked(views: str) -> None:
            infer_logits(network, specimens, rows, InferenceOptions(size, "multiclass", PredictSpec(tta=views)), device)

        def bare() -> None:
            with torch.inference_mode():
                for _ in range(ROWS // BATCH):
                    network(random)

        own, other, ratio = alternate(lambda: asked("none"), bare, given.rounds)
        print(f"{size} px, one view: ours {ROWS / own:.0f} images/s, bare loop {ROWS / other:.0f}, ratio {ratio:.3f}")
        single, eight, ratio = alternate(lambda: asked("none"), lambda: asked("d4"), given.rounds)
        print(f"eight views: {eight:.2f} s against {single:.2f} s of one, {ratio:.2f} single passes")
