"""How a run came about, for its report: the command, the stages with time and memory, the digests."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from holotype.digest import digest_value
from holotype.report import Provenance, StageFacts
from holotype.store import Stages

__all__ = ["as_it_was_made", "how_it_was_run"]


def how_it_was_run(stages: Stages, recipe: str) -> Provenance:
    """The command that does it again, what each stage took, and the digests of what was read.

    Args:
        stages: Of the run.
        recipe: The resolved recipe as it is written into the run's folder.
    """
    folder = stages.log.path.parent
    commands = {}
    called = stages.log.read("run")
    if called:
        commands["As it was called"] = _command(called[-1], folder)
    written = shlex.join(["holotype", "run", str(folder / "recipe.yaml"), "--out", "again"])
    commands["From the recipe in the run's folder"] = written
    earlier = as_it_was_made(stages.log.read("stage"))
    rows = []
    for name, seconds in stages.seconds.items():
        state = stages.states.get(name, "made")
        known = earlier.get(name) if state == "reused" else None
        spent, held = known or (seconds, stages.memory.get(name))
        rows.append(StageFacts(name, state, spent, held))
    return Provenance(commands, tuple(rows), {"recipe": digest_value(recipe), **stages.digests})


def as_it_was_made(events: list[dict[str, Any]]) -> dict[str, tuple[float, float | None]]:
    """Seconds and megabytes of each stage when this folder's runs last made what it is now taken from.

    Args:
        events: The lines `stage` of the run's log, oldest first.
    """
    now = {event["stage"]: event.get("key") for event in events}
    return {
        event["stage"]: (float(event["seconds"]), event.get("peak_mb"))
        for event in events
        if event["state"] != "reused" and event.get("key") == now[event["stage"]]
    }


def _command(event: dict[str, Any], folder: Path) -> str:
    words = ["holotype", "run", str(event.get("recipe")), "--out", str(folder.resolve())]
    for change in event.get("changes") or []:
        words += ["--set", str(change)]
    if event.get("budget"):
        words += ["--budget", str(event["budget"])]
    return shlex.join(words)
