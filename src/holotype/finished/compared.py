"""Finished runs side by side: what differs between them, on the samples that they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.decide import decide
from holotype.errors import InputError
from holotype.finished.differences import setting_differences
from holotype.finished.opened import open_run
from holotype.independence import NOTHING, components, independent_groups
from holotype.metrics import Judged, class_differences, draw_groups, f1_per_class, paired_difference
from holotype.report import CompareContents, ComparedRun, Difference, PairedRuns, write_report
from holotype.road.provenance import what_stages_took
from holotype.runs import RunFolder
from holotype.score import metric_names
from holotype.store import RunLog
from holotype.submit import read_scores
from holotype.table_files import parquet_columns, read_parquet
from holotype.types import AnyLabels, AnyScores, ImageTable, Integers, LabelMatrix, some_rows

__all__ = ["compare_runs", "write_comparison"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ONLY_OF_LABELS = ("macro_f1", "micro_f1", "accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class _ScoredRun:
    """A finished run with what it said of the samples that it was scored on.

    Args:
        shown: What the page says of it.
        images: Its table.
        groups: The independent group of each sample of the table, shape (samples,).
        scored: Numbers of the samples that were scored, shape (n,), ascending.
        logits: Shape (n, classes).
        decided: Which classes each was given, shape (n, classes).
        settings: The recipe, nested.
        metric: What every choice maximised.
        seed: The recipe's.
        refitted: Whether what was decided was fitted without the fold it is scored on.
    """

    shown: ComparedRun
    images: ImageTable
    groups: Integers
    scored: Integers
    logits: AnyScores
    decided: AnyLabels
    settings: dict[str, Any]
    metric: str
    seed: int
    refitted: bool


def write_comparison(folders: Sequence[Path], output: Path) -> Iterator[str]:
    """Compare finished runs, write the page, and say what it says in lines.

    Args:
        folders: Of the runs; the others are compared with the first.
        output: The page.

    Raises:
        InputError: A folder is not a finished run, none was scored, or the page would lie in a run's folder.
    """
    if (output.resolve().parent / "scores.json").is_file():
        raise InputError(f"{str(output)!r} lies in the folder of a run, which holds only what the run wrote",
                         remedy="name another place with --output")  # fmt: skip
    contents = compare_runs(folders)
    write_report(output, contents)
    for run in contents.runs:
        metric = run.metrics.get(contents.metric)
        value = "nothing was scored" if metric is None else f"{contents.metric} {metric['value']:.3f}"
        yield f"{run.letter}  {value}  {run.place}"
    for pair in contents.pairs:
        first = next(iter(pair.metrics), None)
        yield f"{pair.letter} against A: " + (pair.notes[0] if first is None else first.sentence(pair.samples))
    yield f"Comparison: {output}"


def compare_runs(folders: Sequence[Path]) -> CompareContents:
    """What the page of a comparison shows.

    Args:
        folders: Of the runs, at least two; the others are compared with the first.

    Raises:
        InputError: A folder is not a finished run, or there are too few.
    """
    if not 2 <= len(folders) <= len(LETTERS):
        raise InputError(f"{len(folders)} runs cannot be compared", remedy="give two, or a few more")
    runs = [_read(folder, letter) for folder, letter in zip(folders, LETTERS, strict=False)]
    first = runs[0]
    pairs = tuple(_paired(first, other) for other in runs[1:])
    settings = setting_differences([run.settings for run in runs])
    return CompareContents(first.metric, tuple(run.shown for run in runs), pairs, tuple(settings))


def _read(folder: Path, letter: str) -> _ScoredRun:
    opened = open_run(folder)
    run, recipe, decision = opened.folder, opened.recipe, opened.decision
    scores = run.read_json("scores.json")
    images = ImageTable(read_parquet(run.existing("images.parquet")), decision.classes, decision.kind)
    spent = what_stages_took(RunLog(run.root / "log.jsonl").read("stage"))
    held = [megabytes for _, megabytes in spent.values() if megabytes is not None]
    shown = ComparedRun(
        letter, recipe.name, str(folder), decision.kind, len(decision.classes), scores["metrics"],
        sum(seconds for seconds, _ in spent.values()), max(held, default=None),
    )  # fmt: skip
    settings = recipe.model_dump(mode="json", exclude={"name"})
    count = len(decision.classes)
    nothing = (np.empty(0, np.int64), np.empty((0, count), np.float32), LabelMatrix.nothing(0, count))
    groups = _independent_groups(run, images)
    empty = _ScoredRun(shown, images, groups, *nothing, settings, recipe.metric, recipe.seed, True)
    place = run.root / "oof.parquet"
    if not place.is_file():
        return empty
    ids, logits = read_scores(place, len(decision.classes))
    names = images.samples.frame["sample"].cast(pl.String)
    numbers = (
        ids.cast(pl.String).replace_strict(names, pl.Series(np.arange(len(names))), return_dtype=pl.Int64).to_numpy()
    )
    decided = _decided(place, len(decision.classes))
    made = decide(decision, logits) if decided is None and decision.one_class_per is None else decided
    if made is None:
        return empty
    return _ScoredRun(
        shown, images, groups, numbers, logits, made, settings, recipe.metric, recipe.seed, decided is not None
    )


def _independent_groups(run: RunFolder, images: ImageTable) -> Integers:
    """Those of the run itself, from its tables."""
    clusters = read_parquet(run.existing("audit/clusters.parquet"))
    fold = read_parquet(run.existing("folds.parquet"))["fold"]
    parts = np.full(len(images.samples), NOTHING, np.int64)
    parts[images.sample_numbers[fold.is_not_null().to_numpy()]] = 0
    return independent_groups(images, clusters, parts=parts)


def _decided(scored: Path, classes: int) -> AnyLabels | None:
    if "decided" not in parquet_columns(scored):
        return None
    lists = read_parquet(scored, columns=["decided"])["decided"]
    lengths = lists.list.len().to_numpy().astype(np.int64)
    numbers = np.concatenate([np.empty(0, np.int64), *lists.to_list()]).astype(np.int64)
    return LabelMatrix.of_pairs(np.repeat(np.arange(len(lengths)), lengths), numbers, (len(lengths), classes))


def _paired(first: _ScoredRun, other: _ScoredRun) -> PairedRuns:
    """The differences of a run to the first, on what they share."""
    letter = other.shown.letter
    notes: list[str] = []
    if not len(first.scored) or not len(other.scored):
        return PairedRuns(letter, 0, 0, (), (), ("one of the two has no scores: there is nothing to compare",))
    if first.images.kind != other.images.kind:
        words = "one gives each sample one label and the other many: their scores do not mean the same"
        return PairedRuns(letter, 0, 0, (), (), (words,))
    here, there = _shared_samples(first, other)
    if not len(here):
        words = f"no sample of {letter} has the name of one of A's: only scores of their own stand side by side"
        return PairedRuns(letter, 0, 0, (), (), (words,))
    classes = [name for name in first.images.classes if name in set(other.images.classes)]
    if not classes:
        return PairedRuns(letter, len(here), 0, (), (), ("they have no class in common",))
    notes += _notes(first, other, (here, there), classes)
    before, after, kept = _both_sides(first, other, (here, there), classes)
    if not kept.any() or not before.truth.any():
        return PairedRuns(letter, 0, len(classes), (), (), (*notes, "no shared sample has a shared class"))
    before, after = before.rows(kept), after.rows(kept)
    both = [run.groups[run.scored[place[kept]]] for run, place in ((first, here), (other, there))]
    draws = draw_groups(before.truth, components(np.arange(int(kept.sum())), both), first.seed)
    same_classes = first.images.classes == other.images.classes
    names = metric_names(first.metric, before.kind, before.truth.size, len(classes))
    names = [name for name in names if same_classes or name in ONLY_OF_LABELS]
    metrics = tuple(Difference(name, **paired_difference(name, before, after, draws)) for name in names)
    table = _class_rows(before, after, classes, class_differences(before, after, draws))
    return PairedRuns(letter, int(kept.sum()), len(classes), metrics, table, tuple(notes), draws.count, draws.unit)


def _shared_samples(first: _ScoredRun, other: _ScoredRun) -> tuple[Integers, Integers]:
    """Places among the scored samples of each, in the order of the first."""
    names = [run.images.samples.frame["sample"].gather(run.scored).cast(pl.String) for run in (first, other)]
    frames = [pl.DataFrame({"sample": own, f"place{side}": np.arange(len(own))}) for side, own in enumerate(names)]
    joined = frames[0].join(frames[1], on="sample", how="inner").sort("place0")
    return joined["place0"].to_numpy(), joined["place1"].to_numpy()


def _both_sides(
    first: _ScoredRun, other: _ScoredRun, places: tuple[Integers, Integers], classes: list[str]
) -> tuple[Judged, Judged, NDArray[np.bool_]]:
    """What each decided of the shared samples and classes, by the first's labels; which samples count."""
    kind = first.images.kind
    truth = first.images.samples.label_matrix(first.scored[places[0]])
    sides = []
    for run, place in ((first, places[0]), (other, places[1])):
        columns = np.array([run.images.classes.index(name) for name in classes])
        own = run.images.classes == first.images.classes
        decided = LabelMatrix.of(run.decided).rows(place)
        said = decided if own and len(classes) == decided.classes else LabelMatrix.of(decided[:][:, columns])
        known: AnyScores = (
            run.logits if len(classes) == len(run.images.classes) and own else np.zeros((0, len(classes)), np.float32)
        )
        logits = some_rows(known, place) if len(known) else np.zeros((len(place), len(classes)), np.float32)
        sides.append((said, logits))
    if len(classes) < len(first.images.classes):
        truth = LabelMatrix.of(truth[:][:, [first.images.classes.index(name) for name in classes]])
    kept = truth.lengths > 0 if kind == "multiclass" else np.ones(len(truth), bool)
    large = not isinstance(first.logits, np.ndarray)
    forms = [part if large else part[:] for part in (truth, sides[0][0], sides[1][0])]
    return Judged(forms[0], forms[1], sides[0][1], kind), Judged(forms[0], forms[2], sides[1][1], kind), kept


