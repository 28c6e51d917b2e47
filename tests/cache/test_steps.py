"""Steps and their log: reused, made, resumed, foreseen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holotype.cache import DryRun, Reads, RunLog, StepKey, StepOutput, Steps, Store, UnknownUntilRunError, step
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


def again(steps: Steps) -> Steps:
    """The steps of another run."""
    return Steps(steps.store, steps.log, steps.progress)


def states(steps: Steps) -> list[str]:
    return [line["state"] for line in steps.log.read("step")]


@step("statistics", 1, lambda images, _value: Reads(None, {"images": images}))
def measure(output: StepOutput, _images: str, value: Measured | None) -> None:
    if value is None:
        raise AssertionError("a step that is there was made again")
    output.write(value)


@step("fit", 1, lambda label, _text: Reads({"lr": 1}, {}, label))
def fit(output: StepOutput, _label: str, text: str) -> None:
    (output.folder / "made").write_text(text)


def test_a_value_is_made_once_and_read_back_afterwards(steps: Steps) -> None:
    later = again(steps)
    first, second = measure(steps, "aa", VALUE), measure(later, "aa", None)
    for result in (first, second):
        assert np.array_equal(result.read(Measured).numbers, VALUE.numbers)
        assert result.read(Measured).words == VALUE.words
    assert first.digest == second.digest
    assert states(steps) == ["made", "reused"]
    assert later.seconds["statistics"] == 0.0


def test_the_digest_is_of_the_content_and_not_of_the_inputs(steps: Steps) -> None:
    first, touched = measure(steps, "aa", VALUE), measure(steps, "bb", VALUE)
    assert first.key != touched.key
    assert first.digest == touched.digest
    assert measure(steps, "cc", Measured(VALUE.numbers, ("a", "c"))).digest != first.digest


def test_name_version_settings_and_digests_make_the_key() -> None:
    assert measure.key("aa", None) == KEY
    assert fit.key("main 0", "x") == StepKey("fit main 0", 1, {"lr": 1})
    assert fit.key("main 0", "x").digest == fit.key("main 1", "y").digest  # a label is no input


def test_the_log_says_what_a_step_was_made_from(steps: Steps) -> None:
    measure(steps, "aa", VALUE)
    (line,) = steps.log.read("step")
    assert (line["step"], line["key"], line["parts"]) == ("statistics", KEY.digest, KEY.parts)
    assert steps.log.read("begin")[0]["resumed"] is False


def test_a_step_with_unfinished_work_is_resumed_and_says_so(steps: Steps, said: StringIO) -> None:
    steps.store.workspace(KEY).mkdir(parents=True)
    measure(steps, "aa", VALUE)
    assert states(steps) == ["resumed"]
    assert steps.log.read("begin")[0]["resumed"] is True
    assert said.getvalue() == "statistics: resumed and finished\n"


def test_a_step_that_is_taken_from_the_store_says_so(steps: Steps, said: StringIO) -> None:
    for run in (steps, again(steps), again(steps)):
        measure(run, "aa", VALUE)
        measure(run, "aa", VALUE)  # a second time in a run is no news
    assert said.getvalue() == "statistics: read from the cache\n" * 2


def test_a_step_that_fails_is_begun_and_not_logged_as_done(steps: Steps) -> None:
    with pytest.raises(AssertionError):
        measure(steps, "aa", None)
    assert states(steps) == []
    assert [line["step"] for line in steps.log.read("begin")] == ["statistics"]


def test_a_step_says_what_its_making_took_also_when_another_run_takes_it_from_the_store(tmp_path: Path) -> None:
    for name in ("first", "second"):
        steps = Steps(Store(tmp_path / "store"), RunLog(tmp_path / f"{name}.jsonl"), Progress(quiet=True))
        fit(steps, "one", "x")
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


def dry_run(steps: Steps) -> DryRun:
    return DryRun(steps.store, steps.log, steps.progress)


def test_a_dry_run_notes_what_would_run_and_makes_nothing(steps: Steps) -> None:
    made = measure(steps, "aa", VALUE)
    forecast = dry_run(steps)
    known = measure(forecast, "aa", None)
    assert (known.read(Measured).words, known.digest) == (("a", "b"), made.digest)
    other = fit(forecast, "main 0", "x")
    assert not other.path.exists()
    assert not other.is_cached
    assert (forecast.present, forecast.missing) == ([KEY], [fit.key("main 0", "x")])
    assert states(steps) == ["made"]


@pytest.mark.parametrize("read", [lambda it: it.folder, lambda it: it.digest, lambda it: it.read(Measured)])
def test_a_dry_run_stops_where_a_result_is_read_that_is_missing(steps: Steps, read: Callable[[Any], Any]) -> None:
    forecast = dry_run(steps)
    result = measure(forecast, "aa", None)
    with pytest.raises(UnknownUntilRunError, match="statistics"):
        read(result)
    assert forecast.missing == [KEY]


def test_a_dry_run_goes_on_after_what_is_unknown_and_stops_after_all(steps: Steps) -> None:
    fit(steps, "main 1", "x")
    forecast = dry_run(steps)

    @step("predict", 1, lambda fold: Reads({"fold": fold}, {}, f"main {fold}"))
    def predict(_output: StepOutput, _fold: int) -> None:
        raise AssertionError

    tried = []
    with pytest.raises(UnknownUntilRunError, match="predict main 0"):
        forecast.each(lambda fold: (tried.append(fold), predict(forecast, fold).folder), (0, 1, 2))
    assert tried == [0, 1, 2]
    assert [key.step for key in forecast.missing] == ["predict main 0", "predict main 1", "predict main 2"]
    with pytest.raises(UnknownUntilRunError):
        forecast.all_of(lambda: 1, lambda: predict(forecast, 5).folder, lambda: tried.append(9))
    assert tried[-1] == 9
    assert steps.each(lambda number: number + 1, (1, 2)) == [2, 3]


def test_a_dry_run_stores_nothing_under_a_second_key(steps: Steps) -> None:
    measure(steps, "aa", VALUE)
    dry_run(steps).repeat(KEY, measure.key("bb", None))
    assert not steps.store.contains(measure.key("bb", None))
    steps.repeat(KEY, measure.key("bb", None))
    assert measure(steps, "bb", None).digest == measure(steps, "aa", None).digest


def test_a_damaged_artefact_is_named_and_made_again(steps: Steps, said: StringIO) -> None:
    measure(steps, "aa", VALUE)
    path = steps.store.path(KEY) / "numbers.npy"
    path.write_bytes(path.read_bytes()[:-8] + b"\7" * 8)
    repaired = measure(again(steps), "aa", VALUE).read(Measured)
    assert np.array_equal(repaired.numbers, VALUE.numbers)
    assert states(steps) == ["made", "made"]
    assert f"statistics: the cached result is damaged and will be computed again: {path.parent}: numbers.npy" in (
        said.getvalue()
    )


def test_a_dry_run_counts_what_was_truncated_as_not_there(steps: Steps) -> None:
    measure(steps, "aa", VALUE)
    path = steps.store.path(KEY) / "numbers.npy"
    path.write_bytes(path.read_bytes()[:-8])
    forecast = dry_run(steps)
    assert not measure(forecast, "aa", None).is_cached
    assert forecast.missing == [KEY]
