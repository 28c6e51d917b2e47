"""Execution of one command: output options, result, errors and exit status."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

import typer

from holotype.cli.output import CommandResult, OutputOptions, parse_output_options, print_error, print_result
from holotype.core.errors import HolotypeError, first_line, truncate
from holotype.core.plugins import announced_plugins, describe_plugin_error
from holotype.core.stop import STOPPED_STATUS, StopRequested

INTERRUPTED_STATUS = 130  # what typer makes of Ctrl-C, in some versions as an exception and in some as a status
_OUT_OF_MEMORY_PATTERN = re.compile(
    r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE
)  # of torch's errors
OUT_OF_MEMORY_MESSAGE = (
    "out of memory: use smaller images, a smaller batch (`run.batch`) or fewer threads; `--debug` shows the traceback."
)
INTERRUPTED_MESSAGE = "interrupted; run the same command again to resume."


def run_command(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command and print its result; any error becomes one sentence and an exit status.

    `arguments`: as in `sys.argv[1:]`. Returns 0 success, 1 failure, 2 invalid input, 75 stopped by a signal.
    """
    words, options = parse_output_options(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that is no text in this terminal's encoding stops no answer
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with announced_plugins(lambda sentence: options.progress.info(f"note: {sentence}")):
            result = app(words or ["--help"], prog_name="holotype", standalone_mode=False, obj=options)
            result = result(options.progress) if callable(result) else result
        if isinstance(result, CommandResult):
            print_result(result, options)
            return 0
        status = result
    except BrokenPipeError:  # `holotype ... | head`: the work is done, and nobody reads on
        _discard_stdout()
        return 0
    except (HolotypeError, OSError) as error:
        if options.debug:
            raise
        status = error.exit_status if isinstance(error, HolotypeError) else 1
        print_error(error, _format_error(error), status, options)
        return status
    except StopRequested as stop:
        print_error(stop, f"stopped by {stop}; run the same command again to resume.", STOPPED_STATUS, options)
        return STOPPED_STATUS
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED_STATUS
    except BaseException as error:  # noqa: BLE001  (a panic of Polars is no Exception, and nobody wants its traceback)
        names = {command.name for command in app.registered_commands}
        return _handle_other_error(error, options, next((word for word in words[:1] if word in names), ""))
    if status == INTERRUPTED_STATUS:
        print_error(KeyboardInterrupt(), INTERRUPTED_MESSAGE, 1, options)
    return 1 if status else 0


def _format_error(error: Exception) -> str:
    if isinstance(error, OSError):
        file_name = f"{truncate(error.filename, 400)}: " if error.filename else ""
        return f"{file_name}{error.strerror or first_line(error)}; `--debug` shows the traceback."
    return " ".join(str(error).splitlines())


def _handle_other_error(error: BaseException, options: OutputOptions, command: str) -> int:
    """Handle exceptions other than `HolotypeError`: wrong usage, exit, interruption, internal errors."""
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if hasattr(error, "format_message"):  # typer ships its own click, so that its errors have no public class
        message = truncate(" ".join(error.format_message().split()), 1000)
        message = re.sub(r"(Did you mean [^?]*\?)( \1)+", r"\1", message)  # some versions suggest it twice
        print_error(error, _end_with_help(message, command), 2, options)
        return 2
    if options.debug:
        raise error
    print_error(error, _format_internal_error(error), 1, options)
    return 1


def _end_with_help(message: str, command: str) -> str:
    end = "" if message.endswith((".", "?")) else "."
    return f"{message}{end} See `{' '.join(['holotype', *([command] if command else []), '--help'])}`."


def _format_internal_error(error: BaseException) -> str:
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _OUT_OF_MEMORY_PATTERN.search(str(error))
    ):
        return OUT_OF_MEMORY_MESSAGE
    plugin_error = describe_plugin_error(error)
    if plugin_error is not None:
        return f"{plugin_error}; `--debug` shows the traceback."
    named = [type(error).__name__, first_line(error)]
    words = named[0] if named[0] == named[1] else ": ".join(named)
    return f"internal error: {words}; this is a bug in Holotype: please report it with the output of `--debug`."


def _discard_stdout() -> None:
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
