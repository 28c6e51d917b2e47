"""An exported graph in ONNX Runtime against the same network in torch, as `holotype predict` runs it, in turns.

`efficientnet_lite0` on images of four channels, with the normalisation in both. torch is eager, channels last, in
inference mode, on batches of the same size. Between turns both rest, since the threads of either library wait busily
for a while and would slow the other down. The ratio is the median of those of the rounds. On a machine that does other
work look at `--threads 1`: torch's threads wait for each other, and with fewer free cores than threads its times say
nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from holotype.networks import build_network, open_checkpoint, save_network
from holotype.recipe.sections import ModelSpec, PredictSpec
from holotype.runs.export import CalibratedGraph, EnsembleGraph, load_session, model_graph, write_graph
from holotype.types import Calibration

REST = 0.1  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 32])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        graph = plain_graph(Path(folder), options)
        path = write_graph(graph, (options.channels, options.size, options.size), "onnx", Path(folder), {})
        said = load_session(path, options.threads)
        print(f"{options.backbone}, {options.size} px, {options.channels} channels, {options.threads} threads")
        for batch in options.batches:
            compare(graph, said, batch, options)


def plain_graph(folder: Path, options: argparse.Namespace) -> EnsembleGraph:
    """One network that reads one view, through the checkpoint that a run would have written."""
    section = {"backbone": options.backbone, "weights": "none", "input": {"size": options.size}}
    model = ModelSpec.model_validate(section)
    network, found = build_network(model, 28, options.channels, seed=1)
    card = {
        "model": model.model_dump(mode="json"),
        "classes": [str(number) for number in range(28)],
        "fold": 0,
        "kind": "multilabel",
        "channels": options.channels,
        "input_channels": options.channels,
        "channel_names": None,
        "canvas": [options.size, options.size],
        "size": options.size,
        "networks": 1,
        "backbone_options": found.options,
        "taxonomy": None,
        "normalisation": {"mean": [60.0] * options.channels, "deviation": [40.0] * options.channels},
    }
    save_network(folder, network, card)
    alone = model_graph([open_checkpoint(folder)], PredictSpec(tta="none"))
    return EnsembleGraph([alone], (1.0,), "logit", CalibratedGraph(Calibration(), "multilabel")).eval()


def compare(graph: EnsembleGraph, said: Callable[..., object], batch: int, options: argparse.Namespace) -> None:
    """Both in turns, after one call of each that is not counted."""
    shape = (batch, options.channels, options.size, options.size)
    pixels = np.random.default_rng(batch).uniform(0, 255, shape).astype(np.float32)
    eager_graph = graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def eager() -> np.ndarray:
        with torch.inference_mode():
            held = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
            return eager_graph(held)[0].numpy()

    ways = {"torch": eager, "onnxruntime": lambda: said(pixels)[0]}  # type: ignore[index]
    difference = np.abs(ways["torch"]() - ways["onnxruntime"]()).max()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            time.sleep(REST)
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    middle = {name: median(own) for name, own in seconds.items()}
    each = ", ".join(f"{name} {1000 * own / batch:.1f} ms an image" for name, own in middle.items())
    ratio = median(first / second for first, second in zip(*seconds.values(), strict=True))
    print(f"batch {batch:>2}: {ratio:.2f} times as fast; {each}; largest difference of a logit {difference:.1e}")


if __name__ == "__main__":
    main()
