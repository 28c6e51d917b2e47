"""What a run runs on: handed down, so that nothing is global and no function takes ten arguments."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from holotype.progress import Progress

__all__ = ["Runtime", "share_cores", "version_of"]

Precision = Literal["auto", "32", "bf16", "16"]

ORDINARY = {"GOMP_SPINCOUNT": "20000"}
"""Threads of OpenMP that wait for one another look so many times and then sleep: long enough for a network's layers."""
SERVING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
"""Some microseconds: threads that decode images want the cores in between."""


@dataclass(frozen=True)
class Runtime:
    """Device, precision, threads, store and progress of one run.

    Args:
        device: `auto`, `cpu`, `cuda`, `mps`, or one device as in `cuda:1`.
        precision: `auto` is 32 bit on a CPU and 16-bit mixed precision on a GPU.
        threads: Threads of computation; 0 stands for every core.
        workers: Threads that prepare batches ahead of the model; 0 prepares them in line.
        batch: Images a step, over all processes.
        processes: Processes that train one network together.
        save_seconds: Of training that a kill may cost at most.
        halt_after: Epochs after which an unfinished training stops and keeps its state; none goes on to the end.
        store: Folder of the artefacts that runs share.
        progress: Where news of the work goes.
    """

    device: str = "auto"
    precision: Precision = "auto"
    threads: int = 0
    workers: int = 0
    batch: int = 32
    processes: int = 1
    save_seconds: float = 300.0
    halt_after: int | None = None
    store: Path = Path(".holotype")
    progress: Progress = field(default_factory=Progress)

    @property
    def thread_count(self) -> int:
        """Threads of computation, with 0 resolved to the cores this process may use."""
        return self.threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else self.threads or 1


def version_of(package: str) -> str | None:
    """The version of a package; none where it is not installed as one.

    Args:
        package: Its name.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def share_cores(serving: bool = False) -> None:
    """Let waiting threads of computation sleep instead of spinning: others want the cores as well.

    By default they spin for milliseconds. Where other threads or programs are at work, one of a team is nearly always
    late, and the rest spend several times the cores on waiting for it that they spend on computing. It has to be said
    before any library of OpenMP is loaded; whatever the environment says already holds.

    Args:
        serving: Whether images are decoded beside the computing all the time.
    """
    said = {name: os.environ[name] for name in SERVING if name in os.environ}
    if said in ({}, ORDINARY):
        os.environ.update(SERVING if serving else ORDINARY)
