"""Kill a small run at random moments, run the same command again, and compare what comes out byte for byte.

    python bench/kill.py [--kills 25] [--workers 0 1 2] [--full-disk FOLDER]

With --full-disk a folder on a small disk of its own (a few megabytes) is filled up while the run is at work; the run
fails, the room is given back, and the same command ends in the same bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _common import CHECKOUT

from holotype.simulate.cells import SimulationPlan, simulate_cells

COMPARED = ("oof.parquet", "test.parquet", "submission.csv", "models/main/fold0/weights.safetensors")
CHANNELS = ["microtubules", "nucleus", "reticulum", "protein"]


def write_recipe(folder: Path, screen: Path, workers: int) -> Path:
    """A training of some seconds that writes its state after every step."""
    phases = [{"epochs": 2, "freeze": "backbone"}, {"epochs": 10, "ema": 0.9, "accumulate": 2}]
    model = {
        "name": "main",
        "backbone": "test_efficientnet",
        "weights": "none",
        "input": {"size": 32},
        "phases": phases,
        "checkpoints": {"last": 2},
    }
    content = {
        "name": "cells",
        "split": {"folds": 3, "folds_to_train": [0]},
        "models": [model],
        "run": {"threads": 1, "workers": workers, "batch": 16, "device": "cpu", "save_minutes": 0.001},
        "data": {
            "train": str(screen / "train.csv"),
            "test": str(screen / "test.csv"),
            "channels": CHANNELS,
            "images": f"{screen}/images/{{id}}_{{channel}}.png",
            "groups": ["plate"],
            "labels": {"column": "labels", "kind": "multilabel"},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(content))
    return path


def start(recipe: Path, store: Path) -> subprocess.Popen[bytes]:
    """`holotype run` as a process of its own."""
    environment = os.environ | {
        "PYTHONPATH": str(CHECKOUT / "src"),
        "HOLOTYPE_STORE": str(store),
        "OMP_NUM_THREADS": "1",
    }
    call = [sys.executable, "-m", "holotype.cli.main", "run", str(recipe)]
    return subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def produced(recipe: Path) -> dict[str, bytes]:
    """The bytes of what a run made."""
    run = recipe.parent / "runs" / "cells"
    return {name: (run / name).read_bytes() for name in COMPARED}


def wait_for_the_store(store: Path, process: subprocess.Popen[bytes]) -> float:
    """Seconds until the first network is begun, from which on kills are interesting."""
    began = time.monotonic()
    while not list(store.glob("unfinished/fit/*/*")) and process.poll() is None:
        time.sleep(0.002)
    return time.monotonic() - began


def killed_and_resumed(place: Path, screen: Path, workers: int, after: float, whole: dict[str, bytes]) -> bool:
    """Whether a run that was killed so many seconds into its training ends in the bytes of one left alone."""
    recipe, store = write_recipe(place, screen, workers), place / "store"
    process = start(recipe, store)
    wait_for_the_store(store, process)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = start(recipe, store)
    if again.wait() != 0:
        raise SystemExit(again.stderr.read().decode())  # type: ignore[union-attr]
    return produced(recipe) == whole


def filled_and_freed(disk: Path, screen: Path, whole: dict[str, bytes]) -> tuple[bool, str]:
    """The same for a disk that fills up; also what the run said when it failed."""
    recipe, store = write_recipe(disk / "run", screen, 0), disk / "store"
    process = start(recipe, store)
    wait_for_the_store(store, process)
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"\0" * 4096)
    status = process.wait()
    said = process.stderr.read().decode().strip().splitlines()  # type: ignore[union-attr]
    ballast.unlink()
    again = start(recipe, store)
    if again.wait() != 0:
        raise SystemExit(again.stderr.read().decode())  # type: ignore[union-attr]
    return produced(recipe) == whole, f"exit {status}: {said[-1] if said else ''}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--full-disk", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        cells = simulate_cells(root / "screen", SimulationPlan(train=60, test=20, size=32, plates=10)).folder
        alone = write_recipe(root / "alone", cells, 0)
        left = start(alone, root / "alone" / "store")
        begins = time.monotonic() + wait_for_the_store(root / "alone" / "store", left)
        if left.wait() != 0:
            raise SystemExit(left.stderr.read().decode())  # type: ignore[union-attr]
        lasts = time.monotonic() - begins
        known = produced(alone)
        print(f"left alone: {lasts:.1f} s from the first network on")
        moments = np.random.default_rng(1).uniform(0, lasts, given.kills)
        equal = 0
        for number, moment in enumerate(moments.tolist()):
            workers = given.workers[number % len(given.workers)]
            same = killed_and_resumed(root / f"kill{number}", cells, workers, moment, known)
            equal += same
            print(f"killed after {moment:5.2f} s, {workers} workers: {'equal' if same else 'DIFFERENT'}", flush=True)
        print(f"{equal} of {given.kills} equal")
        if given.full_disk is not None:
            print("full disk, freed: {} ({})".format(*filled_and_freed(given.full_disk, cells, known)))
