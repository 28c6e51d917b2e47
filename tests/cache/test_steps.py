"""Stages and their log: reused, made, resumed, foreseen."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from holotype.cache import DryRun, RunLog, StageKey, Stages, Store, UnknownUntilRunError
from holotype.core.progress import Progress


@dataclass(frozen=True)
class Measured:
    """A value of a stage."""

    numbers: np.ndarray
    words: tuple[str, ...]


KEY = StageKey("statistics", 1, None, {"images": "aa"})
VALUE = Measured(np.arange(3), ("a", "b"))


@pytest.fixture
def said() -> StringIO:
    return StringIO()


@pytest.fixture
def stages(tmp_path: Path, said: StringIO) -> Stages:
    return Stages(Store(tmp_path / "store"), RunLog(tmp_path / "log.jsonl"), Progress(said))


def fail() -> Measured:
    raise AssertionError("a stage that is there was made again")


def states(stages: Stages) -> list[str]:
    return [line["state"] for line in stages.log.read("stage")]


def test_a_value_is_made_once_and_read_back_afterwards(stages: Stages) -> None:
    first = stages.cached_value(Measured, KEY, lambda: VALUE)
    digest = stages.digests.pop("statistics")
    second = stages.cached_value(Measured, KEY, fail)
    for value in (first, second):
        assert np.array_equal(value.numbers, VALUE.numbers)
        assert value.words == VALUE.words
    assert stages.digests == {"statistics": digest}
    assert states(stages) == ["made", "reused"]
    assert stages.seconds["statistics"] == 0.0


def test_the_digest_is_of_the_content_and_not_of_the_inputs(stages: Stages) -> None:
    stages.cached_value(Measured, KEY, lambda: VALUE)
    digest = stages.digests["statistics"]
    touched = StageKey("statistics", 1, None, {"images": "bb"})
    stages.cached_value(Measured, touched, lambda: VALUE)
    assert stages.digests["statistics"] == digest
    stages.cached_value(Measured, StageKey("statistics", 2), lambda: Measured(VALUE.numbers, ("a", "c")))
    assert stages.digests["statistics"] != digest


def test_the_log_says_what_a_stage_was_made_from(stages: Stages) -> None:
    stages.cached_value(Measured, KEY, lambda: VALUE)
    (line,) = stages.log.read("stage")
    assert (line["stage"], line["key"], line["parts"]) == ("statistics", KEY.digest, KEY.parts)
    assert stages.log.read("begin")[0]["resumed"] is False


def test_a_stage_with_unfinished_work_is_resumed_and_says_so(stages: Stages, said: StringIO) -> None:
    stages.store.workspace(KEY).mkdir(parents=True)
    stages.cached_folder(KEY, lambda folder: (folder / "x").touch())
    assert states(stages) == ["resumed"]
    assert stages.log.read("begin")[0]["resumed"] is True
    assert said.getvalue() == "statistics: resumed and finished\n"


def test_a_stage_that_is_taken_from_the_store_says_so(stages: Stages, said: StringIO) -> None:
    for _ in range(2):
        stages.cached_folder(KEY, lambda folder: (folder / "x").touch())
    assert said.getvalue() == "statistics: read from the cache\n"


def test_a_stage_that_fails_is_begun_and_not_logged_as_done(stages: Stages) -> None:
    with pytest.raises(AssertionError):
        stages.cached_value(Measured, KEY, fail)
    assert states(stages) == []
    assert [line["stage"] for line in stages.log.read("begin")] == ["statistics"]


def test_a_stage_says_what_its_making_took_also_when_another_run_takes_it_from_the_store(tmp_path: Path) -> None:
    key = StageKey("fit one", 1)
    for name in ("first", "second"):
        stages = Stages(Store(tmp_path / "store"), RunLog(tmp_path / f"{name}.jsonl"), Progress(quiet=True))
        stages.cached_folder(key, lambda folder: (folder / "made").write_text("x"))
        cost = stages.costs["fit one"]
        assert cost["seconds"] >= 0
        assert cost["peak_mb"] > 10
    assert (stages.states["fit one"], stages.seconds["fit one"]) == ("reused", 0.0)
    event = stages.log.read("stage")[-1]
    assert event["took"] == cost


@pytest.mark.parametrize("torn", [b'{"time": "2026", "event": "sta', '{"event": "stage", "x": "é'.encode()[:-1]])
def test_a_torn_line_is_passed_over_and_spoils_no_other(tmp_path: Path, torn: bytes) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    log.write("stage", stage="first")
    with log.path.open("ab") as stream:
        stream.write(b"\n" + torn)
    log.write("stage", stage="second")
    assert [line["stage"] for line in log.read("stage")] == ["first", "second"]
    assert b"\n\n" not in log.path.read_bytes()
    assert not log.path.read_bytes().startswith(b"\n")


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert RunLog(tmp_path / "log.jsonl").read("stage") == []


def test_a_forecast_notes_what_would_run_and_makes_nothing(stages: Stages, tmp_path: Path) -> None:
    stages.cached_value(Measured, KEY, lambda: VALUE)
    forecast = DryRun(stages.store, stages.log, stages.progress)
    assert forecast.cached_value(Measured, KEY, fail).words == ("a", "b")
    assert forecast.digests == stages.digests
    other = StageKey("fit main 0", 1)
    assert not forecast.cached_folder(other, lambda folder: (folder / "x").touch()).exists()
    assert (forecast.present, forecast.missing) == ([KEY], [other])
    assert states(stages) == ["made"]


def test_a_forecast_stops_where_a_value_is_missing(stages: Stages) -> None:
    forecast = DryRun(stages.store, stages.log, stages.progress)
    with pytest.raises(UnknownUntilRunError, match="statistics"):
        forecast.cached_value(Measured, KEY, fail)
    assert forecast.missing == [KEY]


def test_a_damaged_artefact_is_named_and_made_again(stages: Stages, said: StringIO) -> None:
    stages.cached_value(Measured, KEY, lambda: VALUE)
    path = stages.store.path(KEY) / "numbers.npy"
    path.write_bytes(path.read_bytes()[:-8] + b"\7" * 8)
    again = stages.cached_value(Measured, KEY, lambda: VALUE)
    assert np.array_equal(again.numbers, VALUE.numbers)
    assert states(stages) == ["made", "made"]
    assert f"statistics: the cached result is damaged and will be computed again: {path.parent}: numbers.npy" in (
        said.getvalue()
    )


def test_a_forecast_counts_what_was_truncated_as_not_there(stages: Stages) -> None:
    stages.cached_value(Measured, KEY, lambda: VALUE)
    path = stages.store.path(KEY) / "numbers.npy"
    path.write_bytes(path.read_bytes()[:-8])
    forecast = DryRun(stages.store, stages.log, stages.progress)
    forecast.cached_folder(KEY, lambda _: None)
    assert forecast.missing == [KEY]
