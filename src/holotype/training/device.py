"""Lightning Fabric for a runtime: device, precision, threads, memory."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.strategies.ddp import DDPStrategy

from holotype.core.errors import RecipeError
from holotype.core.runtime import Runtime, use_reproducible_kernels
from holotype.prediction import resolve_precision

# (option, value) of glibc's mallopt: M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
MALLOPT_OPTIONS = ((-4, 0), (-1, 2**31 - 1), (-2, 2**28))


def launch_fabric(runtime: Runtime) -> Fabric:
    """Make a Fabric with the device, precision and processes of a runtime, with deterministic kernels.

    Raises RecipeError if the device is not on this machine.
    """
    prepare_process(runtime)
    kind, _, number = runtime.device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    available_kinds = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available_kinds.get(kind, False):
        present = ["auto", *(name for name, available in available_kinds.items() if available)]
        message = f"there is no device {runtime.device!r} here"
        raise RecipeError(message, field="run.device", value=kind, allowed=present)
    _require_devices(kind, number, runtime)
    options: dict[str, Any] = {"devices": [int(number)] if number else 1}
    if runtime.processes > 1:  # the training step averages buffers
        strategy = DDPStrategy(start_method="spawn", broadcast_buffers=False)
        options = {"devices": runtime.processes, "strategy": strategy}
    return Fabric(accelerator=kind, plugins=[_precision_plugin(runtime, kind)], **options)


def _require_devices(kind: str, number: str, runtime: Runtime) -> None:
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if number and (not number.isdecimal() or int(number) >= count):
        present = [f"{kind}:{index}" for index in range(count)] if kind == "cuda" else [kind]
        message, allowed = f"there is no device {runtime.device!r} here", ["auto", kind, *present]
        raise RecipeError(message, field="run.device", value=runtime.device, allowed=allowed)
    if kind != "cpu" and runtime.processes > count:
        message = f"{runtime.processes} processes need a device each, and this machine has {count}"
        raise RecipeError(message, field="run.processes", value=runtime.processes, remedy=f"write {count} or fewer")


def _precision_plugin(runtime: Runtime, device_type: str) -> Precision:
    """Precision plugin of Fabric; by name, Fabric would replace float16 on a CPU by bfloat16."""
    precision = resolve_precision(runtime.precision, device_type)
    if precision == "32":
        return Precision()
    return MixedPrecision("bf16-mixed" if precision == "bf16" else "16-mixed", device_type)


def find_device(runtime: Runtime) -> torch.device:
    """Resolve the device of a runtime for prediction; cached, because Fabric is slow.

    Raises RecipeError if the device is not on this machine.
    """
    device = _resolve_device(runtime.device)
    prepare_process(runtime)
    return device


@lru_cache
def _resolve_device(name: str) -> torch.device:
    return launch_fabric(Runtime(device=name)).device


def prepare_process(runtime: Runtime) -> None:
    """Set threads, determinism and memory allocation of this process."""
    use_reproducible_kernels()
    torch.set_num_threads(max(runtime.thread_count // runtime.processes, 1))
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and never read
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory: the next step needs the same, and fresh pages take a seventh of the time."""
    try:
        library = ctypes.CDLL("libc.so.6")
        for option, value in MALLOPT_OPTIONS:
            library.mallopt(option, value)
    except (OSError, AttributeError):
        return  # another C library
