"""Steps and their log: reused, made, resumed, foreseen."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from holotype.cache import DryRun, RunLog, StepKey, Steps, Store, UnknownUntilRunError
from holotype.core.progress import Progress


@dataclass(frozen=True)
class Measured:
    """A value of a step."""

    numbers: np.ndarray
    words: tuple[str, ...]


KEY = StepKey("statistics", 1, None, {"images": "aa"})
VALUE = Measured(np.arange(3), ("a", "b"))


@pytest.fixture
def said() -> StringIO:
    return StringIO()


@pytest.fixture
def steps(tmp_path: Path, said: StringIO) -> Steps:
    return Steps(Store(tmp_path / "store"), RunLog(tmp_path / "log.jsonl"), Progress(said))


def fail() -> Measured:
    raise AssertionError("a step that is there was made again")


def states(steps: Steps) -> list[str]:
    return [line["state"] for line in steps.log.read("step")]


def test_a_value_is_made_once_and_read_back_afterwards(steps: Steps) -> None:
    first = steps.cached_value(Measured, KEY, lambda: VALUE)
    digest = steps.digests.pop("statistics")
    second = steps.cached_value(Measured, KEY, fail)
    for value in (first, second):
        assert np.array_equal(value.numbers, VALUE.numbers)
        assert value.words == VALUE.words
    assert steps.digests == {"statistics": digest}
    assert states(steps) == ["made", "reused"]
    assert steps.seconds["statistics"] == 0.0


def test_the_digest_is_of_the_content_and_not_of_the_inputs(steps: Steps) -> None:
    steps.cached_value(Measured, KEY, lambda: VALUE)
    digest = steps.digests["statistics"]
    touched = StepKey("statistics", 1, None, {"images": "bb"})
    steps.cached_value(Measured, touched, lambda: VALUE)
    assert steps.digests["statistics"] == digest
    steps.cached_value(Measured, StepKey("statistics", 2), lambda: Measured(VALUE.numbers, ("a", "c")))
    assert steps.digests["statistics"] != digest


def test_the_log_says_what_a_step_was_made_from(steps: Steps) -> None:
    steps.cached_value(Measured, KEY, lambda: VALUE)
    (line,) = steps.log.read("step")
    assert (line["step"], line["key"], line["parts"]) == ("statistics", KEY.digest, KEY.parts)
    assert steps.log.read("begin")[0]["resumed"] is False


def test_a_step_with_unfinished_work_is_resumed_and_says_so(steps: Steps, said: StringIO) -> None:
    steps.store.workspace(KEY).mkdir(parents=True)
    steps.cached_folder(KEY, lambda folder: (folder / "x").touch())
    assert states(steps) == ["resumed"]
    assert steps.log.read("begin")[0]["resumed"] is True
    assert said.getvalue() == "statistics: resumed and finished\n"


def test_a_step_that_is_taken_from_the_store_says_so(steps: Steps, said: StringIO) -> None:
    for _ in range(2):
        steps.cached_folder(KEY, lambda folder: (folder / "x").touch())
    assert said.getvalue() == "statistics: read from the cache\n"


def test_a_step_that_fails_is_begun_and_not_logged_as_done(steps: Steps) -> None:
    with pytest.raises(AssertionError):
        steps.cached_value(Measured, KEY, fail)
    assert states(steps) == []
    assert [line["step"] for line in steps.log.read("begin")] == ["statistics"]


def test_a_step_says_what_its_making_took_also_when_another_run_takes_it_from_the_store(tmp_path: Path) -> None:
    key = StepKey("fit one", 1)
    for name in ("first", "second"):
        steps = Steps(Store(tmp_path / "store"), RunLog(tmp_path / f"{name}.jsonl"), Progress(quiet=True))
        steps.cached_folder(key, lambda folder: (folder / "made").write_text("x"))
        cost = steps.costs["fit one"]
        assert cost["seconds"] >= 0
        assert cost["peak_mb"] > 10
    assert (steps.states["fit one"], steps.seconds["fit one"]) == ("reused", 0.0)
    event = steps.log.read("step")[-1]
    assert event["took"] == cost


@pytest.mark.parametrize("torn", [b'{"time": "2026", "event": "sta', '{"event": "step", "x": "é'.encode()[:-1]])
def test_a_torn_line_is_passed_over_and_spoils_no_other(tmp_path: Path, torn: bytes) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    log.write("step", step="first")
    with log.path.open("ab") as stream:
        stream.write(b"\n" + torn)
    log.write("step", step="second")
    assert [line["step"] for line in log.read("step")] == ["first", "second"]
    assert b"\n\n" not in log.path.read_bytes()
    assert not log.path.read_bytes().startswith(b"\n")


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert RunLog(tmp_path / "log.jsonl").read("step") == []


def test_a_forecast_notes_what_would_run_and_makes_nothing(steps: Steps, tmp_path: Path) -> None:
    steps.cached_value(Measured, KEY, lambda: VALUE)
    forecast = DryRun(steps.store, steps.log, steps.progress)
    assert forecast.cached_value(Measured, KEY, fail).words == ("a", "b")
    assert forecast.digests == steps.digests
    other = StepKey("fit main 0", 1)
    assert not forecast.cached_folder(other, lambda folder: (folder / "x").touch()).exists()
    assert (forecast.present, forecast.missing) == ([KEY], [other])
    assert states(steps) == ["made"]


def test_a_forecast_stops_where_a_value_is_missing(steps: Steps) -> None:
    forecast = DryRun(steps.store, steps.log, steps.progress)
    with pytest.raises(UnknownUntilRunError, match="statistics"):
        forecast.cached_value(Measured, KEY, fail)
    assert forecast.missing == [KEY]


def test_a_damaged_artefact_is_named_and_made_again(steps: Steps, said: StringIO) -> None:
    steps.cached_value(Measured, KEY, lambda: VALUE)
    path = steps.store.path(KEY) / "numbers.npy"
    path.write_bytes(path.read_bytes()[:-8] + b"\7" * 8)
    again = steps.cached_value(Measured, KEY, lambda: VALUE)
    assert np.array_equal(again.numbers, VALUE.numbers)
    assert states(steps) == ["made", "made"]
    assert f"statistics: the cached result is damaged and will be computed again: {path.parent}: numbers.npy" in (
        said.getvalue()
    )


def test_a_forecast_counts_what_was_truncated_as_not_there(steps: Steps) -> None:
    steps.cached_value(Measured, KEY, lambda: VALUE)
    path = steps.store.path(KEY) / "numbers.npy"
    path.write_bytes(path.read_bytes()[:-8])
    forecast = DryRun(steps.store, steps.log, steps.progress)
    forecast.cached_folder(KEY, lambda _: None)
    assert forecast.missing == [KEY]
