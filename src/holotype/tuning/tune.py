"""A search for better settings: trials are ordinary runs of the store on one fold, given up where they lag."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from holotype.cache import RunLog, Stages, Store
from holotype.core.digest import digest_value
from holotype.core.errors import HolotypeError, InputError, RecipeError, TrainingError, pluralize
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.core.runtime import Runtime
from holotype.core.table_files import read_parquet
from holotype.networks import find_weights
from holotype.pipeline.model_scores import gather_models
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.run import prepare
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

__all__ = ["TuneOptions", "TuneResult", "run_trials"]

RUNGS = 3  # parts of a training after each of which it may be given up
MAX_EPOCHS = 24  # epochs, where nothing else is asked for
SCORED_ROWS = {
    "inner": "scored on inner rows, a group-safe tenth of the training folds, so that the fold itself chose nothing",
    "scored-fold": "selected on the scored fold: the score of the best is too high; run the recipe with another "
    "`split.folds_to_train`",
}
CHECKPOINT_RULES = {"inner": "{best: 1, rows: inner}", "scored-fold": "{last: 1}"}


@dataclass(frozen=True)
class TuneOptions:
    """What is asked of a search.

    Args:
        trials: How many there should be, those of an earlier call included.
        budget: The time after which no new one begins, as in `1h`.
        size: The input's side of every trial; searched where none is given.
        epochs: The most that a trial may take.
        rows: The rows that judge: `inner` or `scored-fold`.
        page: Where the page is written; `runs/NAME.tune` beside the recipe where none is given.
    """

    trials: int = 20
    budget: str | None = None
    size: int | None = None
    epochs: int | None = None
    rows: str = "inner"
    page: Path | None = None


@dataclass(frozen=True)
class _TuneContext:
    """What every trial is made from."""

    source: tuple[Path, tuple[str, ...]]
    options: TuneOptions
    ready: PreparedData
    stages: Stages
    runtime: Runtime
    study: Any
    space: tuple[Dimension, ...]


@dataclass(frozen=True)
class TuneResult:
    """What a search found.

    Args:
        trials: All of them, the best first.
        best: The best.
        scored_rows: By which rows, in words.
        page: Where the page is.
        recipe: Where the recipe is.
    """

    trials: tuple[TrialRecord, ...]
    best: TrialRecord
    scored_rows: str
    page: Path
    recipe: Path

    @property
    def lines(self) -> list[str]:
        """The same in lines."""
        return [
            *_format_table(self.trials),
            f"Best: trial {self.best.number}, macro F1 {self.best.score:.4f}, {self.scored_rows}.",
            f"Page:   {self.page}",
            f"Recipe: {self.recipe}",
        ]


def run_trials(
    path: Path, changes: tuple[str, ...], options: TuneOptions, progress: Progress | None = None
) -> TuneResult:
    """Search, and write what was found: a table of the trials, a page, and a recipe beside the one that was given.

    Args:
        path: The recipe's file.
        changes: As in `--set`.
        options: What is asked for.
        progress: Where each trial is told of when it has ended; standard error where none is given.

    Raises:
        InputError: The recipe or the data is wrong, or there is nothing to search.
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
        raise HolotypeError("no trial was finished", remedy="run the same command again with more --trials or --budget")
    shares = importances(context.study, recipe.seed)
    folder.write_text("trials.csv", _make_frame(done).write_csv())
    write_report(folder.path("tune.html"), _make_page(recipe.name, done, best.number, shares, context))
    content = read_recipe_dict(path, (*changes, *to_overrides(context.space, best.drawn)))
    tuned_path.write_text(
        tuned_recipe_text(content, best, len(done), context.space, shares, _describe_search(options)), encoding="utf-8"
    )
    return TuneResult(_rank_trials(done), best, SCORED_ROWS[options.rows], folder.root / "tune.html", tuned_path)


