"""Public functions of the package: `init`, `check`, `run` and `compare`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holotype.cache import RunLog, Steps, Store
from holotype.core.errors import join_names
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.evaluation.prediction_tables import TableSource
from holotype.evaluation.score_predictions import PredictionScores, score_tables
from holotype.inspect import Answers, FolderFindings, inspect_folder, propose, write_recipe
from holotype.pipeline.apply_review import unused_review_note
from holotype.pipeline.prepare import prepare
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.run import run as run_pipeline
from holotype.pipeline.runtime import make_runtime
from holotype.pipeline.validate import validate_names
from holotype.planning.budget_run import plan_for_budget, replay_decisions
from holotype.recipe.load import (
    Recipe,
    RecipeSource,
    list_changes,
    load_recipe,
    parse_recipe,
    read_recipe_dict,
    recipe_folder,
)
from holotype.report import CompareData
from holotype.runs.compare import compare_runs
from holotype.runs.fitted_run import FittedRun, open_run
from holotype.types import Kind

__all__ = [
    "DataSummary",
    "ProposedRecipe",
    "check",
    "compare",
    "default_run_folder",
    "init",
    "prepare_data",
    "run",
    "score",
    "summarize_data",
]


@dataclass(frozen=True)
class ProposedRecipe:
    """A recipe that `init` wrote.

    Args:
        text: Its YAML, with the reason for each setting as a comment.
        notes: Warnings, and questions to answer before the recipe is run.
    """

    path: Path
    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class DataSummary:
    """Images, classes and folds of a recipe's data.

    Args:
        images: Number of images by role (train, external, test).
        forms: `channels`, `height`, `width`, `depth` and `len` (number of images) of each form, most frequent first.
        folds: Number of folds.
        notes: Warnings about the data.
    """

    images: dict[str, int]
    forms: list[dict[str, Any]]
    classes: tuple[str, ...]
    kind: Kind
    folds: int
    notes: tuple[str, ...]


def init(
    data: Path | str,
    output: Path | str = "recipe.yaml",
    force: bool = False,
    changes: Sequence[str] | Mapping[str, Any] = (),
) -> ProposedRecipe:
    """Inspect images and their table, and write a recipe for them.

    Args:
        data: A folder of images, or a table.
        output: The recipe to write.
        force: Replace an existing file.
        changes: Answers to its questions, as in `run`: `{"data.groups": ["patient"]}`.

    Raises:
        InputError: There is nothing to learn from, an answer is wrong, or the file exists or cannot be written.
    """
    findings = inspect_folder(Path(data))
    changes = list_changes(changes)
    answers = Answers(read_recipe_dict({}, changes))
    proposal = propose(findings, answers)
    if changes:
        content = read_recipe_dict(proposal.content, changes)
        parse_recipe(content, Path(output).resolve().parent, with_plugins=False)
        proposal = replace(proposal, content=content, reasons=answers.reasons(proposal.reasons))
    text = write_recipe(proposal, Path(output), force)
    return ProposedRecipe(Path(output), text, (*_notes_on_rewritten(findings), *proposal.warnings, *proposal.questions))


def _notes_on_rewritten(findings: FolderFindings) -> list[str]:
    """A note on the tables that an earlier `init` wrote from folders of classes, which are not read."""
    if not findings.rewritten:
        return []
    names = join_names(path.name for path in findings.rewritten)
    were = "was" if len(findings.rewritten) == 1 else "were"
    return [
        f"{names} {were} written from the folders by an earlier `holotype init` and {were} not read: the classes come "
        "from the folders; to use such a table, name it (`holotype init train.csv`)"
    ]


def check(
    recipe: RecipeSource, changes: Sequence[str] | Mapping[str, Any] = (), progress: Progress | None = None
) -> DataSummary:
    """Check a recipe and its data without training.

    Args:
        recipe: As in `run`.
        changes: As in `run`.
        progress: Where messages go; standard error by default.

    Raises:
        InputError: The recipe or the data is wrong.
    """
    loaded = load_recipe(recipe, changes)
    validate_names(loaded)
    return summarize_data(prepare_data(loaded, recipe_folder(recipe), progress))


def prepare_data(
    recipe: Recipe, folder: Path, progress: Progress | None = None, log: Path | None = None
) -> PreparedData:
    """Read, measure and audit the data of a recipe, and make its folds.

    Args:
        folder: The recipe's folder.
        progress: Where messages go; standard error by default.
        log: The log file; `check.jsonl` in the cache by default.

    Raises:
        InputError: The data is wrong.
    """
    runtime = make_runtime(recipe, folder, progress=progress or Progress())
    log = log or runtime.store / "check.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    prepared = prepare(recipe, Steps(Store(runtime.store), RunLog(log), runtime.progress), runtime)
    note = unused_review_note(recipe.data, folder)
    return prepared if note is None else replace(prepared, warnings=(note, *prepared.warnings))


def summarize_data(prepared: PreparedData) -> DataSummary:
    """Summarize prepared data: images, forms, classes, folds and warnings."""
    columns = ["channels", "height", "width", "depth"]
    forms = prepared.statistics.frame.drop_nulls(columns).group_by(columns).len().sort("len", *columns, descending=True)
    return DataSummary(
        images=dict(prepared.images.frame["role"].value_counts(sort=True).iter_rows()),
        forms=forms.to_dicts(),
        classes=prepared.images.classes,
        kind=prepared.images.kind,
        folds=prepared.folds.count,
        notes=prepared.warnings,
    )


def run(
    recipe: RecipeSource,
    out: Path | str | None = None,
    changes: Sequence[str] | Mapping[str, Any] = (),
    budget: str | None = None,
    began: float | None = None,
    progress: Progress | None = None,
) -> FittedRun:
    """Run a recipe and open the result.

    Args:
        recipe: A YAML file, or its content as a mapping. Relative paths in a mapping start at the working directory.
        out: The run's folder; `runs/<name>` beside the recipe by default.
        changes: Changes of the recipe, `{"models.0.backbone": "resnet18"}` or `["models.0.backbone=resnet18"]`.
        budget: Time limit of the whole run, such as `10m`; models, folds, sizes, epochs and views are planned for it.
        began: Start of that time, by `time.perf_counter`; now by default.
        progress: Where messages go; standard error by default.

    Raises:
        InputError: The recipe or the data is wrong.
        HolotypeError: The work failed.
    """
    changes = list_changes(changes)
    loaded = load_recipe(recipe, changes)
    folder = RunFolder(Path(out) if out is not None else default_run_folder(loaded, recipe))
    runtime = make_runtime(loaded, recipe_folder(recipe), progress=progress or Progress())
    log = RunLog(folder.path("log.jsonl"))
    # Paths in the log are relative to its folder, which can be moved. The folder's own recipe stands for a mapping.
    source = None if isinstance(recipe, Mapping) else Path(recipe)
    event: dict[str, Any] = {"recipe": "recipe.yaml", "changes": []}
    if source is not None:
        event = {"recipe": folder.relative(source.resolve()), "changes": list(changes)}
        event |= {} if budget is None else {"budget": budget}
    log.write("run", store=folder.relative(runtime.store.resolve()), **event)
    note = unused_review_note(loaded.data, recipe_folder(recipe))
    if note is not None:
        runtime.progress.info(f"note: {note}")
    if budget is None:
        run_pipeline(loaded, folder.root, replay_decisions(loaded, runtime), {}, source)
        return open_run(folder.root, runtime)
    steps = Steps(Store(runtime.store), log, runtime.progress)
    planned = plan_for_budget(recipe, changes, budget, steps, runtime, began or time.perf_counter())
    *first_recipes, full_recipe = planned.recipes
    for first_recipe in first_recipes:
        run_pipeline(first_recipe, folder.root, runtime, planned.facts, source)
        runtime.progress.info(f"The first answer is in {folder.root}; it stays there until a better one is ready.")
    run_pipeline(full_recipe, folder.root, replace(runtime, pacer=planned.pacer), planned.facts, source)
    planned.keep_decisions(steps)
    return open_run(folder.root, runtime)


def default_run_folder(recipe: Recipe, source: RecipeSource) -> Path:
    """The default folder of a run: `runs/<name>` beside the recipe; beside a run's own recipe, `<folder>-again`.

    Args:
        source: Where the recipe was read from.
    """
    folder = recipe_folder(source)
    if RunFolder(folder).recorded():  # a recipe in a run's folder: its second run lies beside the first
        return folder.with_name(f"{folder.name}-again")
    return folder / "runs" / recipe.name


def compare(*runs: Path | str | FittedRun) -> CompareData:
    """Compare finished runs on the samples that they share, by paired differences.

    `holotype.report.write_report` makes a page of the result.

    Args:
        *runs: Folders of runs or opened runs, at least two; the others are compared with the first.

    Raises:
        InputError: A folder is not a finished run, or there are too few.
    """
    return compare_runs([run.folder.root if isinstance(run, FittedRun) else Path(run) for run in runs])


def score(
    *tables: TableSource,
    label: str | None = None,
    predicted: str | None = None,
    probabilities: str | Sequence[str] = (),
    groups: str | Sequence[str] | None = None,
    id_column: str | None = None,
    by: str | None = None,
    metric: str = "macro_f1",
    separator: str | None = None,
) -> PredictionScores:
    """Score predictions of any tool, with the intervals of a run; several models are compared with the first.

    Columns that are not named are found by their names, and the result notes them.

    Args:
        *tables: Files or polars data frames, one per model, with a row per sample.
        label: Column of the true label.
        predicted: Column of the predicted label; by default it follows from the probabilities.
        probabilities: Columns of the classes, or a pattern such as `prob_*`.
        groups: Columns that make samples dependent (plate, patient, cluster of copies); `none` for independent samples.
        id_column: Column that identifies a sample.
        by: Column with the name of the model, if a table has the predictions of several.
        separator: Between several labels of a sample.

    Raises:
        InputError: A column is not clear, or a table does not fit.
    """
    return score_tables(
        tables,
        label=label,
        predicted=predicted,
        probabilities=[probabilities] if isinstance(probabilities, str) else probabilities,
        groups=[groups] if isinstance(groups, str) else groups,
        id_column=id_column,
        by=by,
        metric=metric,
        separator=separator,
    )
