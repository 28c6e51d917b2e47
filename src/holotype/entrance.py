"""One call of the command line: its manner, its answer, its errors and its exit status."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

import typer

from holotype.errors import HolotypeError, first_line, shortened
from holotype.terminal import Answer, Manner, deliver, read_manner, refuse

__all__ = ["enter"]

INTERRUPTED = 130  # what typer makes of Ctrl-C, in some versions as an exception and in some as a status
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)  # of torch's errors
NO_MEMORY = (
    "the memory of this machine is too short: smaller images, a smaller batch (`run.batch`) or fewer threads "
    "need less; `--debug` shows where."
)
STOPPED = "stopped; run the same command again to go on."


def enter(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command and deliver what it returns; whatever goes wrong is one sentence and an exit status.

    Args:
        app: Its commands return their work, an `Answer`, or nothing where they have written themselves.
        arguments: As in `sys.argv[1:]`.

    Returns:
        0 done, 1 the work failed, 2 what was handed in is wrong.
    """
    words, manner = read_manner(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that is no text in this terminal's encoding stops no answer
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        answer = app(words or ["--help"], prog_name="holotype", standalone_mode=False, obj=manner)
        answer = answer(manner.progress) if callable(answer) else answer
        if isinstance(answer, Answer):
            deliver(answer, manner)
            return 0
        status = answer
    except BrokenPipeError:  # `holotype ... | head`: the work is done, and nobody reads on
        _be_quiet()
        return 0
    except (HolotypeError, OSError) as error:
        if manner.debug:
            raise
        status = error.exit_status if isinstance(error, HolotypeError) else 1
        refuse(error, _sentence(error), status, manner)
        return status
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BaseException as error:  # noqa: BLE001  (a panic of Polars is no Exception, and nobody wants its traceback)
        return _foreign(error, manner)
    if status == INTERRUPTED:
        refuse(KeyboardInterrupt(), STOPPED, 1, manner)
    return 1 if status else 0


def _sentence(error: Exception) -> str:
    """An error in one line; what the disk refuses beyond the store has no words of ours."""
    if isinstance(error, OSError):
        place = f"{shortened(error.filename, 400)}: " if error.filename else ""
        return f"{place}{error.strerror or first_line(error)}; `--debug` shows where."
    return " ".join(str(error).splitlines())


def _foreign(error: BaseException, manner: Manner) -> int:
    """What is no error of ours: a wrong use of the command line, an end that was asked for, or a mistake of ours."""
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if hasattr(error, "format_message"):  # typer ships its own click, so that its errors have no public class
        said = shortened(" ".join(error.format_message().split()), 1000)
        refuse(error, f"{said}{'' if said.endswith(('.', '?')) else '.'} See `holotype --help`.", 2, manner)
        return 2
    if manner.debug:
        raise error
    refuse(error, _foreign_sentence(error), 1, manner)
    return 1


def _foreign_sentence(error: BaseException) -> str:
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))):
        return NO_MEMORY
    named = [type(error).__name__, first_line(error)]
    words = named[0] if named[0] == named[1] else ": ".join(named)
    return f"internal error: {words}; this is a mistake of Holotype's, not yours: report it with what `--debug` shows."


def _be_quiet() -> None:
    """Let Python write what is left for whoever read our output, and has gone, into nothing."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
