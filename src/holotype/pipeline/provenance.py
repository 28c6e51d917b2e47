"""Run provenance: command, steps with time and memory, digests; and notes on optional work that failed."""

from __future__ import annotations

import json
import os
import shlex
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holotype.cache import Steps
from holotype.core.digest import digest_value
from holotype.pipeline.models import ModelPredictions
from holotype.report import Provenance, StepFacts


def describe_run(
    steps: Steps, recipe: str, digests: Mapping[str, str], models: Sequence[ModelPredictions]
) -> Provenance:
    """Describe how to repeat a run, what each step cost, and the digests of what was read.

    Args:
        recipe: Text of the resolved recipe, as in the run folder.
        digests: Digests of the data, from `PreparedData`.
    """
    folder = steps.log.path.parent
    commands = {}
    called = steps.log.read("run")
    if called:
        commands["As it was called, from the run's folder"] = _format_command(called[-1])
    again = shlex.join(["holotype", "run", "recipe.yaml", "--out", f"../{folder.resolve().name}-again"])
    commands["From the recipe in the run's folder, there"] = again
    rows = [
        StepFacts(name, steps.states[name], cost.get("seconds", 0.0), cost.get("peak_mb"))
        for name, cost in steps.costs.items()
    ]
    all_digests = {"recipe": digest_value(recipe), **digests}
    return Provenance(commands, tuple(rows), all_digests, tuple(_weights_lines(models)))


def _weights_lines(models: Sequence[ModelPredictions]) -> Iterator[str]:
    """One line per network: the weights it started from, with their license and citation as far as they are known."""
    for model in models:
        card = json.loads((model.networks[0] / "card.json").read_text(encoding="utf-8")) if model.networks else {}
        if "weights" in card and not card["weights"].startswith("random"):
            parts = [card["weights"], card.get("weights_license") or "license unknown", card.get("weights_citation")]
            yield f"{model.name}: {'; '.join(part for part in parts if part)}"


@contextmanager
def optional_work(what: str, steps: Steps) -> Iterator[None]:
    """Do optional work after training: a failure becomes a note with the command that repeats it.

    Args:
        what: The work, in words.
        steps: Its log keeps the traceback.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  (a failed report must not lose trained networks)
        _report_failure(what, error, steps)


def _report_failure(what: str, error: Exception, steps: Steps) -> None:
    reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
    folder = steps.log.path.parent
    called = steps.log.read("run")
    again = "the same command"
    if called:
        recipe = os.path.normpath(folder.resolve() / str(called[-1].get("recipe")))
        again = _format_command({**called[-1], "recipe": recipe}, folder.resolve())
    trace = "".join(traceback.format_exception(error))
    steps.log.write("failed", what=what, error=type(error).__name__, traceback=trace)
    steps.progress.info(
        f"note: {what} failed: {reason}; the rest of the run is complete; to repeat only this, run {again}, which "
        "trains nothing again"
    )


def step_costs(events: list[dict[str, Any]]) -> dict[str, tuple[float, float | None]]:
    """Seconds and megabytes of each step of a finished run, including steps that an earlier run computed.

    Args:
        events: `step` lines of the log, oldest first; the last one of each step counts.
    """
    costs = {}
    for event in events:
        cost = event.get("took") or event
        costs[event["step"]] = (float(cost.get("seconds") or 0.0), cost.get("peak_mb"))
    return costs


def _format_command(event: dict[str, Any], folder: Path | str = ".") -> str:
    words = ["holotype", "run", str(event.get("recipe")), "--out", str(folder)]
    for change in event.get("changes") or []:
        words += ["--set", str(change)]
    if event.get("budget"):
        words += ["--budget", str(event["budget"])]
    return shlex.join(words)
