"""How answers look: tables and bars on a terminal, plain lines through a pipe, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from holotype.errors import HolotypeError, shortened
from holotype.progress import Progress, is_lively

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

__all__ = ["Answer", "Listing", "Manner", "Note", "Span", "Table", "Work", "deliver", "read_manner", "refuse"]

FLAGS = {"--quiet": "quiet", "-q": "quiet", "--json": "json", "--debug": "debug"}
BARS = {110: 32, 90: 24, 0: 12}  # cells from nought to one, by the columns of the terminal


@dataclass(frozen=True)
class Manner:
    """How a person or a program wants to be answered.

    Args:
        quiet: Neither progress nor notes, only the answer.
        json: The answer as one JSON document, an error as another.
        debug: Show where an error came from.
    """

    quiet: bool = False
    json: bool = False
    debug: bool = False

    @property
    def progress(self) -> Progress:
        """Where news of the work goes."""
        return Progress(quiet=self.quiet or self.json)


@dataclass(frozen=True)
class Span:
    """A number with its interval, drawn on a scale from 0 to 1.

    Args:
        value: In the middle; none where it is not defined.
        low: Lower end; the value where there is no interval.
        high: Upper end.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        columns: Their headings; one that ends in `>` is set to the right.
        rows: Cells: text, numbers, or a `Span`, which becomes a bar.
        title: Above it.
        below: A remark below it.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | int | float | Span | None]]
    title: str = ""
    below: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence, drawn in by a mark.

    Args:
        text: The sentence.
        kind: `note`, `done` or `plain`.
    """

    text: str
    kind: str = "plain"


@dataclass(frozen=True)
class Listing:
    """A text in a language that is coloured.

    Args:
        text: The text.
        language: As pygments names it.
    """

    text: str
    language: str = "yaml"


@dataclass(frozen=True)
class Answer:
    """What a command answers, in the three forms in which it is read.

    Args:
        lines: For a pipe: plain and never wrapped.
        data: For a program: what `--json` prints.
        looks: For a terminal; the lines where there are none.
    """

    lines: Sequence[str]
    data: Mapping[str, Any]
    looks: Sequence[Table | Note | Listing] = field(default=())


Work = Callable[[Progress], Answer]
"""What a command does once it is known where news of it go."""


def read_manner(words: Sequence[str]) -> tuple[list[str], Manner]:
    """The manner that is asked for anywhere on a command line, and the other words.

    Args:
        words: As in `sys.argv[1:]`; what follows `--` is left alone.
    """
    end = words.index("--") if "--" in words else len(words)
    asked = {FLAGS[word]: True for word in words[:end] if word in FLAGS}
    return [word for word in words[:end] if word not in FLAGS] + list(words[end:]), Manner(**asked)


def deliver(answer: Answer, manner: Manner, stream: TextIO | None = None) -> None:
    """Write an answer.

    Args:
        answer: From a command.
        manner: How it is wanted.
        stream: Where to; standard output where none is given.
    """
    stream = stream or sys.stdout
    if manner.json:
        text = json.dumps(answer.data, indent=2, ensure_ascii=False, allow_nan=False, default=str)
        print(text, file=stream, flush=True)
    elif answer.looks and is_lively(stream):
        console = _console(stream)
        cells = next(cells for columns, cells in BARS.items() if console.width >= columns)
        for look in answer.looks:
            console.print(_drawn(look, cells))
    else:
        for line in answer.lines:
            print(line, file=stream, end="" if line.endswith("\n") else "\n", flush=True)


def refuse(error: BaseException, sentence: str, status: int, manner: Manner, stream: TextIO | None = None) -> None:
    """Write an error: a box on a terminal, one line through a pipe, or one JSON document.

    Args:
        error: What was raised.
        sentence: The whole error as one sentence.
        status: The exit status.
        manner: How it is wanted.
        stream: Where to; standard error where none is given.
    """
    stream = stream or sys.stderr
    if manner.json:
        print(json.dumps({"error": _facts(error, sentence) | {"status": status}}, ensure_ascii=False), file=stream)
    elif is_lively(stream):
        _console(stream).print(_box(_facts(error, sentence)))
    else:
        print(f"holotype: {sentence}", file=stream)


def _facts(error: BaseException, sentence: str) -> dict[str, Any]:
    """An error for programs: the same keys whatever it is of."""
    facts: dict[str, Any] = {"message": sentence, "what": sentence, "field": "", "value": None}
    facts |= {"allowed": [], "remedy": ""}
    if not isinstance(error, HolotypeError):
        return facts
    facts |= {"what": error.what, "field": error.field, "allowed": list(error.allowed), "remedy": error.remedy}
    return facts | {"value": _plain(error.value)}


def _plain(value: object) -> object:
    """A value as JSON can hold it, and no longer than a sentence."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 63 else shortened(value)
    return value if value is None or isinstance(value, bool | float) else shortened(value, 400)


