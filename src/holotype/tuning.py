"""A search for better settings: trials are ordinary runs of the store on one fold, given up where they lag."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from holotype.digest import digest_value
from holotype.errors import HolotypeError, InputError, RecipeError, TrainingError, counted
from holotype.nets import find_weights
from holotype.pipeline import check_names, make_runtime, prepare
from holotype.plan import (
    FOUND_BY,
    SPACE,
    Among,
    Between,
    Dimension,
    TrialRecord,
    begin_trial,
    changes_of,
    draw,
    end_trial,
    found_recipe,
    importances,
    list_trials,
    open_study,
    read_budget,
    report_rung,
    search_space,
)
from holotype.prepared import Prepared
from holotype.progress import Progress
from holotype.recipe import Recipe, load_recipe, written_recipe
from holotype.report import Trial, TrialsContents, write_report
from holotype.road.gathering import gather_members
from holotype.runs import RunFolder
from holotype.runtime import Runtime
from holotype.store import RunLog, Stages, Store
from holotype.table_files import read_parquet
from holotype.train import HaltedError

__all__ = ["Found", "Search", "tune_recipe"]

RUNGS = 3  # parts of a training after each of which it may be given up
LONGEST = 24  # epochs, where nothing else is asked for
ON = {
    "inner": "scored on inner rows, a group-safe tenth of the training folds, so that the fold itself chose nothing",
    "fold": "selected on the scored fold: the score of the best is too high; run the recipe with another `split.use`",
}
KEPT = {"inner": "{best: 1, on: inner}", "fold": "{last: 1}"}


@dataclass(frozen=True)
class Search:
    """What is asked of a search.

    Args:
        trials: How many there should be, those of an earlier call included.
        budget: The time after which no new one begins, as in `1h`.
        size: The input's side of every trial; searched where none is given.
        epochs: The most that a trial may take.
        on: The rows that judge: `inner` or `fold`.
        page: Where the page is written; `runs/NAME.tune` beside the recipe where none is given.
    """

    trials: int = 20
    budget: str | None = None
    size: int | None = None
    epochs: int | None = None
    on: str = "inner"
    page: Path | None = None


@dataclass(frozen=True)
class _Bench:
    """What every trial is made from."""

    source: tuple[Path, tuple[str, ...]]
    search: Search
    ready: Prepared
    stages: Stages
    runtime: Runtime
    study: Any
    space: tuple[Dimension, ...]


@dataclass(frozen=True)
class Found:
    """What a search found.

    Args:
        trials: All of them, the best first.
        best: The best.
        judged: By which rows, in words.
        page: Where the page is.
        recipe: Where the recipe is.
    """

    trials: tuple[TrialRecord, ...]
    best: TrialRecord
    judged: str
    page: Path
    recipe: Path

    @property
    def lines(self) -> list[str]:
        """The same in lines."""
        return [
            *_table(self.trials),
            f"Best: trial {self.best.number}, macro F1 {self.best.score:.4f}, {self.judged}.",
            f"Page:   {self.page}",
            f"Recipe: {self.recipe}",
        ]


def tune_recipe(path: Path, changes: tuple[str, ...], search: Search, progress: Progress | None = None) -> Found:
    """Search, and write what was found: a table of the trials, a page, and a recipe beside the one that was given.

    Args:
        path: The recipe's file.
        changes: As in `--set`.
        search: What is asked for.
        progress: Where each trial is told of when it has ended; standard error where none is given.

    Raises:
        InputError: The recipe or the data is wrong, or there is nothing to search.
    """
    began, news = time.perf_counter(), progress or Progress()
    seconds = math.inf if search.budget is None else read_budget(search.budget)
    recipe = load_recipe(path, changes)
    found = path.with_name(f"{path.stem}.tuned.yaml")
    _refuse(recipe, search, found)
    check_names(recipe)
    folder = RunFolder(search.page or path.resolve().parent / "runs" / f"{recipe.name}.tune")
    bench = _bench(path, changes, search, recipe, RunLog(folder.path("log.jsonl")))
    done, own = _ended(bench), 0
    started = time.perf_counter()
    while len(done) < search.trials:
        if done and not _is_time_for_one(seconds - (time.perf_counter() - began), started, own):
            break
        news.say(_told(_one_trial(bench, recipe.seed)))
        done, own = _ended(bench), own + 1
    best = max((one for one in done if one.state == "finished"), key=lambda one: one.score or 0.0, default=None)
    if best is None:
        raise HolotypeError("no trial was finished", remedy="run the same command again with more --trials or --budget")
    shares = importances(bench.study, recipe.seed)
    folder.write_text("trials.csv", _frame(done).write_csv())
    write_report(folder.path("tune.html"), _contents(recipe.name, done, best.number, shares, bench))
    content = written_recipe(path, (*changes, *changes_of(bench.space, best.drawn)))
    found.write_text(found_recipe(content, best, len(done), bench.space, shares, _words(search)), encoding="utf-8")
    return Found(_ranked(done), best, ON[search.on], folder.root / "tune.html", found)


def _refuse(recipe: Recipe, search: Search, found: Path) -> None:
    member = recipe.members[0]
    if len(recipe.members) > 1 or member.predictions is not None:
        raise RecipeError("a search is for one member that is trained", field="members",
                          remedy="keep the one whose settings are in doubt")  # fmt: skip
    if search.trials < 1:
        raise InputError("a search needs a trial", field="--trials", value=search.trials, allowed=("1 or more",))
    if search.on not in ON:
        raise InputError("there are no such rows", field="--on", value=search.on, allowed=ON)
    if found.exists() and not found.read_text(encoding="utf-8").startswith(f"# {FOUND_BY}"):
        raise InputError(f"{str(found)!r} exists already and is not of a search", remedy="move it away")


def _bench(path: Path, changes: tuple[str, ...], search: Search, recipe: Recipe, log: RunLog) -> _Bench:
    runtime = make_runtime(recipe, path.resolve().parent)
    quiet = Progress(quiet=True, listener=lambda sentence: log.write("said", sentence=sentence))
    fold = recipe.split.use[0] if recipe.split.use != "all" else 0
    trial = (f"split.use=[{fold}]", "members.0.predict={views: none}", f"members.0.keep={KEPT[search.on]}")
    stages = Stages(Store(runtime.store), log, quiet)
    ready = prepare(load_recipe(path, (*changes, *trial)), stages, runtime)
    space = _space(recipe, search)
    section = recipe.model_dump(mode="json", exclude={"name", "submit", "run"})
    asked = [section, stages.digests, [repr(dimension) for dimension in space], search.size, search.on]
    journal = runtime.store / "tune" / digest_value(asked) / "journal.jsonl"
    source = (path, (*changes, *trial))
    return _Bench(source, search, ready, stages, replace(runtime, progress=quiet), open_study(journal), space)


def _space(recipe: Recipe, search: Search) -> tuple[Dimension, ...]:
    """The space, with the recipe's own backbone and those whose weights lie on this machine."""
    member = recipe.members[0]
    whole = [number for number, phase in enumerate(member.phases) if phase.freeze is None]
    (known,) = [one for one in SPACE if isinstance(one, Among) and one.name == "backbone"]
    others = [name for name in known.options if name != member.backbone and member.weights == "auto"]
    here = [name for name in others if not find_weights(name, "auto").words.startswith("random")]
    most = max(search.epochs or LONGEST, 1)
    phase = whole[-1] if whole else 0
    fewest = max(1, most // 4, int(member.phases[phase].warm_up) + 1)
    return search_space((fewest, max(fewest, most)), search.size, [member.backbone, *here], phase)


def _one_trial(bench: _Bench, seed: int) -> TrialRecord:
    """Draw a trial and train it part by part, to the end or until it lags."""
    trial = begin_trial(bench.study, seed)
    drawn = draw(trial, bench.space)
    path, changes = bench.source
    sized = () if bench.search.size is None else (f"members.0.input.size={bench.search.size}",)
    recipe = load_recipe(path, (*changes, *sized, *changes_of(bench.space, drawn)))
    epochs = sum(phase.epochs for phase in recipe.members[0].phases)
    halts = sorted({-(-epochs * part // RUNGS) for part in range(1, RUNGS)} - {epochs})
    try:
        for rung, halt in enumerate(halts, start=1):
            history = _history(recipe, bench, halt)
            if report_rung(bench.study, trial, rung, _score(history, bench.search.on), halt):
                end_trial(bench.study, trial, None, "pruned")
                break
        else:
            history = _history(recipe, bench, None)
            end_trial(bench.study, trial, _score(history, bench.search.on), "finished", len(history))
    except TrainingError as error:
        bench.stages.log.write("failed", trial=trial.number, words=error.what)
        end_trial(bench.study, trial, None, "failed")
    record = list_trials(bench.study)[trial.number]
    bench.stages.log.write("trial", number=record.number, state=record.state, score=record.score, drawn=drawn)
    return record


def _history(recipe: Recipe, bench: _Bench, halt: int | None) -> list[dict[str, Any]]:
    """One entry an epoch, of a training up to an epoch or to its end."""
    try:
        made = gather_members(recipe, bench.ready, bench.stages, replace(bench.runtime, halt_after=halt))
    except HaltedError as halted:
        return halted.history
    return read_parquet(made.members[0].networks[0] / "history.parquet").to_dicts()


def _score(history: Sequence[dict[str, Any]], on: str) -> float:
    """The best epoch on inner rows, which is the one that is kept; on the fold the last."""
    rows, epochs = ("inner", history) if on == "inner" else ("validation", history[-1:])
    scores = [epoch[f"{rows}_score"] for epoch in epochs]
    if None in scores:  # no class has a positive row: the metric is not defined, and the loss compares the trials
        scores = [-epoch[f"{rows}_loss"] for epoch in epochs]
    return max(map(float, scores))


def _ended(bench: _Bench) -> list[TrialRecord]:
    return [one for one in list_trials(bench.study) if one.state != "unfinished"]


def _is_time_for_one(left: float, started: float, own: int) -> bool:
    """Whether another trial, as long as those of this call on average, ends within what is left of the budget."""
    return left > (time.perf_counter() - started) / own if own else left > 0


def _told(one: TrialRecord) -> str:
    score = "no score" if one.score is None else f"{one.score:.4f}"
    drawn = ", ".join(f"{name} {_short(value)}" for name, value in one.drawn.items())
    return f"trial {one.number}: {one.state} after {counted(one.epochs, 'epoch')}, {score}; {drawn}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _frame(trials: Sequence[TrialRecord]) -> pl.DataFrame:
    facts = ("number", "state", "score", "epochs")
    rows = [{name: getattr(one, name) for name in facts} | one.drawn for one in trials]
    return pl.DataFrame(rows, infer_schema_length=None)


def _ranked(trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    return tuple(sorted(trials, key=lambda one: (one.state != "finished", -(one.score or 0.0), one.number)))


def _table(trials: Sequence[TrialRecord]) -> Iterator[str]:
    yield f"{'trial':>5}  {'score':>6}  {'epochs':>6}  state"
    for one in trials:
        score = "" if one.score is None else f"{one.score:.4f}"
        yield f"{one.number:>5}  {score:>6}  {one.epochs:>6}  {one.state}"


def _words(search: Search) -> list[str]:
    """What a reader of the recipe must know of how it was found."""
    words = [f"the trials were {ON[search.on]}"]
    if search.size is not None:
        words.append(f"every trial saw images of {search.size} px; the size below is the recipe's own")
    return words


def _contents(
    name: str, trials: Sequence[TrialRecord], best: int, shares: Mapping[str, float], bench: _Bench
) -> TrialsContents:
    axes: dict[str, tuple[float, float, bool] | Sequence[str]] = {}
    for one in bench.space:
        axes[one.name] = (one.low, one.high, one.by_factors) if isinstance(one, Between) else tuple(one.options)
    shown = [Trial(one.number, one.state, one.score, one.epochs, one.drawn) for one in trials]
    return TrialsContents(name, "macro F1", ON[bench.search.on], shown, best, axes, shares)
