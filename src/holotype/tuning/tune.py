"""Hyperparameter search: trials are cached trainings on one fold, pruned if they fall behind."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from holotype.cache import RunLog, Steps, Store
from holotype.core.digest import digest_value
from holotype.core.errors import HolotypeError, InputError, RecipeError, TrainingError, pluralize
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.core.runtime import Runtime
from holotype.core.table_files import read_parquet
from holotype.networks import find_weights
from holotype.pipeline.model_scores import train_models
from holotype.pipeline.prepare import prepare
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.runtime import make_runtime
from holotype.pipeline.validate import validate_names
from holotype.planning import read_budget
from holotype.recipe.load import Recipe, load_recipe, read_recipe_dict
from holotype.report import Trial, TrialsData, write_report
from holotype.training import TrainingPaused
from holotype.tuning.space import SPACE, Categorical, Dimension, NumericRange, search_space, to_overrides
from holotype.tuning.study import (
    TrialRecord,
    begin_trial,
    end_trial,
    importances,
    list_trials,
    open_study,
    report_intermediate,
    suggest,
)
from holotype.tuning.tuned_recipe import WRITTEN_BY, tuned_recipe_text

RUNGS = 3  # parts of a training; after each but the last a trial may be pruned
MAX_EPOCHS = 24  # default limit
SCORED_ROWS = {
    "inner": "scored on inner rows, a group-safe tenth of the training folds, so that nothing is selected on the fold",
    "scored-fold": "selected on the scored fold, so the best score is too high; run the tuned recipe with other "
    "`split.folds_to_train`",
}
CHECKPOINT_RULES = {"inner": "{best: 1, rows: inner}", "scored-fold": "{last: 1}"}


@dataclass(frozen=True)
class TuneOptions:
    """Search options of `holotype tune`.

    Args:
        budget: Time such as `1h`; no trial begins that would probably end later.
        size: Input size of every trial in pixels; None searches it.
        rows: Rows that the trials are scored on: `inner` or `scored-fold`.
        page: Folder of the page, by default `runs/NAME.tune` next to the recipe.
    """

    trials: int = 20
    budget: str | None = None
    size: int | None = None
    epochs: int | None = None
    rows: str = "inner"
    page: Path | None = None


@dataclass(frozen=True)
class _TuneContext:
    path: Path
    changes: tuple[str, ...]
    options: TuneOptions
    ready: PreparedData
    steps: Steps
    runtime: Runtime
    study: Any
    space: tuple[Dimension, ...]


@dataclass(frozen=True)
class TuneResult:
    """Search result of `holotype tune`."""

    trials: tuple[TrialRecord, ...]
    best: TrialRecord
    scored_rows: str
    page: Path
    recipe: Path

    @property
    def lines(self) -> list[str]:
        """The result as lines of text."""
        return [
            *_format_table(self.trials),
            f"Best: trial {self.best.number}, macro F1 {self.best.score:.4f}, {self.scored_rows}.",
            f"Page:   {self.page}",
            f"Recipe: {self.recipe}",
        ]


def run_trials(
    path: Path, changes: tuple[str, ...], options: TuneOptions, progress: Progress | None = None
) -> TuneResult:
    """Search for better settings; write a table of the trials, a page, and a tuned recipe next to the recipe.

    `changes`: overrides in the syntax of `--set`.
    """
    began, news = time.perf_counter(), progress or Progress()
    seconds = math.inf if options.budget is None else read_budget(options.budget)
    recipe = load_recipe(path, changes)
    tuned_path = path.with_name(f"{path.stem}.tuned.yaml")
    _validate_search(recipe, options, tuned_path)
    validate_names(recipe)
    folder = RunFolder(options.page or path.resolve().parent / "runs" / f"{recipe.name}.tune")
    context = _make_context(path, changes, options, recipe, RunLog(folder.path("log.jsonl")))
    done, trial_count = _list_ended(context), 0
    started = time.perf_counter()
    while len(done) < options.trials:
        if done and not _has_time_for_trial(seconds - (time.perf_counter() - began), started, trial_count):
            break
        news.info(_describe_trial(_run_trial(context, recipe.seed)))
        done, trial_count = _list_ended(context), trial_count + 1
    best = max(
        (record for record in done if record.state == "finished"), key=lambda record: record.score or 0.0, default=None
    )
    if best is None:
        raise HolotypeError("no trial finished", remedy="run the same command again with more --trials or --budget")
    shares = importances(context.study, recipe.seed)
    folder.write_text("trials.csv", _make_frame(done).write_csv())
    write_report(folder.path("tune.html"), _make_page(recipe.name, done, best.number, shares, context))
    content = read_recipe_dict(path, (*changes, *to_overrides(context.space, best.drawn)))
    tuned_path.write_text(
        tuned_recipe_text(content, best, len(done), context.space, shares, _describe_search(options)), encoding="utf-8"
    )
    ranked = sorted(done, key=lambda record: (record.state != "finished", -(record.score or 0.0), record.number))
    return TuneResult(tuple(ranked), best, SCORED_ROWS[options.rows], folder.root / "tune.html", tuned_path)


def _validate_search(recipe: Recipe, options: TuneOptions, tuned_path: Path) -> None:
    model = recipe.models[0]
    if model.is_frozen:
        raise RecipeError(
            "a search tunes the training of a network, and a model with `classifier` trains none",
            field="models.0.classifier",
            value=model.classifier.kind if model.classifier else None,
            remedy="leave `classifier` out; `run` selects the strength of a classifier itself (c: auto)",
        )
    if len(recipe.models) > 1 or not model.reads_images:
        raise RecipeError(
            "a search tunes a single model, which must be trained",
            field="models",
            remedy="leave only the model to tune",
        )
    if options.trials < 1:
        raise InputError("too few trials", field="--trials", value=options.trials, allowed=("1 or more",))
    if options.rows not in SCORED_ROWS:
        raise InputError("unknown rows", field="--rows", value=options.rows, allowed=SCORED_ROWS)
    if tuned_path.exists() and not tuned_path.read_text(encoding="utf-8").startswith(f"# {WRITTEN_BY}"):
        raise InputError(
            f"{str(tuned_path)!r} exists and was not written by `holotype tune`", remedy="move it or delete it"
        )


def _make_context(
    path: Path, changes: tuple[str, ...], options: TuneOptions, recipe: Recipe, log: RunLog
) -> _TuneContext:
    runtime = make_runtime(recipe, path.resolve().parent)
    quiet = Progress(quiet=True, listener=lambda sentence: log.write("message", text=sentence))
    fold = recipe.split.folds_to_train[0] if recipe.split.folds_to_train != "all" else 0
    trial = (
        f"split.folds_to_train=[{fold}]",
        "models.0.predict={tta: none}",
        f"models.0.checkpoints={CHECKPOINT_RULES[options.rows]}",
    )
    steps = Steps(Store(runtime.store), log, quiet)
    ready = prepare(load_recipe(path, (*changes, *trial)), steps, runtime)
    space = _make_space(recipe, options)
    section = recipe.model_dump(mode="json", exclude={"name", "submission", "run"})
    identity = [section, ready.digests, [repr(dimension) for dimension in space], options.size, options.rows]
    journal = runtime.store / "tune" / digest_value(identity) / "journal.jsonl"
    return _TuneContext(
        path, (*changes, *trial), options, ready, steps, replace(runtime, progress=quiet), open_study(journal), space
    )


def _make_space(recipe: Recipe, options: TuneOptions) -> tuple[Dimension, ...]:
    model = recipe.models[0]
    unfrozen = [number for number, phase in enumerate(model.phases) if phase.freeze is None]
    (backbones,) = [
        dimension for dimension in SPACE if isinstance(dimension, Categorical) and dimension.name == "backbone"
    ]
    others = [name for name in backbones.options if name != model.backbone and model.weights == "auto"]
    here = [name for name in others if not find_weights(name, "auto").description.startswith("random")]
    max_epochs = max(options.epochs or MAX_EPOCHS, 1)
    phase = unfrozen[-1] if unfrozen else 0
    fewest = max(1, max_epochs // 4, int(model.phases[phase].warmup_epochs) + 1)
    return search_space((fewest, max(fewest, max_epochs)), options.size, [model.backbone, *here], phase)


def _run_trial(context: _TuneContext, seed: int) -> TrialRecord:
    trial = begin_trial(context.study, seed)
    drawn = suggest(trial, context.space)
    sized = () if context.options.size is None else (f"models.0.input.size={context.options.size}",)
    changes = (*context.changes, *sized, *to_overrides(context.space, drawn))
    recipe = load_recipe(context.path, changes)
    epochs = sum(phase.epochs for phase in recipe.models[0].phases)
    halts = sorted({-(-epochs * part // RUNGS) for part in range(1, RUNGS)} - {epochs})
    try:
        for rung, halt in enumerate(halts, start=1):
            history = _read_history(recipe, context, halt)
            if report_intermediate(context.study, trial, rung, _best_score(history, context.options.rows), halt):
                end_trial(context.study, trial, None, "pruned")
                break
        else:
            history = _read_history(recipe, context, None)
            end_trial(context.study, trial, _best_score(history, context.options.rows), "finished", len(history))
    except TrainingError as error:
        context.steps.log.write("failed", trial=trial.number, words=error.what)
        end_trial(context.study, trial, None, "failed")
    record = list_trials(context.study)[trial.number]
    context.steps.log.write("trial", number=record.number, state=record.state, score=record.score, drawn=drawn)
    return record


def _read_history(recipe: Recipe, context: _TuneContext, halt: int | None) -> list[dict[str, Any]]:
    """Training history, one entry per epoch, of a training up to epoch `halt` or to its end."""
    try:
        scores = train_models(recipe, context.ready, context.steps, replace(context.runtime, halt_after=halt))
    except TrainingPaused as halted:
        return halted.history
    return read_parquet(scores.models[0].networks[0] / "history.parquet").to_dicts()


def _best_score(history: Sequence[dict[str, Any]], scored_rows: str) -> float:
    """Score of a history: the best epoch on inner rows (its checkpoint is used), or the last epoch on the fold."""
    rows, epochs = ("inner", history) if scored_rows == "inner" else ("validation", history[-1:])
    scores = [epoch[f"{rows}_score"] for epoch in epochs]
    if None in scores:  # no class has a positive row, so the metric is undefined: compare losses instead
        scores = [-epoch[f"{rows}_loss"] for epoch in epochs]
    return max(map(float, scores))


def _list_ended(context: _TuneContext) -> list[TrialRecord]:
    return [record for record in list_trials(context.study) if record.state != "unfinished"]


def _has_time_for_trial(left: float, started: float, trial_count: int) -> bool:
    """Whether another trial of average length would end within the rest of the budget."""
    return left > (time.perf_counter() - started) / trial_count if trial_count else left > 0


def _describe_trial(record: TrialRecord) -> str:
    score = "no score" if record.score is None else f"{record.score:.4f}"
    drawn = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in record.drawn.items()
    )
    return f"trial {record.number}: {record.state} after {pluralize(record.epochs, 'epoch')}, {score}; {drawn}"


def _make_frame(trials: Sequence[TrialRecord]) -> pl.DataFrame:
    facts = ("number", "state", "score", "epochs")
    rows = [{name: getattr(record, name) for name in facts} | record.drawn for record in trials]
    return pl.DataFrame(rows, infer_schema_length=None)


def _format_table(trials: Sequence[TrialRecord]) -> Iterator[str]:
    yield f"{'trial':>5}  {'score':>6}  {'epochs':>6}  state"
    for record in trials:
        score = "" if record.score is None else f"{record.score:.4f}"
        yield f"{record.number:>5}  {score:>6}  {record.epochs:>6}  {record.state}"


def _describe_search(options: TuneOptions) -> list[str]:
    words = [f"the trials were {SCORED_ROWS[options.rows]}"]
    if options.size is not None:
        words.append(f"every trial used images of {options.size} px; the size below is the one of the recipe")
    return words


def _make_page(
    name: str, trials: Sequence[TrialRecord], best: int, shares: Mapping[str, float], context: _TuneContext
) -> TrialsData:
    axes: dict[str, tuple[float, float, bool] | Sequence[str]] = {}
    for item in context.space:
        axes[item.name] = (
            (item.low, item.high, item.log_scale) if isinstance(item, NumericRange) else tuple(item.options)
        )
    trial_rows = [Trial(item.number, item.state, item.score, item.epochs, item.drawn) for item in trials]
    return TrialsData(name, "macro F1", SCORED_ROWS[context.options.rows], trial_rows, best, axes, shares)