def _console(stream: TextIO) -> Console:
    from rich.console import Console  # slow, and `--help` does without it

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def _box(facts: Mapping[str, Any]) -> RenderableType:
    from rich.panel import Panel
    from rich.text import Text

    from holotype.errors import did_you_mean, listing

    said = Text()
    if facts["field"]:
        said.append(f"{facts['field']}\n", style="bold")
    said.append(" ".join(str(facts["what"]).split()).removesuffix(".") + ".")
    near = did_you_mean(str(facts["value"]), facts["allowed"]) if facts["value"] is not None else ""
    allowed = f"allowed: {listing(facts['allowed'])}" if facts["allowed"] else ""
    for words, style in ((near, "bold"), (allowed, "dim"), (facts["remedy"], "green")):
        if words:
            mark = "→ " if words is facts["remedy"] else ""
            said.append(f"\n{mark}{words[:1].upper()}{words[1:]}{'' if words.endswith('?') else '.'}", style=style)
    return Panel(said, title="holotype", title_align="left", border_style="red", padding=(0, 1))


def _drawn(look: Table | Note | Listing, cells: int) -> RenderableType:
    from rich.syntax import Syntax
    from rich.text import Text

    if isinstance(look, Listing):
        return Syntax(look.text.rstrip("\n"), look.language, background_color="default", word_wrap=True)
    if isinstance(look, Note):
        mark, style = {"note": ("! ", "yellow"), "done": ("✓ ", "green"), "plain": ("", "")}[look.kind]
        return Text.assemble((mark, style), look.text)
    return _table(look, cells)


def _table(look: Table, cells: int) -> RenderableType:
    from rich import box
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, title=look.title or None, caption=look.below or None, pad_edge=False,
                      title_justify="left", caption_justify="left", title_style="bold", caption_style="dim",
                      header_style="dim")  # fmt: skip
    for name in look.columns:
        justify: Any = "right" if name.endswith(">") else "left"
        table.add_column(name.removesuffix(">"), justify=justify, overflow="fold")
    for row in look.rows:
        table.add_row(*(_cell(value, cells) for value in row))
    return table


def _cell(value: str | float | Span | None, cells: int) -> Text:
    from rich.text import Text

    if isinstance(value, Span):
        return _bar(value, cells)
    if isinstance(value, float):
        return Text(f"{value:.3f}")
    return Text("" if value is None else f"{value:,}" if isinstance(value, int) else value)


def _bar(span: Span, cells: int) -> Text:
    """A scale from 0 to 1 with the interval and the value on it, and the value in figures."""
    from rich.text import Text

    if span.value is None:
        return Text("not defined", style="dim")
    low = span.value if span.low is None else span.low
    high = span.value if span.high is None else span.high
    first, middle, last = (min(int(max(number, 0.0) * cells), cells - 1) for number in (low, span.value, high))
    drawn = Text(f"{span.value:.3f} ", style="bold", no_wrap=True)
    drawn.append("─" * first, style="dim").append("━" * (middle - first), style="cyan")
    drawn.append("●", style="bold cyan").append("━" * (last - middle), style="cyan")
    return drawn.append("─" * (cells - 1 - last), style="dim")
