"""How a run came about, for its report: the command, the stages with time and memory, the digests."""

from __future__ import annotations

import shlex
from pathlib import Path

from holotype.digest import digest_value
from holotype.report import Provenance, StageFacts
from holotype.store import Stages

__all__ = ["how_it_was_run"]


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
    rows = [
        StageFacts(name, stages.states.get(name, "made"), seconds, stages.memory.get(name))
        for name, seconds in stages.seconds.items()
    ]
    return Provenance(commands, tuple(rows), {"recipe": digest_value(recipe), **stages.digests})


def _command(event: dict[str, object], folder: Path) -> str:
    words = ["holotype", "run", str(event.get("recipe")), "--out", str(folder.resolve())]
    changes = event.get("changes")
    for change in changes if isinstance(changes, list) else []:
        words += ["--set", str(change)]
    if event.get("budget"):
        words += ["--budget", str(event["budget"])]
    return shlex.join(words)
