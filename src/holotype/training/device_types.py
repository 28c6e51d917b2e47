"""Device type of a run, without importing PyTorch on machines that cannot have a GPU."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path

from holotype.core.runtime import Runtime


def device_type(runtime: Runtime) -> str:
    """Resolve the type of a runtime's device, as in `torch.device.type`.

    Raises RecipeError if the device is not on this machine.
    """
    if runtime.device == "cpu" or (runtime.device == "auto" and not may_have_gpu()):
        return "cpu"
    from holotype.training.device import find_device

    return find_device(runtime).type


@cache
def may_have_gpu() -> bool:
    """Look for GPU drivers that PyTorch can use: NVIDIA's library or AMD's device file.

    Only Linux is examined; elsewhere the answer is always yes.
    """
    if sys.platform != "linux" or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
