"""What a run runs on: handed down, so that nothing is global and no function takes ten arguments."""

from __future__ import annotations

import getpass
import math
import os
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from holotype.core.progress import Progress

__all__ = [
    "Precision",
    "Runtime",
    "do_without_temporary_folder",
    "set_thread_wait_policy",
    "usable_cores",
    "use_reproducible_kernels",
    "version_of",
]

Precision = Literal["auto", "32", "bf16", "16"]

DEFAULT_POLICY = {"GOMP_SPINCOUNT": "20000"}
"""Threads of OpenMP that wait for one another look so many times and then sleep: long enough for a network's layers."""
SERVING_POLICY = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
"""Some microseconds: threads that decode images want the cores in between."""


@dataclass(frozen=True)
class Runtime:
    """Device, precision, threads, store and progress of one run.

    Args:
        device: `auto`, `cpu`, `cuda`, `mps`, or one device as in `cuda:1`.
        precision: `auto` is 32 bit on a CPU and mixed precision on a GPU.
        threads: Threads of computation; 0 stands for as many as `usable_cores` says.
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
        return self.threads or usable_cores()


def usable_cores(root: Path = Path("/")) -> int:
    """How many threads of computation this process should have, where nobody names a number.

    OMP_NUM_THREADS names one; else it is the cores that the process may run on, or as many as a container's CPU quota
    is worth. Only Linux tells both; elsewhere it is the machine's cores.

    Args:
        root: Where the files of the system are.
    """
    named = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a list names one for each level
    if named.isdecimal() and int(named) > 0:
        return int(named)
    affinity = getattr(os, "sched_getaffinity", None)  # neither on macOS nor on Windows
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota = _read_cpu_quota(root)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _read_cpu_quota(root: Path) -> float | None:
    """The CPU time a second that the control groups of this process may use; none where they do not limit it."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    quotas = []
    for line in groups:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            quotas += [_read_cgroup2_quota(folder) for folder in _list_parent_folders(root / "sys/fs/cgroup", path)]
        elif "cpu" in controllers.split(","):
            for mounted in ("cpu", controllers):
                quotas += [
                    _read_cgroup1_quota(folder)
                    for folder in _list_parent_folders(root / "sys/fs/cgroup" / mounted, path)
                ]
    limits = [quota for quota in quotas if quota is not None]
    return min(limits) if limits else None


def _list_parent_folders(mounted: Path, group: str) -> list[Path]:
    """A control group's folder and those above it; a container sees its own as the topmost."""
    parts = [part for part in group.split("/") if part not in {"", ".", ".."}]
    return [mounted.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]


def _read_cgroup2_quota(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()[:2]
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_cgroup1_quota(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        return None if quota <= 0 else quota / int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
    except (OSError, ValueError, ZeroDivisionError):
        return None


def use_reproducible_kernels() -> None:
    """Let cuBLAS compute the same in every run; it has to be said before the first product of matrices on a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def do_without_temporary_folder() -> None:
    """Let PyTorch be imported where no folder for temporary files can be written, or the user has no name.

    It asks for both when it names the folder of what it compiles. Holotype compiles nothing, so that any folder that is
    there will do. Containers and batch systems have such users and disks.
    """
    try:
        tempfile.gettempdir()
        getpass.getuser()
    except (OSError, KeyError, ImportError):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(__file__).parent))


def version_of(package: str) -> str | None:
    """The version of a package; none where it is not installed as one.

    Args:
        package: Its name.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def set_thread_wait_policy(serving: bool = False) -> None:
    """Let waiting threads of computation sleep instead of spinning: others want the cores as well.

    By default they spin for milliseconds. Where other threads or programs are at work, one of a team is nearly always
    late, and the rest spend several times the cores on waiting for it that they spend on computing. It has to be said
    before any library of OpenMP is loaded; whatever the environment says already holds.

    Args:
        serving: Whether images are decoded beside the computing all the time.
    """
    use_reproducible_kernels()
    current = {name: os.environ[name] for name in SERVING_POLICY if name in os.environ}
    if current in ({}, DEFAULT_POLICY):
        os.environ.update(SERVING_POLICY if serving else DEFAULT_POLICY)
