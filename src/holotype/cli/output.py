"""Output formats: tables and bars on a terminal, plain lines in a pipe, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from holotype.core.errors import HolotypeError, truncate
from holotype.core.progress import Progress, is_interactive

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

FLAGS = {"--quiet": "quiet", "-q": "quiet", "--json": "json", "--debug": "debug"}
BAR_WIDTHS = {110: 32, 90: 24, 0: 12}  # cells from nought to one, by the columns of the terminal


@dataclass(frozen=True)
class OutputOptions:
    """Output options of the command line. `quiet`: neither progress nor notes, only the result."""

    quiet: bool = False
    json: bool = False
    debug: bool = False

    @property
    def progress(self) -> Progress:
        """Progress reporter for these options."""
        return Progress(quiet=self.quiet or self.json)


@dataclass(frozen=True)
class IntervalCell:
    """Number with its interval, drawn on a scale from 0 to 1."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Table:
    """Table for a terminal.

    Args:
        columns: Headings; one that ends in `>` is right-aligned.
        rows: Cells: text, numbers, or an `IntervalCell`, which becomes a bar.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | int | float | IntervalCell | None]]
    title: str = ""
    below: str = ""


@dataclass(frozen=True)
class TextLine:
    """Sentence with a mark. `kind`: `note`, `done` or `plain`."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True)
class CodeBlock:
    """Text with syntax highlighting."""

    text: str
    language: str = "yaml"


@dataclass(frozen=True)
class CommandResult:
    """Result of a command in its three formats."""

    lines: Sequence[str]
    data: Mapping[str, Any]
    blocks: Sequence[Table | TextLine | CodeBlock] = field(default=())


Work = Callable[[Progress], CommandResult]
"""What a command does once it is known where news of it go."""


def parse_output_options(words: Sequence[str]) -> tuple[list[str], OutputOptions]:
    """Split output options, which may stand anywhere, from the other arguments.

    `words`: as in `sys.argv[1:]`; everything after `--` is kept.
    """
    end = words.index("--") if "--" in words else len(words)
    flags = {FLAGS[word]: True for word in words[:end] if word in FLAGS}
    return [word for word in words[:end] if word not in FLAGS] + list(words[end:]), OutputOptions(**flags)


def print_result(result: CommandResult, options: OutputOptions, stream: TextIO | None = None) -> None:
    """Print a result."""
    stream = stream or sys.stdout
    if options.json:
        text = json.dumps(result.data, indent=2, ensure_ascii=False, allow_nan=False, default=str)
        print(text, file=stream, flush=True)
    elif result.blocks and is_interactive(stream):
        console = _make_console(stream)
        cells = next(cells for columns, cells in BAR_WIDTHS.items() if console.width >= columns)
        for block in result.blocks:
            console.print(_render_block(block, cells))
    else:
        for line in result.lines:
            print(line, file=stream, end="" if line.endswith("\n") else "\n", flush=True)


def print_error(
    error: BaseException, sentence: str, status: int, options: OutputOptions, stream: TextIO | None = None
) -> None:
    """Print an error: a box on a terminal, one line in a pipe, or one JSON document."""
    stream = stream or sys.stderr
    if options.json:
        print(
            json.dumps({"error": _error_fields(error, sentence) | {"status": status}}, ensure_ascii=False), file=stream
        )
    elif is_interactive(stream):
        _make_console(stream).print(_error_panel(_error_fields(error, sentence)))
    else:
        print(f"holotype: {sentence}", file=stream)


def _error_fields(error: BaseException, sentence: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"message": sentence, "what": sentence, "field": "", "value": None}
    facts |= {"allowed": [], "remedy": ""}
    if not isinstance(error, HolotypeError):
        return facts
    facts |= {"what": error.what, "field": error.field, "allowed": list(error.allowed), "remedy": error.remedy}
    return facts | {"value": _to_json_value(error.value)}


def _to_json_value(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 63 else truncate(value)
    return value if value is None or isinstance(value, bool | float) else truncate(value, 400)


def _make_console(stream: TextIO) -> Console:
    from rich.console import Console  # slow, and `--help` does without it

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def _error_panel(facts: Mapping[str, Any]) -> RenderableType:
    from rich.panel import Panel
    from rich.text import Text

    from holotype.core.errors import did_you_mean, join_names

    message = Text()
    if facts["field"]:
        message.append(f"{facts['field']}\n", style="bold")
    message.append(" ".join(str(facts["what"]).split()).removesuffix(".") + ".")
    near = did_you_mean(str(facts["value"]), facts["allowed"]) if facts["value"] is not None else ""
    allowed = f"allowed: {join_names(facts['allowed'])}" if facts["allowed"] else ""
    for words, style in ((near, "bold"), (allowed, "dim"), (facts["remedy"], "green")):
        if words:
            mark = "→ " if words is facts["remedy"] else ""
            message.append(f"\n{mark}{words[:1].upper()}{words[1:]}{'' if words.endswith('?') else '.'}", style=style)
    return Panel(message, title="holotype", title_align="left", border_style="red", padding=(0, 1))


def _render_block(block: Table | TextLine | CodeBlock, cells: int) -> RenderableType:
    from rich.syntax import Syntax
    from rich.text import Text

    if isinstance(block, CodeBlock):
        return Syntax(block.text.rstrip("\n"), block.language, background_color="default", word_wrap=True)
    if isinstance(block, TextLine):
        mark, style = {"note": ("! ", "yellow"), "done": ("✓ ", "green"), "plain": ("", "")}[block.kind]
        return Text.assemble((mark, style), block.text)
    return _render_table(block, cells)


def _render_table(block: Table, cells: int) -> RenderableType:
    from rich import box
    from rich.table import Table as RichTable

    table = RichTable(
        box=box.SIMPLE_HEAD,
        title=block.title or None,
        caption=block.below or None,
        pad_edge=False,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="dim",
        header_style="dim",
    )
    for name in block.columns:
        justify: Any = "right" if name.endswith(">") else "left"
        table.add_column(name.removesuffix(">"), justify=justify, overflow="fold")
    for row in block.rows:
        table.add_row(*(_render_cell(value, cells) for value in row))
    return table


def _render_cell(value: str | float | IntervalCell | None, cells: int) -> Text:
    from rich.text import Text

    if isinstance(value, IntervalCell):
        return _render_bar(value, cells)
    if isinstance(value, float):
        return Text(f"{value:.3f}")
    return Text("" if value is None else f"{value:,}" if isinstance(value, int) else value)


def _render_bar(span: IntervalCell, cells: int) -> Text:
    from rich.text import Text

    if span.value is None:
        return Text("not defined", style="dim")
    low = span.value if span.low is None else span.low
    high = span.value if span.high is None else span.high
    first, middle, last = (min(int(max(number, 0.0) * cells), cells - 1) for number in (low, span.value, high))
    bar = Text(f"{span.value:.3f} ", style="bold", no_wrap=True)
    bar.append("─" * first, style="dim").append("━" * (middle - first), style="cyan")
    bar.append("●", style="bold cyan").append("━" * (last - middle), style="cyan")
    return bar.append("─" * (cells - 1 - last), style="dim")
