"""Dry run for people: first what changed since the last run, then the steps that would run, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from holotype.cli.output import CommandResult, Table, TextLine
from holotype.core.errors import pluralize
from holotype.core.run_folder import RunFolder
from holotype.recipe.load import Recipe, load_recipe

if TYPE_CHECKING:
    from holotype.planning.reruns import StepForecast

TITLES = {
    "images": "read the tables",
    "statistics": "measure the images",
    "audit": "look for duplicates and bad images",
    "folds": "make the folds",
    "plan": "plan for the time limit",
    "measurements": "read the measurements of {}",
    "features": "compute the features of {}",
    "pixels": "cache the images at {} px",
    "fit": "train {}",
    "predict": "predict with {}",
    "embeddings": "embed all images",
    "index": "embed the training images with {}",
    "neighbors": "find nearest images with {}",
    "map": "draw the map of embeddings of {}",
}
"""What a step does, by the first word of its name; `{}` is its second word."""

STATES = {"runs": "would run", "follows": "would follow", "kept": "from the cache"}

CAUSES = {
    "image files": "image files were added, removed or changed",
    "weights": "the file of initial weights is another one",
    "measured table": "a table of measurements has other content",
    "libraries": "PyTorch or timm has another version",
    "decoders": "a library that reads images has another version",
    "resampling": "Pillow has another version",
    "search": "faiss has another version",
    "version of the step": "this version of Holotype computes the step differently",
}
"""Changes that no recipe key shows, by the name of the changed input."""
WEIGHT_KEYS = (".weights", ".backbone")
TABLE = "table "
SETTING = "recipe: "


def explain_reruns(path: Path, changes: tuple[str, ...], out: Path | None, budget: str | None) -> CommandResult:
    """Dry run: what changed since the last run, and which steps would run because of it.

    `changes` as in `--set`.
    """
    from holotype.api import default_run_folder
    from holotype.pipeline.apply_review import unused_review_note
    from holotype.planning.reruns import predict_reruns

    recipe = load_recipe(path, changes)
    run_folder = out or default_run_folder(recipe, path)
    steps = predict_reruns(run_folder, changes, recipe=path, budget=budget)
    note = unused_review_note(recipe.data, path.resolve().parent)
    notes = [] if note is None else [note]
    if not (run_folder / "log.jsonl").is_file():
        notes.append(f"there is no earlier run in {run_folder}")
    # The recipe of a planned run holds what the plan chose, which the recipe file does not.
    settings = [] if budget else _changed_settings(RunFolder(run_folder), recipe)
    causes = list_causes(steps, settings)
    last = _count_steps(steps)
    groups = group_steps(steps)
    lines = [f"note: {text}" for text in notes]
    lines += [f"changed: {cause}" for cause in causes]
    lines += [f"{state}: {title}" for state, title in groups]
    changed = [Table(("changed since the last run",), [(cause,) for cause in causes])] if causes else []
    blocks: list[Table | TextLine] = [
        *(TextLine(text, "note") for text in notes),
        *changed,
        Table(("", "step"), groups),
    ]
    blocks.append(TextLine(last, "done"))
    data = {"run": run_folder, "causes": causes, "steps": [asdict(step) for step in steps], "notes": notes}
    return CommandResult([*lines, last], data, blocks)


def list_causes(steps: Sequence[StepForecast], settings: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    """Changes since the last run, as clauses: recipe keys, files, versions, cached results that are gone.

    Args:
        settings: Recipe keys that changed, each with its value before and now.
    """
    causes = [f"{key}: {before} → {now}" for key, (before, now) in settings]
    explained = {"weights"} if any(key.endswith(WEIGHT_KEYS) for key, _ in settings) else set()
    for step in steps:
        for name in step.changed:
            if name.startswith(TABLE):
                causes.append(f"the file {name.removeprefix(TABLE)}")
            elif name in CAUSES and name not in explained:
                causes.append(CAUSES[name])
            elif name.startswith(SETTING) and not settings:
                causes.append(f"the setting {name.removeprefix(SETTING)} of the step {step.step!r}")
    gone = [step.step for step in steps if step.state == "runs" and not step.is_new and not step.changed]
    causes += [f"the cached result of {pluralize(len(gone), 'step')} is gone"] if gone else []
    return list(dict.fromkeys(causes))


def group_steps(steps: Sequence[StepForecast]) -> list[tuple[str, str]]:
    """Steps that would run, then those from the cache, in their order: state and what is done, folds as a list."""
    folds: dict[tuple[str, str], list[int]] = {}
    for state, words in STATES.items():
        for step in steps:
            if step.state == state:
                title, fold = _describe_step(step.step)
                folds.setdefault((words, title), []).extend([] if fold is None else [fold])
    return [(words, f"{title}{_list_folds(numbers)}") for (words, title), numbers in folds.items()]


def _describe_step(name: str) -> tuple[str, int | None]:
    """What a step does, and its fold: `predict main 0 test` is `predict with main (test)` in fold 0."""
    family, *rest = name.split(" ")
    if family not in TITLES:
        return name, None
    if "{}" not in TITLES[family]:
        return TITLES[family], None
    subject, *more = rest
    fold = int(more.pop(0)) if more and more[0].isdigit() else None
    return TITLES[family].format(subject) + (f" ({' '.join(more)})" if more else ""), fold


def _list_folds(numbers: Sequence[int]) -> str:
    if not numbers:
        return ""
    values = sorted(numbers)
    is_range = len(values) > 2 and values == list(range(values[0], values[-1] + 1))
    text = f"{values[0]} to {values[-1]}" if is_range else ", ".join(map(str, values))
    return f", fold{'' if len(values) == 1 else 's'} {text}"


def _changed_settings(folder: RunFolder, recipe: Recipe) -> list[tuple[str, tuple[str, ...]]]:
    from holotype.runs.recipe_diff import setting_differences

    earlier = folder.root / "recipe.yaml"
    if not earlier.is_file():
        return []
    return list(
        setting_differences(
            [load_recipe(earlier, with_plugins=False).model_dump(mode="json"), recipe.model_dump(mode="json")]
        )
    )


def _count_steps(steps: Sequence[StepForecast]) -> str:
    runs, follows = ([step.step for step in steps if step.state == state] for state in ("runs", "follows"))
    if not runs:
        return f"All {len(steps):,} steps would be taken from the cache."
    line = f"{len(runs):,} of {pluralize(len(steps), 'step')} would run"
    depend = "more depends" if len(follows) == 1 else "more depend"
    line += f"; {len(follows):,} {depend} on the result of {runs[-1]}, so only the run can tell" if follows else ""
    return f"{line}."