def _validate_search(recipe: Recipe, options: TuneOptions, tuned_path: Path) -> None:
    model = recipe.models[0]
    if len(recipe.models) > 1 or model.predictions is not None:
        raise RecipeError(
            "a search is for one model that is trained",
            field="models",
            remedy="keep the one whose settings are in doubt",
        )
    if options.trials < 1:
        raise InputError("a search needs a trial", field="--trials", value=options.trials, allowed=("1 or more",))
    if options.rows not in SCORED_ROWS:
        raise InputError("there are no such rows", field="--rows", value=options.rows, allowed=SCORED_ROWS)
    if tuned_path.exists() and not tuned_path.read_text(encoding="utf-8").startswith(f"# {WRITTEN_BY}"):
        raise InputError(f"{str(tuned_path)!r} exists already and is not of a search", remedy="move it away")


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
    stages = Stages(Store(runtime.store), log, quiet)
    ready = prepare(load_recipe(path, (*changes, *trial)), stages, runtime)
    space = _make_space(recipe, options)
    section = recipe.model_dump(mode="json", exclude={"name", "submission", "run"})
    identity = [section, stages.digests, [repr(dimension) for dimension in space], options.size, options.rows]
    journal = runtime.store / "tune" / digest_value(identity) / "journal.jsonl"
    source = (path, (*changes, *trial))
    return _TuneContext(source, options, ready, stages, replace(runtime, progress=quiet), open_study(journal), space)


def _make_space(recipe: Recipe, options: TuneOptions) -> tuple[Dimension, ...]:
    """The space, with the recipe's own backbone and those whose weights lie on this machine."""
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
    """Draw a trial and train it part by part, to the end or until it lags."""
    trial = begin_trial(context.study, seed)
    drawn = suggest(trial, context.space)
    path, changes = context.source
    sized = () if context.options.size is None else (f"models.0.input.size={context.options.size}",)
    recipe = load_recipe(path, (*changes, *sized, *to_overrides(context.space, drawn)))
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
        context.stages.log.write("failed", trial=trial.number, words=error.what)
        end_trial(context.study, trial, None, "failed")
    record = list_trials(context.study)[trial.number]
    context.stages.log.write("trial", number=record.number, state=record.state, score=record.score, drawn=drawn)
    return record


def _read_history(recipe: Recipe, context: _TuneContext, halt: int | None) -> list[dict[str, Any]]:
    """One entry an epoch, of a training up to an epoch or to its end."""
    try:
        scores = gather_models(recipe, context.ready, context.stages, replace(context.runtime, halt_after=halt))
    except TrainingPaused as halted:
        return halted.history
    return read_parquet(scores.models[0].networks[0] / "history.parquet").to_dicts()


def _best_score(history: Sequence[dict[str, Any]], scored_rows: str) -> float:
    """The best epoch on inner rows, which is the one that is kept; on the fold the last."""
    rows, epochs = ("inner", history) if scored_rows == "inner" else ("validation", history[-1:])
    scores = [epoch[f"{rows}_score"] for epoch in epochs]
    if None in scores:  # no class has a positive row: the metric is not defined, and the loss compares the trials
        scores = [-epoch[f"{rows}_loss"] for epoch in epochs]
    return max(map(float, scores))


def _list_ended(context: _TuneContext) -> list[TrialRecord]:
    return [record for record in list_trials(context.study) if record.state != "unfinished"]


def _has_time_for_trial(left: float, started: float, trial_count: int) -> bool:
    """Whether another trial, as long as those of this call on average, ends within what is left of the budget."""
    return left > (time.perf_counter() - started) / trial_count if trial_count else left > 0


def _describe_trial(record: TrialRecord) -> str:
    score = "no score" if record.score is None else f"{record.score:.4f}"
    drawn = ", ".join(f"{name} {_format_value(value)}" for name, value in record.drawn.items())
    return f"trial {record.number}: {record.state} after {pluralize(record.epochs, 'epoch')}, {score}; {drawn}"


def _format_value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _make_frame(trials: Sequence[TrialRecord]) -> pl.DataFrame:
    facts = ("number", "state", "score", "epochs")
    rows = [{name: getattr(record, name) for name in facts} | record.drawn for record in trials]
    return pl.DataFrame(rows, infer_schema_length=None)


def _rank_trials(trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    return tuple(sorted(trials, key=lambda record: (record.state != "finished", -(record.score or 0.0), record.number)))


def _format_table(trials: Sequence[TrialRecord]) -> Iterator[str]:
    yield f"{'trial':>5}  {'score':>6}  {'epochs':>6}  state"
    for record in trials:
        score = "" if record.score is None else f"{record.score:.4f}"
        yield f"{record.number:>5}  {score:>6}  {record.epochs:>6}  {record.state}"


def _describe_search(options: TuneOptions) -> list[str]:
    """What a reader of the recipe must know of how it was found."""
    words = [f"the trials were {SCORED_ROWS[options.rows]}"]
    if options.size is not None:
        words.append(f"every trial saw images of {options.size} px; the size below is the recipe's own")
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
