"""What was run: which stages, how long and how large, from what, and how to do it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from holotype.report.charts import bar_strip

__all__ = ["Provenance", "StageFacts", "duration", "provenance"]


@dataclass(frozen=True)
class StageFacts:
    """One stage of a run.

    Args:
        name: As in `fit main 0`.
        state: `made`, `resumed` or `reused`.
        seconds: What it took when it was made; 0 where it was taken from the store and nobody knows.
        megabytes: The largest resident memory of the process meanwhile; none where nobody knows.
    """

    name: str
    state: str
    seconds: float
    megabytes: float | None = None


@dataclass(frozen=True)
class Provenance:
    """How a run came about.

    Args:
        commands: What to type to do it again, by what each is for.
        stages: In the order in which they ended.
        digests: Of the recipe and of what was read, by name.
    """

    commands: dict[str, str]
    stages: tuple[StageFacts, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)


def provenance(contents: Provenance | None) -> dict[str, Any] | None:
    """Rows of the table of stages, with bars, and what stands around it.

    Args:
        contents: How the run came about.
    """
    if contents is None:
        return None
    longest = max((stage.seconds for stage in contents.stages), default=0.0)
    largest = max((stage.megabytes or 0.0 for stage in contents.stages), default=0.0)
    rows = [
        {
            "name": stage.name,
            "state": "from cache" if stage.state == "reused" else stage.state,
            "time": duration(stage.seconds) if stage.seconds else "",
            "seconds": stage.seconds,
            "time_strip": Markup(bar_strip(stage.seconds, longest)) if stage.seconds else "",
            "memory": "" if stage.megabytes is None else f"{stage.megabytes:,.0f} MB",
            "memory_strip": Markup(bar_strip(stage.megabytes, largest)) if stage.megabytes else "",
        }
        for stage in contents.stages
    ]
    spent = sum(stage.seconds for stage in contents.stages)
    computed = sum(stage.state != "reused" for stage in contents.stages)
    return {
        "rows": rows,
        "commands": contents.commands,
        "digests": contents.digests,
        "spent": duration(spent),
        "made": computed,
        "reused": len(rows) - computed,
        "largest": f"{largest:,.0f} MB" if largest else "",
    }


def duration(seconds: float) -> str:
    """A time as people read it.

    Args:
        seconds: How long.
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return "{} min {} s".format(*divmod(round(seconds), 60))
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
