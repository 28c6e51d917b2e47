"""What a run runs on: handed down, so that nothing is global and no function takes ten arguments."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from holotype.progress import Progress

__all__ = ["Runtime"]

Precision = Literal["auto", "32", "bf16", "16"]


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
