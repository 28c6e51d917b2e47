"""How a command shares the machine with others."""

from __future__ import annotations

import pytest

from holotype.runtime import ORDINARY, SERVING, share_cores


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment of its own that says nothing of waiting threads."""
    held: dict[str, str] = {}
    monkeypatch.setattr("holotype.runtime.os.environ", held)
    return held


def test_a_command_lets_waiting_threads_sleep_and_a_server_sooner(environment: dict[str, str]) -> None:
    share_cores()
    assert environment == ORDINARY
    share_cores(serving=True)
    assert environment == SERVING


@pytest.mark.parametrize("said", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
@pytest.mark.parametrize("serving", [True, False])
def test_what_the_environment_says_already_holds(
    environment: dict[str, str], said: dict[str, str], serving: bool
) -> None:
    environment.update(said)
    share_cores(serving)
    assert environment == said