def _notes(
    first: _ScoredRun, other: _ScoredRun, places: tuple[Integers, Integers], classes: list[str]
) -> Iterator[str]:
    letter, (here, there) = other.shown.letter, places
    alone = [len(run.scored) - len(here) for run in (first, other)]
    if any(alone):
        yield (f"{len(here):,} samples are shared and compared; {alone[0]:,} scored by A alone and {alone[1]:,} by "
               f"{letter} alone are not")  # fmt: skip
    lacking = [len(run.images.classes) - len(classes) for run in (first, other)]
    if any(lacking):
        yield (f"{len(classes):,} classes are shared and compared; {lacking[0]:,} of A's and {lacking[1]:,} of "
               f"{letter}'s are not, and scores that look at all probabilities are left out")  # fmt: skip
    truths = []
    for run, place in ((first, here), (other, there)):
        names = np.array(run.images.classes, dtype=object)
        lists = run.images.samples.label_matrix(run.scored[place]).lists()
        truths.append([frozenset(names[own]) for own in lists])
    changed = sum(one != two for one, two in zip(*truths, strict=True))
    if changed:
        yield f"{changed:,} shared samples have other labels in {letter}; both are judged by those of A"
    if first.metric != other.metric:
        yield f"A maximised {first.metric} and {letter} {other.metric}; both are judged by {first.metric} first"
    for run in (first, other):
        if not run.refitted:
            yield (f"{run.shown.letter} does not hold what was decided out of fold; the rule of the finished run is "
                   "used, which has seen these samples and flatters it; run it again to mend that")  # fmt: skip


def _class_rows(
    before: Judged, after: Judged, classes: list[str], changes: tuple[NDArray[np.float64], ...]
) -> tuple[dict[str, Any], ...]:
    supports = LabelMatrix.of(before.truth).counts()
    f1 = [f1_per_class(side.truth, side.decided) for side in (before, after)]
    return tuple(
        {"name": name, "support": int(supports[number]), "before": float(f1[0][number]), "after": float(f1[1][number]),
         **{key: float(part[number]) for key, part in zip(("value", "low", "high"), changes, strict=True)}}
        for number, name in enumerate(classes)
    )  # fmt: skip
