"""Answers in their three forms: drawn on a terminal, plain through a pipe, one JSON document for programs."""

from __future__ import annotations

import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from fcntl import ioctl
from io import StringIO
from pathlib import Path

import pytest

import holotype
from holotype.cli.commands import report_run
from holotype.cli.completion import complete_recipe, complete_run, complete_setting
from holotype.cli.main import main
from holotype.cli.output import (
    CodeBlock,
    CommandResult,
    IntervalCell,
    OutputOptions,
    Table,
    TextLine,
    parse_output_options,
    print_error,
    print_result,
)
from holotype.cli.tables import prediction_table, score_lines, score_table
from holotype.core.errors import RecipeError
from holotype.core.progress import Progress, is_interactive

SOURCE = Path(holotype.__file__).parents[1]
Captured = pytest.CaptureFixture[str]


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _a_lively_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}}
    return kept | {"PYTHONPATH": str(SOURCE), "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"} | changes


@contextmanager
def terminal(columns: int) -> Iterator[tuple[int, Future[str]]]:
    """A terminal of some width for something to write to, and all that it is sent."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))

    def read() -> str:
        sent = b""
        with suppress(OSError):  # Linux: the other end was closed
            while block := os.read(master, 65_536):
                sent += block
        return sent.decode()

    with ThreadPoolExecutor(1) as reader:
        try:
            yield slave, reader.submit(read)
        finally:
            with suppress(OSError):
                os.close(slave)
    os.close(master)


def on_a_terminal(*words: str, columns: int = 120, **changes: str) -> tuple[int, str]:
    """The exit status of a process, and all that a terminal of some width is sent."""
    with terminal(columns) as (slave, shown):
        command = [sys.executable, "-m", "holotype.cli.main", *words]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment(**changes))
        os.close(slave)
        return process.wait(), shown.result()


def shown_on_a_terminal(patch: pytest.MonkeyPatch, *words: str, columns: int = 120) -> tuple[int, str]:
    """The same of a call in this process, which has the libraries loaded."""
    patch.delenv("COLUMNS")
    with terminal(columns) as (slave, shown):
        with patch.context() as streams, ExitStack() as stack:
            for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
                streams.setattr(sys, name, stack.enter_context(os.fdopen(os.dup(slave), mode, encoding="utf-8")))
                streams.setattr(sys, f"__{name}__", getattr(sys, name))
            status = main(list(words))
        os.close(slave)
        return status, shown.result()


def test_a_terminal_gets_bars_and_a_pipe_gets_lines(finished: Path, capsys: Captured) -> None:
    status, shown = on_a_terminal("report", str(finished))
    assert status == 0
    assert "\x1b[" in shown
    assert "━" in shown
    assert "Step effects" in shown
    assert main(["report", str(finished)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("macro_f1 0.")
    assert [line.split(":")[0] for line in lines[1:]] == ["Report", "Submission", "Table"]
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "TERM=dumb"])
def test_a_terminal_that_asks_for_plain_lines_gets_those_of_a_pipe(
    plain: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in plain.items():
        monkeypatch.setenv(name, value)
    status, shown = shown_on_a_terminal(monkeypatch, "report", "no/run", columns=40)
    sentence = "holotype: 'no/run' is not a finished run: it has no scores.json; give the folder of a run "
    assert status == 2
    assert shown == f"{sentence}that ran to the end.\r\n"


def test_an_error_on_a_terminal_stands_in_a_box_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    status, shown = shown_on_a_terminal(monkeypatch, "report", "no/run", columns=70)
    lines = shown.replace("\r", "").splitlines()
    assert status == 2
    assert "╭" in lines[0]
    assert "╰" in lines[-1]
    assert [line for line in lines if "→ Give the folder of a run" in line]


def test_the_box_names_the_field_what_was_meant_and_what_is_allowed() -> None:
    error = RecipeError(
        "no loss is named 'bcee'", field="models.0", value="bcee", allowed=("bce", "focal"), remedy="write one of them"
    )
    stream = Terminal()
    print_error(error, str(error), 2, OutputOptions(), stream)
    shown = stream.getvalue()
    told = ("models.0", "No loss is named 'bcee'.".lower(), "did you mean 'bce'?", "allowed: bce, focal.")
    assert [words for words in told if words not in shown.lower()] == []
    assert "→ Write one of them." in shown


def test_an_error_for_programs_has_the_same_facts_apart(capsys: Captured) -> None:
    assert main(["check", "no/recipe.yaml", "--json"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    error = json.loads(told.err)["error"]
    assert set(error) == {"message", "what", "field", "value", "allowed", "remedy", "status"}
    assert error["status"] == 2
    assert "cannot read the recipe" in error["message"]
    assert main(["rum", "--json"]) == 2
    assert "Did you mean 'run'?" in json.loads(capsys.readouterr().err)["error"]["message"]


def test_every_answer_about_a_run_is_one_json_document(finished: Path, screen: Path, capsys: Captured) -> None:
    def asked(*words: str) -> dict[str, object]:
        assert main([*words, "--json"]) == 0
        told = capsys.readouterr()
        assert told.err == ""
        document: dict[str, object] = json.loads(told.out)
        return document

    report = asked("report", str(finished))
    assert {"run", "metric", "value", "low", "high", "prediction_interval", "steps", "classes", "files"} <= set(report)
    assert report["value"] == report["metrics"][report["metric"]]["value"]  # type: ignore[index]
    steps = asked("run", str(finished / "recipe.yaml"), "--out", str(finished), "--dry-run")["steps"]
    assert {(one["state"], tuple(one["changed"])) for one in steps} == {("kept", ())}  # type: ignore[attr-defined]
    predicted = asked("predict", str(finished), str(screen / "test.csv"))
    assert predicted["rows"] == len(predicted["predictions"]) == 20  # type: ignore[arg-type]


def test_quiet_says_nothing_but_the_answer(finished: Path, screen: Path, capsys: Captured) -> None:
    assert main(["--quiet", "predict", str(finished), str(screen / "test.csv")]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith("id,labels,")


def test_the_manner_may_stand_anywhere_before_two_dashes() -> None:
    assert parse_output_options(["report", "x", "--json", "-q"]) == (
        ["report", "x"],
        OutputOptions(quiet=True, json=True),
    )
    assert parse_output_options(["predict", "--", "--json"]) == (["predict", "--", "--json"], OutputOptions())


def test_the_version_is_said(capsys: Captured) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("holotype ")
    assert main(["--version", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"version"}


@pytest.mark.parametrize("columns", [60, 100, 160])
def test_a_bar_shows_where_the_value_and_its_interval_lie(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    spans = [
        IntervalCell(0.0),
        IntervalCell(1.0),
        IntervalCell(0.5, 0.25, 0.75),
        IntervalCell(None),
        IntervalCell(0.2, -1.0, 3.0),
    ]
    table = Table(("name", "bar"), [(str(number), span) for number, span in enumerate(spans)])
    stream = Terminal()
    print_result(
        CommandResult(["plain"], {}, [table, TextLine("[bold]kept[/bold] as it is", "note"), CodeBlock("a: 1")]),
        OutputOptions(),
        stream,
    )
    shown = stream.getvalue()
    assert "not defined" in shown
    assert "[bold]kept[/bold] as it is" in shown
    assert shown.count("●") == 4
    assert max(len(line) for line in plainly(shown).splitlines()) <= columns


def plainly(shown: str) -> str:
    from rich.text import Text

    return Text.from_ansi(shown).plain


def test_of_very_many_classes_the_worst_are_shown() -> None:
    metric = {
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "samples": 10,
        "groups": 3,
        "prediction_interval": {"low": 0.3, "high": 0.7, "rows": 5},
    }
    one = {"support": 3, "low": 0.0, "high": 1.0, "precision": None, "recall": 0.1}
    classes = [{"name": f"c{number}", "f1": number / 100, **one} for number in range(99)]
    looks = score_table({"metrics": {"macro_f1": metric}, "steps": [], "classes": classes})
    table = looks[-1]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows[:2]] == ["c0", "c1"]
    assert "of 99" in table.below


def test_of_very_many_answers_the_first_are_shown() -> None:
    import polars as pl

    frame = pl.DataFrame({"id": [f"i{n}" for n in range(50)], "labels": "a", "p1": 0.5})
    (table,) = prediction_table(frame)
    assert isinstance(table, Table)
    assert (len(table.rows), "and 10 more" in table.below) == (40, True)


def test_a_stream_of_another_encoding_gets_plain_lines() -> None:
    class Latin(Terminal):
        encoding = "latin-1"  # type: ignore[assignment]

    assert is_interactive(Terminal())
    assert not is_interactive(Latin())


def test_progress_on_a_dumb_terminal_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(stream).task("Reading", 1) as task:
        task.advance()
    assert stream.getvalue().startswith("Reading: 1 of 1 images")
    assert "\x1b" not in stream.getvalue()


def test_the_shell_is_offered_recipes_runs_and_keys(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.parents[1])
    assert complete_recipe("") == ["recipe.yaml", "runs/cells/recipe.yaml"]
    assert complete_recipe("./rec") == ["./recipe.yaml"]
    assert complete_run("ru") == ["runs/cells"]
    assert complete_run(f"{finished.parent}/") == [str(finished)]
    assert complete_setting("models.0.back") == ["models.0.backbone="]
    assert complete_setting("models.0.phases.0.epo") == ["models.0.phases.0.epochs="]
    assert {"metric=macro_f1", "metric=map"} <= set(complete_setting("met"))
    assert complete_setting("metric=acc") == ["metric=accuracy"]
    assert complete_setting("no.such.key") == complete_recipe("no/such/folder/") == []


def test_a_tab_in_bash_completes_a_run(finished: Path) -> None:
    asked = {"_HOLOTYPE_COMPLETE": "complete_bash", "COMP_WORDS": "holotype report ru", "COMP_CWORD": "2"}
    command = [sys.executable, "-c", "from holotype.cli.main import main; main()"]
    done = subprocess.run(
        command, env=environment(**asked), cwd=finished.parents[1], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["runs/cells"]


def scores_of(groups: int, high: float | None) -> dict[str, object]:
    metric = {
        "value": 0.5,
        "low": 0.0,
        "high": high,
        "samples": 34,
        "groups": groups,
        "prediction_interval": {"low": 0.0, "high": high, "rows": 5},
    }
    step = {
        "step": "one",
        "value": 0.5,
        "low": 0.0,
        "high": 1.0,
        "difference": {"value": 0.1, "low": None, "high": None},
    }
    return {"metrics": {"macro_f1": metric, "log_loss": metric}, "steps": [step, step], "classes": []}


@pytest.mark.parametrize(("groups", "words"), [(1, "of one independent group"), (2, "two independent groups only")])
def test_a_score_of_one_or_two_groups_begins_with_a_warning(groups: int, words: str) -> None:
    scores = scores_of(groups, None)
    first, line = score_lines(scores)
    assert words in first
    assert first.startswith("warning: The 34 scored samples")
    assert "0.000 or more" in line
    note = score_table(scores)[0]
    assert isinstance(note, TextLine)
    assert words in note.text


def test_a_score_of_three_groups_has_no_such_warning() -> None:
    (line,) = score_lines(scores_of(3, 1.0))
    assert line.startswith("macro_f1 0.500 on 34 samples in 3 independent groups; 95 % interval 0.000 to 1.000, ")
    assert isinstance(score_table(scores_of(3, 1.0))[0], Table)


@pytest.mark.parametrize(
    ("rows", "words"), [(34, "a new test set of the same size should"), (5, "set of 5 rows should")]
)
def test_a_test_set_has_the_size_of_the_test_table_or_the_same_size(rows: int, words: str) -> None:
    scores = scores_of(3, 1.0)
    scores["metrics"]["macro_f1"]["prediction_interval"] = {"low": 0.1, "high": 0.9, "rows": rows}
    assert words in score_lines(scores)[0]


def test_an_interval_that_holds_for_a_new_test_set_too_is_shown_once() -> None:
    scores = scores_of(3, 1.0)
    assert score_lines(scores)[0].endswith("95 % interval 0.000 to 1.000, also for a new test set of 5 rows")
    table = score_table(scores)[0]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["macro_f1", "log_loss"]
    assert table.below == "The same interval holds for a new test set of 5 rows."
    scores["metrics"]["macro_f1"]["prediction_interval"]["high"] = 0.9
    assert "should fall between 0.000 and 0.900" in score_lines(scores)[0]
    assert score_table(scores)[0].rows[1][0] == "a new test set"


def test_without_a_test_table_the_table_is_named_as_out_of_fold_predictions(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('{"metrics": {}, "steps": [], "classes": []}', encoding="utf-8")
    for name in ("report.html", "predictions.csv"):
        (tmp_path / name).touch()
    table = tmp_path / "predictions.csv"
    result = report_run(tmp_path, show=False)
    assert result.lines[-2:] == [
        f"Report:      {tmp_path / 'report.html'}",
        f"Predictions: {table} (out-of-fold, of the training images)",
    ]
    (tmp_path / "submission.csv").touch()
    assert report_run(tmp_path, show=False).lines[-1] == f"Table:      {table}"


def test_a_run_without_a_score_says_so() -> None:
    nothing = {"metrics": {}, "steps": [], "classes": [], "method": "nothing was scored"}
    assert score_lines(nothing) == ["nothing was scored"]
    assert len(score_table(nothing)) == 1
