"""How a command shares the machine with others."""

from __future__ import annotations

import os

import pytest

from holotype.runtime import ORDINARY, SERVING, share_cores


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing of waiting threads, and is as it was afterwards."""
    for name in SERVING:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def said() -> dict[str, str]:
    return {name: os.environ[name] for name in SERVING if name in os.environ}


def test_a_command_lets_waiting_threads_sleep_and_a_server_sooner() -> None:
    share_cores()
    assert said() == ORDINARY
    share_cores(serving=True)
    assert said() == SERVING


@pytest.mark.parametrize("before", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
@pytest.mark.parametrize("serving", [True, False])
def test_what_the_environment_says_already_holds(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, str], serving: bool
) -> None:
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    share_cores(serving)
    assert said() == before
