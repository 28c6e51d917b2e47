"""The kind of device that a run computes on, told without PyTorch where this machine can have no GPU."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path

from holotype.core.runtime import Runtime

__all__ = ["device_type", "may_have_gpu"]


def device_type(runtime: Runtime) -> str:
    """The type of a runtime's device, as in `torch.device.type`.

    Args:
        runtime: Its device.

    Raises:
        RecipeError: The device is not on this machine.
    """
    if runtime.device == "cpu" or (runtime.device == "auto" and not may_have_gpu()):
        return "cpu"
    from holotype.training.device import find_device

    return find_device(runtime).type


@cache
def may_have_gpu() -> bool:
    """Look for the drivers of a GPU; without one PyTorch finds no GPU either.

    On Linux these are NVIDIA's library and AMD's device file; on other systems the answer is always yes.
    """
    if sys.platform != "linux" or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
