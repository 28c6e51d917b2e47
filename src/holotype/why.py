"""What would run again, and because of what."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holotype.budgeting import plan_run
from holotype.digest import changed_names
from holotype.errors import InputError
from holotype.keys import EARLIER_FOLDS
from holotype.pipeline import follow, make_runtime
from holotype.progress import Progress
from holotype.recipe import load_recipe
from holotype.road.earlier_folds import read_earlier_folds
from holotype.runs import RunFolder
from holotype.store import Forecast, NotForeseenError, RunLog, StageKey, Store

__all__ = ["Foreseen", "explain", "foresee"]


@dataclass(frozen=True)
class Foreseen:
    """What the next run would do with a stage.

    Args:
        stage: Its name.
        words: What would become of it, and why.
        state: `kept` (it is in the store), `runs`, or `follows` a stage whose result is not known yet.
        changed: The names of the inputs that changed.
    """

    stage: str
    words: str
    state: str
    changed: tuple[str, ...] = ()


def explain(run: Path, changes: tuple[str, ...] = (), stage: str | None = None) -> list[str]:
    """One line a stage: whether the next run would take it from the store, and if not, what changed.

    Args:
        run: The run's folder.
        changes: As in `foresee`.
        stage: As in `foresee`.
    """
    return [f"{one.stage}: {one.words}" for one in foresee(run, changes, stage)]


def foresee(run: Path, changes: tuple[str, ...] = (), stage: str | None = None) -> list[Foreseen]:
    """Whether the next run would take each stage from the store, and if not, what changed.

    Args:
        run: The run's folder.
        changes: Changes as on the command line, tried without being made.
        stage: Only stages whose name begins with these words (`fit`, `predict main`).

    Raises:
        InputError: The folder is not a run's, or it has no such stage.
    """
    folder = RunFolder(run)
    log = RunLog(folder.existing("log.jsonl"))
    begun = log.read("run")
    source = folder.located(begun[-1]["recipe"]) if begun else folder.existing("recipe.yaml")
    if not source.is_file():  # the recipe was moved or deleted; the run keeps its own copy
        source, earlier = folder.existing("recipe.yaml"), ()
    else:
        earlier = tuple(begun[-1]["changes"]) if begun else ()
    recipe = load_recipe(source, (*earlier, *changes))
    store = {"store": folder.located(begun[-1]["store"])} if begun else {}
    runtime = make_runtime(recipe, source.resolve().parent, progress=Progress(quiet=True), **store)
    forecast = Forecast(Store(runtime.store), log, runtime.progress)
    unforeseen = ""
    try:
        if begun and begun[-1].get("budget"):
            given = (source, (*earlier, *changes))
            recipe = plan_run(given, begun[-1]["budget"], forecast, runtime, time.perf_counter()).recipe
        follow(recipe, forecast, runtime, read_earlier_folds(folder, recipe, runtime.progress))
    except NotForeseenError as error:
        unforeseen = error.what
    recorded = {line["stage"]: line for line in log.read("stage")}
    last = begun[-1]["time"] if begun else ""
    kept = "would be taken from the store"
    told = {key.stage: Foreseen(key.stage, kept, "kept") for key in forecast.present}
    told |= {key.stage: _reason(key, recorded.get(key.stage)) for key in forecast.missing}
    for name, line in recorded.items() if unforeseen in recorded else ():
        if name not in told and line["time"] >= last:  # stages of older recipes do not count
            told[name] = Foreseen(name, f"follows {unforeseen}, whose result is not known yet", "follows")
    chosen = [one for name, one in told.items() if stage is None or f"{name} ".startswith(f"{stage} ")]
    if not chosen:
        raise InputError("there is no such stage", field="stage", value=stage, allowed=told)
    return chosen


def _reason(key: StageKey, before: dict[str, Any] | None) -> Foreseen:
    if before is None:
        return Foreseen(key.stage, "would run; it has not run yet", "runs")
    # the folds that lie in the folder make no stage run again by themselves: of unchanged data they come out the same
    changed = tuple(name for name in changed_names(before["parts"], key.parts) if name != EARLIER_FOLDS)
    reason = f"changed: {', '.join(changed)}" if changed else "its artefact is gone from the store"
    return Foreseen(key.stage, f"would run again; {reason}", "runs", changed)
