"""The whole road as one call, for notebooks."""

from __future__ import annotations

import time
from pathlib import Path

from holotype.cache import RunLog, Stages, Store
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.pipeline.run import make_runtime
from holotype.pipeline.run import run as run_pipeline
from holotype.planning.budget_run import plan_for_budget
from holotype.recipe.load import Recipe, load_recipe
from holotype.runs.fitted_run import FittedRun, open_run

__all__ = ["default_run_folder", "run"]


def run(
    recipe: Path | str,
    out: Path | str | None = None,
    changes: tuple[str, ...] = (),
    budget: str | None = None,
    began: float | None = None,
    progress: Progress | None = None,
) -> FittedRun:
    """Run a recipe and open the result.

    Args:
        recipe: A YAML file.
        out: The run's folder; `runs/<name>` beside the recipe where none is given.
        changes: As in `--set` on the command line.
        budget: The time that everything may take, as in `10m`; models, folds, sizes, epochs and views are planned
            for it.
        began: When that time began, by `time.perf_counter`; now where it is not given.
        progress: Where news of the work goes; standard error where none is given.

    Raises:
        InputError: The recipe or the data is wrong.
        HolotypeError: The work failed.
    """
    path = Path(recipe)
    loaded = load_recipe(path, changes)
    folder = Path(out) if out is not None else default_run_folder(loaded, path)
    runtime = make_runtime(loaded, path.resolve().parent, progress=progress or Progress())
    run_folder = RunFolder(folder)
    log = RunLog(run_folder.path("log.jsonl"))  # the paths in it are relative to its folder, which can be moved
    relative_paths = {
        name: run_folder.relative(target.resolve()) for name, target in (("recipe", path), ("store", runtime.store))
    }
    facts = {**relative_paths, "changes": list(changes)}
    log.write("run", **facts, **({} if budget is None else {"budget": budget}))
    budget_facts: dict[str, str] = {}
    if budget is not None:
        stages = Stages(Store(runtime.store), log, runtime.progress)
        planned = plan_for_budget((path, tuple(changes)), budget, stages, runtime, began or time.perf_counter())
        loaded, budget_facts = planned.recipe, planned.facts
    run_pipeline(loaded, folder, runtime, budget_facts, path)
    return open_run(folder, runtime)


def default_run_folder(recipe: Recipe, path: Path) -> Path:
    """The run's folder where nobody names one: `runs/<name>` beside the recipe, `NAME-again` beside a run's own folder.

    Args:
        recipe: From `load_recipe`.
        path: Its file.
    """
    folder = path.resolve().parent
    if RunFolder(folder).recorded():  # the recipe that a run keeps: its second run lies beside it
        return folder.with_name(f"{folder.name}-again")
    return folder / "runs" / recipe.name
