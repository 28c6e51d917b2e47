"""Dry run: which steps would run again, and which input changed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holotype.cache import DryRun, RunLog, StepKey, Store, UnknownUntilRunError
from holotype.core.digest import changed_names
from holotype.core.errors import InputError
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.pipeline.apply_review import find_reviewed_scores
from holotype.pipeline.data_steps import EARLIER_FOLDS
from holotype.pipeline.earlier_folds import read_earlier_folds
from holotype.pipeline.model_scores import train_models
from holotype.pipeline.prepare import prepare
from holotype.pipeline.runtime import make_runtime
from holotype.planning.budget_run import plan_for_budget
from holotype.recipe.load import load_recipe

__all__ = ["StepForecast", "explain", "predict_reruns"]


@dataclass(frozen=True)
class StepForecast:
    """Step forecast: what the next run would do with one step.

    Args:
        step: Name of the step.
        words: Forecast and its reason, for people.
        state: `kept` (taken from the cache), `runs`, or `follows` (depends on a step that would run).
        changed: Names of the inputs that changed.
        is_new: Whether no earlier run had this step.
    """

    step: str
    words: str
    state: str
    changed: tuple[str, ...] = ()
    is_new: bool = False


def explain(run: Path, changes: tuple[str, ...] = (), step: str | None = None) -> list[str]:
    """Describe in one line per step whether the next run would take it from the cache, and if not, what changed.

    Args:
        changes: As in `predict_reruns`.
        step: As in `predict_reruns`.
    """
    return [f"{forecast.step}: {forecast.words}" for forecast in predict_reruns(run, changes, step)]


def predict_reruns(
    run: Path,
    changes: tuple[str, ...] = (),
    step: str | None = None,
    *,
    recipe: Path | None = None,
    budget: str | None = None,
) -> list[StepForecast]:
    """Dry run: forecast for each step whether it would be taken from the cache, and if not, which input changed.

    Args:
        run: The run folder; with `recipe` it need not exist yet.
        changes: Overrides to try, in the syntax of `--set`.
        step: Only steps whose name begins with these words (`fit`, `predict main`).
        recipe: The recipe file; by default the recipe, changes and budget of the last run in the folder.
        budget: With `recipe`: time budget of the run, such as `10m`.

    Raises:
        InputError: The folder is not a run folder, or it has no such step.
    """
    folder = RunFolder(run)
    log = RunLog(folder.root / "log.jsonl" if recipe is not None else folder.require("log.jsonl"))
    run_events = log.read("run")
    if recipe is None:
        source, earlier_changes, store = _last_run(folder, run_events)
        budget = run_events[-1].get("budget") if run_events else None
    else:
        source, earlier_changes, store = recipe, (), {}
    changes = (*earlier_changes, *changes)
    loaded = load_recipe(source, changes)
    runtime = make_runtime(loaded, source.resolve().parent, progress=Progress(quiet=True), **store)
    dry_run = DryRun(Store(runtime.store), log, runtime.progress)
    unknown_step = ""
    try:
        if budget:
            loaded = plan_for_budget(source, changes, budget, dry_run, runtime, time.perf_counter()).recipes[-1]
        prepared = prepare(loaded, dry_run, runtime, read_earlier_folds(folder, loaded, runtime.progress, source))
        with suppress(UnknownUntilRunError):  # what comes after the models reads their networks, not their scores
            train_models(loaded, prepared, dry_run, runtime)
        if prepared.review is not None:
            find_reviewed_scores(prepared.review, loaded.data.review, dry_run)
    except UnknownUntilRunError as error:
        unknown_step = error.what
    step_events = {line["step"]: line for line in log.read("step")}
    last = run_events[-1]["time"] if run_events else ""
    from_store = "would be taken from the cache"
    forecasts = {key.step: StepForecast(key.step, from_store, "kept") for key in dry_run.present}
    forecasts |= {key.step: _explain_step(key, step_events.get(key.step)) for key in dry_run.missing}
    for name, line in step_events.items() if unknown_step in step_events else ():
        if name not in forecasts and line["time"] >= last:  # ignore steps of older recipes
            forecasts[name] = StepForecast(name, f"depends on {unknown_step}, which would run first", "follows")
    selected = [entry for name, entry in forecasts.items() if step is None or f"{name} ".startswith(f"{step} ")]
    if not selected:
        raise InputError("there is no such step", field="step", value=step, allowed=forecasts)
    return selected


def _last_run(
    folder: RunFolder, run_events: Sequence[Mapping[str, Any]]
) -> tuple[Path, tuple[str, ...], dict[str, Path]]:
    """The recipe, the changes and the cache of the last run in a folder."""
    if not run_events:
        return folder.require("recipe.yaml"), (), {}
    last = run_events[-1]
    source, changes = folder.located(last["recipe"]), tuple(last["changes"])
    if not source.is_file():  # the recipe was moved or deleted; the run keeps its own copy, with the changes in it
        source, changes = folder.require("recipe.yaml"), ()
    return source, changes, {"store": folder.located(last["store"])}


def _explain_step(key: StepKey, before: dict[str, Any] | None) -> StepForecast:
    if before is None:
        return StepForecast(key.step, "would run; it has not run yet", "runs", is_new=True)
    # earlier folds alone do not cause a rerun: unchanged data gives the same folds
    changed = tuple(name for name in changed_names(before["parts"], key.parts) if name != EARLIER_FOLDS)
    reason = f"changed: {', '.join(changed)}" if changed else "its cached result is gone"
    return StepForecast(key.step, f"would run again; {reason}", "runs", changed)
