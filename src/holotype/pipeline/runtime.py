"""Runtime of a recipe on this machine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from holotype.core.run_folder import RunFolder
from holotype.core.runtime import Runtime
from holotype.recipe.load import Recipe


def make_runtime(recipe: Recipe, recipe_folder: Path, **changes: object) -> Runtime:
    """Make the runtime of a recipe's `run` section.

    Args:
        recipe_folder: Holds the cache, unless HOLOTYPE_STORE names another folder; a run folder uses the run's cache.
        **changes: Fields of the runtime to replace.
    """
    section = recipe.run
    runtime = Runtime(
        device=section.device,
        precision=section.precision,
        threads=0 if section.threads == "auto" else section.threads,
        workers=0 if section.workers == "auto" else section.workers,
        batch=32 if section.batch == "auto" else section.batch,
        processes=section.processes,
        save_seconds=60 * section.save_minutes,
        store=Path(os.environ.get("HOLOTYPE_STORE") or RunFolder(recipe_folder).store() or recipe_folder / ".holotype"),
    )
    return replace(runtime, **changes)  # type: ignore[arg-type]
