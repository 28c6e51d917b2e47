"""The kind of device, told without PyTorch where there can be no GPU."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch

from holotype.core.errors import RecipeError
from holotype.core.runtime import Runtime
from holotype.training import device_type, find_device
from holotype.training import device_types as module


@pytest.fixture(autouse=True)
def _asks_anew() -> None:
    module.may_have_gpu.cache_clear()


def test_it_is_what_pytorch_says():
    assert device_type(Runtime()) == find_device(Runtime()).type
    assert device_type(Runtime(device="cpu")) == "cpu"
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        assert module.may_have_gpu()


def test_a_device_that_is_not_here_is_refused():
    missing = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(RecipeError, match=f"there is no device '{missing}'"):
        device_type(Runtime(device=missing))


@pytest.mark.parametrize(("driver", "expected"), [(True, True), (False, False)])
def test_pytorch_is_asked_only_where_a_driver_is(monkeypatch, driver, expected):
    def load(name: str) -> None:
        if not driver:
            raise OSError(name)

    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(Path, "exists", lambda _: False)
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert module.may_have_gpu() is expected
    module.may_have_gpu.cache_clear()


def test_other_systems_are_not_ruled_out(monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "darwin")
    assert module.may_have_gpu()
    module.may_have_gpu.cache_clear()
