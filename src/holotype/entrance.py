"""One call of the command line: its manner, its answer, its errors and its exit status."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from holotype.errors import HolotypeError
from holotype.terminal import Answer, Manner, deliver, read_manner, refuse

__all__ = ["enter"]

INTERRUPTED = 130  # what typer makes of Ctrl-C, in some versions as an exception and in some as a status
STOPPED = "stopped; run the same command again to go on."


def enter(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command and deliver what it returns; errors a person can mend are one sentence and an exit status.

    Args:
        app: Its commands return their work, an `Answer`, or nothing where they have written themselves.
        arguments: As in `sys.argv[1:]`.

    Returns:
        0 done, 1 the work failed, 2 what was handed in is wrong.
    """
    words, manner = read_manner(arguments)
    try:
        answer = app(words or ["--help"], prog_name="holotype", standalone_mode=False, obj=manner)
        answer = answer(manner.progress) if callable(answer) else answer
        if isinstance(answer, Answer):
            deliver(answer, manner)
            return 0
        status = answer
    except (HolotypeError, OSError) as error:
        if manner.debug:
            raise
        status = error.exit_status if isinstance(error, HolotypeError) else 1
        refuse(error, _sentence(error), status, manner)
        return status
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:  # noqa: BLE001  (what it does not know is raised again)
        return _usage_error(error, manner)
    if status == INTERRUPTED:
        refuse(KeyboardInterrupt(), STOPPED, 1, manner)
    return 1 if status else 0


def _sentence(error: Exception) -> str:
    """An error in one line; what the disk refuses beyond the store has no words of ours."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}; `--debug` shows where."
    return " ".join(str(error).splitlines())


def _usage_error(error: Exception, manner: Manner) -> int:
    """A wrong use of the command line in one sentence; anything else is a mistake of ours and keeps its traceback."""
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if not hasattr(error, "format_message"):  # typer ships its own click, so that its errors have no public class
        raise error
    said = " ".join(error.format_message().split())
    refuse(error, f"{said}{'' if said.endswith(('.', '?')) else '.'} See `holotype --help`.", 2, manner)
    return 2
