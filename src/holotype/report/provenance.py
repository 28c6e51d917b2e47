"""Run provenance: commands, steps with time and memory, digests of the inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from holotype.report.charts import bar_strip


@dataclass(frozen=True)
class StepFacts:
    """One step of a run.

    Args:
        name: For example `fit main 0`.
        state: `made`, `resumed` or `reused`.
        seconds: Time when it was computed; 0 if it came from the cache and the time is unknown.
        megabytes: Peak resident memory of the process meanwhile; None if unknown.
    """

    name: str
    state: str
    seconds: float
    megabytes: float | None = None


@dataclass(frozen=True)
class Provenance:
    """Origin of a run.

    Args:
        commands: Purpose to command line.
        steps: In the order of the run.
        digests: Name of an input to its digest.
        weights: Initial weights of each model with license and citation, one line each.
    """

    commands: dict[str, str]
    steps: tuple[StepFacts, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)
    weights: tuple[str, ...] = ()


def provenance(contents: Provenance | None) -> dict[str, Any] | None:
    """Table of the steps with bars, and the other provenance values."""
    if contents is None:
        return None
    longest = max((step.seconds for step in contents.steps), default=0.0)
    largest = max((step.megabytes or 0.0 for step in contents.steps), default=0.0)
    rows = [
        {
            "name": step.name,
            "state": "from cache" if step.state == "reused" else step.state,
            "time": duration(step.seconds) if step.seconds else "",
            "seconds": step.seconds,
            "time_strip": Markup(bar_strip(step.seconds, longest)) if step.seconds else "",
            "memory": "" if step.megabytes is None else f"{step.megabytes:,.0f} MB",
            "memory_strip": Markup(bar_strip(step.megabytes, largest)) if step.megabytes else "",
        }
        for step in contents.steps
    ]
    spent = sum(step.seconds for step in contents.steps)
    computed = sum(step.state != "reused" for step in contents.steps)
    return {
        "rows": rows,
        "commands": contents.commands,
        "digests": contents.digests,
        "weights": contents.weights,
        "spent": duration(spent),
        "made": computed,
        "reused": len(rows) - computed,
        "largest": f"{largest:,.0f} MB" if largest else "",
    }


def duration(seconds: float) -> str:
    """Duration as text, for example `4 min 10 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return "{} min {} s".format(*divmod(round(seconds), 60))
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
