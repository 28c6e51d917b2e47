"""How a run came about, for its report: the command, the stages with time and memory, the digests."""

from __future__ import annotations

import os
import shlex
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holotype.cache import Stages
from holotype.core.digest import digest_value
from holotype.report import Provenance, StageFacts

__all__ = ["describe_run", "optional_work", "stage_costs"]


def describe_run(stages: Stages, recipe: str) -> Provenance:
    """The command that does it again, what each stage took, and the digests of what was read.

    Args:
        stages: Of the run.
        recipe: The resolved recipe as it is written into the run's folder.
    """
    folder = stages.log.path.parent
    commands = {}
    called = stages.log.read("run")
    if called:
        commands["As it was called, from the run's folder"] = _format_command(called[-1])
    again = shlex.join(["holotype", "run", "recipe.yaml", "--out", f"../{folder.resolve().name}-again"])
    commands["From the recipe in the run's folder, there"] = again
    rows = [
        StageFacts(name, stages.states[name], cost.get("seconds", 0.0), cost.get("peak_mb"))
        for name, cost in stages.costs.items()
    ]
    return Provenance(commands, tuple(rows), {"recipe": digest_value(recipe), **stages.digests})


@contextmanager
def optional_work(what: str, stages: Stages) -> Iterator[None]:
    """Optional work after the training: whatever fails in it becomes a note with the command that makes it later.

    Args:
        what: The work, in words.
        stages: Of the run; their log keeps the traceback.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  (no trained network is lost to a picture, a disk or a sentence)
        _report_failure(what, error, stages)


def _report_failure(what: str, error: Exception, stages: Stages) -> None:
    reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
    folder = stages.log.path.parent
    called = stages.log.read("run")
    again = "the same command"
    if called:
        recipe = os.path.normpath(folder.resolve() / str(called[-1].get("recipe")))
        again = _format_command({**called[-1], "recipe": recipe}, folder.resolve())
    trace = "".join(traceback.format_exception(error))
    stages.log.write("failed", what=what, error=type(error).__name__, traceback=trace)
    stages.progress.info(
        f"note: {what} could not be made: {reason}; everything else of the run is written; to make it later, run "
        f"{again}, which trains nothing again"
    )


def stage_costs(events: list[dict[str, Any]]) -> dict[str, tuple[float, float | None]]:
    """Seconds and megabytes of each stage of a finished run, by whichever run made it.

    Args:
        events: The lines `stage` of its log, oldest first; the last of each stage counts.
    """
    costs = {}
    for event in events:
        cost = event.get("took") or event
        costs[event["stage"]] = (float(cost.get("seconds") or 0.0), cost.get("peak_mb"))
    return costs


def _format_command(event: dict[str, Any], folder: Path | str = ".") -> str:
    words = ["holotype", "run", str(event.get("recipe")), "--out", str(folder)]
    for change in event.get("changes") or []:
        words += ["--set", str(change)]
    if event.get("budget"):
        words += ["--budget", str(event["budget"])]
    return shlex.join(words)
