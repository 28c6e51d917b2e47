"""Signals: everything but a training stops at once, a training at its next step, and a second signal always."""

from __future__ import annotations

import signal
import threading

import pytest

from holotype.cli.execute import run_command
from holotype.core.stop import (
    STOPPED_STATUS,
    StopRequested,
    deferred_stop,
    is_stop_requested,
    stop_if_requested,
    stopping_on_signals,
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_other_work_at_once_and_handlers_are_restored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(StopRequested, match=number.name), stopping_on_signals(print):
        signal.raise_signal(number)
    assert signal.getsignal(number) is before
    assert not is_stop_requested()
    stop_if_requested()


def test_a_training_is_asked_once_and_a_second_signal_stops_it() -> None:
    announced: list[str] = []
    with stopping_on_signals(announced.append), deferred_stop():
        signal.raise_signal(signal.SIGTERM)
        assert is_stop_requested()
        with pytest.raises(StopRequested, match="SIGTERM"):
            stop_if_requested()
        with pytest.raises(StopRequested, match="SIGINT"):
            signal.raise_signal(signal.SIGINT)
    assert announced == ["SIGTERM: the training saves its state and stops; a second signal stops it at once"]


def test_another_thread_sets_no_handlers() -> None:
    done: list[bool] = []

    def work() -> None:
        with stopping_on_signals(print):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_a_stopped_command_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def command(*_: object, **__: object) -> object:
        def work(_progress: object) -> None:
            raise StopRequested("SIGTERM")

        return work

    assert run_command(command, ["run"]) == STOPPED_STATUS  # type: ignore[arg-type]
    assert "stopped by SIGTERM; run the same command again to resume." in capsys.readouterr().err
