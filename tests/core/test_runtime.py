"""How a command shares the machine with others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holotype.core.runtime import DEFAULT_POLICY, SERVING_POLICY, Runtime, set_thread_wait_policy, usable_cores


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing of waiting threads, and is as it was afterwards."""
    for name in SERVING_POLICY:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def control_groups(root: Path, groups: str, **files: str) -> Path:
    """The files by which Linux tells what a container may use."""
    for path, content in {"proc/self/cgroup": groups, **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content + "\n")
    return root


@pytest.fixture
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def said() -> dict[str, str]:
    return {name: os.environ[name] for name in SERVING_POLICY if name in os.environ}


def test_a_command_lets_waiting_threads_sleep_and_a_server_sooner() -> None:
    set_thread_wait_policy()
    assert said() == DEFAULT_POLICY
    set_thread_wait_policy(serving=True)
    assert said() == SERVING_POLICY


@pytest.mark.parametrize("before", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
@pytest.mark.parametrize("serving", [True, False])
def test_what_the_environment_says_already_holds(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, str], serving: bool
) -> None:
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    set_thread_wait_policy(serving)
    assert said() == before


VERSION_2, VERSION_1 = "0::/batch/job", "12:pids:/x\n4:cpu,cpuacct:/docker/abc\n0::/"
QUOTAS = [
    (VERSION_2, {"sys/fs/cgroup/batch/job/cpu.max": "400000 100000"}, 4),
    (VERSION_2, {"sys/fs/cgroup/batch/job/cpu.max": "max 100000"}, 16),
    (VERSION_2, {"sys/fs/cgroup/batch/job/cpu.max": "max 100000", "sys/fs/cgroup/batch/cpu.max": "200000 100000"}, 2),
    (VERSION_2, {"sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
    (VERSION_2, {"sys/fs/cgroup/cpu.max": "150000 100000"}, 2),
    (VERSION_2, {"sys/fs/cgroup/cpu.max": "9900000 100000"}, 16),
    (VERSION_2, {"sys/fs/cgroup/cpu.max": "nonsense"}, 16),
    (VERSION_1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 3),
    (
        VERSION_1,
        {
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "500000",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
        },
        5,
    ),
    (VERSION_1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 16),
]


@pytest.mark.usefixtures("sixteen_cores")
@pytest.mark.parametrize(("groups", "files", "cores"), QUOTAS)
def test_a_container_s_quota_bounds_the_threads(tmp_path: Path, groups: str, files: dict[str, str], cores: int) -> None:
    assert usable_cores(control_groups(tmp_path, groups, **files)) == cores


@pytest.mark.usefixtures("sixteen_cores")
@pytest.mark.parametrize(("named", "threads"), [("3", 3), ("24", 24), ("5,2", 5), ("", 16), ("many", 16), ("0", 16)])
def test_the_environment_names_the_threads_before_quota_and_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", named)
    assert usable_cores(tmp_path) == threads


def test_where_the_system_does_not_tell_affinity_every_core_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores(tmp_path) == 7
    assert Runtime(threads=3).thread_count == 3


def test_matrices_are_multiplied_in_the_same_order_on_every_gpu_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    set_thread_wait_policy()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    set_thread_wait_policy()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
