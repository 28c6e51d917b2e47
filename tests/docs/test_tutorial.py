"""The tutorial does what it says: its blocks are run in their order, with fewer images, and their outputs compared."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holotype.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
SMALLER = {
    "SimulationPlan(train=480, test=120)": "SimulationPlan(train=60, test=20, size=32, duplicates=0.1)",
    "--set models.0.phases.0.epochs=12 --set models.0.input.size=64": "--set run.threads=1 "
    "--set models.0.backbone=test_efficientnet --set models.0.weights=none --set models.0.input.size=32 "
    "--set models.0.phases.0.epochs=1 --set models.0.neighbors=null",
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d[\d,.]*")


@dataclass(frozen=True)
class Block:
    """A fenced block that is run.

    Args:
        line: Where it begins in the page.
        language: `sh` or `python`.
        code: What is run.
        shown: The `text` block right below it, or nothing.
    """

    line: int
    language: str
    code: str
    shown: str | None


def blocks_of(page: str) -> Iterator[Block]:
    """The blocks of a page that are run; `console` and others are only read.

    Args:
        page: Markdown.
    """
    found = list(FENCE.finditer(page))
    for place, fence in enumerate(found):
        language, code = fence.groups()
        if language not in {"sh", "python"}:
            continue
        after = found[place + 1] if place + 1 < len(found) else None
        below = after is not None and after[1] == "text" and not page[fence.end() : after.start()].strip()
        yield Block(page.count("\n", 0, fence.start()) + 1, language, code, after[2] if after and below else None)


def run_page(page: str, folder: Path) -> list[str]:
    """Run every block in a folder and compare what is shown with what was said.

    Args:
        page: Markdown.
        folder: Where to work.

    Returns:
        What was not as shown, one entry a block.
    """
    names: dict[str, Any] = {}
    faults = []
    for block in blocks_of(page):
        said = run_block(block, folder, names)
        if block.shown is not None and not is_shown(block.shown, said):
            faults.append(f"line {block.line}: shown\n{block.shown}\nsaid\n{said}")
    return faults


def run_block(block: Block, folder: Path, names: dict[str, Any]) -> str:
    """What a block writes to standard output; commands of ours run in this process, which has the libraries loaded.

    Args:
        block: From `blocks_of`.
        folder: Where to work.
        names: What Python blocks before it left behind.
    """
    told = io.StringIO()
    with chdir(folder), redirect_stdout(told):
        if block.language == "python":
            exec(compile(block.code, f"line {block.line}", "exec"), names)
            return told.getvalue()
        for line in block.code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["holotype"]:
                assert main(words[1:]) == 0, f"line {block.line}: {line}"
            elif words:
                done = subprocess.run(["bash", "-ec", line], capture_output=True, text=True, check=True)
                told.write(done.stdout)
    return told.getvalue()


def is_shown(shown: str, said: str) -> bool:
    """Whether something was said as it is shown: figures may be others, `...` ends a line or stands for any lines.

    Args:
        shown: What the page shows.
        said: What was said.
    """
    pattern = ""
    for line in shown.rstrip("\n").splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*"
            continue
        start, rest = (line[:-3], r"[^\n]*") if line.endswith("...") else (line, "")
        pattern += r"[\d,.]+".join(re.escape(part) for part in NUMBER.split(start)) + rest + r"\n"
    return re.fullmatch(pattern, said if said.endswith("\n") else f"{said}\n") is not None


def replaced(page: str, changes: Mapping[str, str]) -> str:
    """A page with other sizes; a change that fits nowhere is a mistake.

    Args:
        page: Markdown.
        changes: What stands there, and what is run instead.
    """
    for old, new in changes.items():
        assert old in page, f"the page does not say {old!r} any more"
        page = page.replace(old, new)
    return page


def test_the_tutorial_runs_as_it_is_written(tmp_path: Path) -> None:
    page = replaced(PAGE.read_text(encoding="utf-8"), SMALLER)
    assert run_page(page, tmp_path) == []
    assert (tmp_path / "runs" / "halves" / "report.html").is_file()


def test_a_block_is_run_with_what_those_before_it_left_behind(tmp_path: Path) -> None:
    page = """
```python
word = "cells"
```
```console
$ false
```
```sh
printf 'one\\ntwo 3\\n'
```

```text
one
two 7
```
```python
print(word)
```
```text
nuclei
```
"""
    faults = run_page(page, tmp_path)
    assert len(faults) == 1
    assert faults[0].startswith("line 16: shown\nnuclei")


def test_a_command_that_fails_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run_page("```sh\nfalse\n```\n", tmp_path)
    with pytest.raises(AssertionError, match="line 1: holotype check"):
        run_page("```sh\nholotype check missing.yaml\n```\n", tmp_path)


@pytest.mark.parametrize(
    ("shown", "said", "right"),
    [
        ("macro_f1 0.61 on 480 samples\n", "macro_f1 0.3 on 1,480 samples\n", True),
        ("macro_f1 0.61\n", "macro_f1 nan\n", False),
        ("Report: ...\n", "Report: runs/cells\n", True),
        ("...\nlast\n", "first\nsecond\nlast\n", True),
        ("first\n...\n", "second\n", False),
        ("first\n", "first\nsecond\n", False),
    ],
)
def test_words_count_and_figures_do_not(shown: str, said: str, right: bool) -> None:
    assert is_shown(shown, said) is right
