"""Runtime of a run: device, precision, threads, cache and progress in one value."""

from __future__ import annotations

import getpass
import math
import os
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, Protocol

from holotype.core.progress import Progress

Precision = Literal["auto", "32", "bf16", "16"]

DEFAULT_POLICY = {"GOMP_SPINCOUNT": "20000"}
"""OpenMP threads that wait spin this often before they sleep: long enough for the layers of a network."""
SERVING_POLICY = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
"""Spin for a few microseconds only: threads that decode images use the cores in between."""


class Pacer(Protocol):
    """Time keeper of a run with a budget: it decides, again and again, how many steps a network trains."""

    def decide(self, network: str, taken: int, target: int) -> int:
        """Decide the total training steps of a network; the same question has the same answer in a resumed run."""


@dataclass(frozen=True)
class Runtime:
    """Device, precision, threads, cache and progress of a run.

    Args:
        device: `auto`, `cpu`, `cuda`, `mps`, or one device such as `cuda:1`.
        precision: `auto` is 32 bit on a CPU and mixed precision on a GPU.
        threads: Compute threads; 0 stands for `usable_cores()`.
        workers: Threads that prepare batches ahead of the network; 0 prepares them in line.
        batch: Images per step, over all processes.
        save_seconds: Seconds of training that a kill may lose at most.
        halt_after: Epochs after which an unfinished training stops and keeps its state; None trains to the end.
        pacer: Follows the time of a budget, in phases that have a `budget_plan`.
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
    pacer: Pacer | None = None

    @property
    def thread_count(self) -> int:
        """Number of compute threads, with 0 resolved."""
        return self.threads or usable_cores()


def usable_cores(root: Path = Path("/")) -> int:
    """Number of compute threads for this process.

    OMP_NUM_THREADS if it is set; else the cores that the process may run on, limited by a container's CPU quota. Both
    are known on Linux only; elsewhere it is the machine's cores.
    """
    named = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a list has one entry per nesting level
    if named.isdecimal() and int(named) > 0:
        return int(named)
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota = _read_cpu_quota(root)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _read_cpu_quota(root: Path) -> float | None:
    """CPU seconds per second that the control groups of this process may use; None without a limit."""
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
    """Make cuBLAS deterministic; must be called before the first matrix product on a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def do_without_temporary_folder() -> None:
    """Let PyTorch be imported without a writable temporary folder or a user name.

    PyTorch asks for both to name the folder of what it compiles. Holotype compiles nothing, so any existing folder will
    do. Containers and batch systems have such users and disks.
    """
    try:
        tempfile.gettempdir()
        getpass.getuser()
    except (OSError, KeyError, ImportError):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(__file__).parent))


def version_of(package: str) -> str | None:
    """Version of an installed package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def set_thread_wait_policy(serving: bool = False) -> None:
    """Make waiting OpenMP threads sleep instead of spin, so that others can use the cores.

    By default they spin for milliseconds. Where other threads or programs run (`serving`: those that decode images),
    one of a team is nearly always late, and the others spend several times the cores on waiting that they spend on
    computing. Must be called before any OpenMP library is loaded; variables that are already set stay.
    """
    use_reproducible_kernels()
    current = {name: os.environ[name] for name in SERVING_POLICY if name in os.environ}
    if current in ({}, DEFAULT_POLICY):
        os.environ.update(SERVING_POLICY if serving else DEFAULT_POLICY)
