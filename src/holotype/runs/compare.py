"""Run comparison: paired differences of finished runs on the samples that they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.cache import RunLog
from holotype.core.errors import InputError
from holotype.core.independence import UNKNOWN_GROUP, components, independent_groups
from holotype.core.run_folder import RunFolder
from holotype.core.table_files import parquet_columns, read_parquet
from holotype.evaluation import difference_table, metric_names
from holotype.evaluation.metrics import (
    ScoredSamples,
    adjust_p_values,
    class_differences,
    compare_paired,
    f1_per_class,
    resample_groups,
)
from holotype.pipeline.provenance import step_costs
from holotype.postprocessing.decision import decide
from holotype.postprocessing.submission import read_scores
from holotype.report import CompareData, ComparedRun, Difference, PairedRuns, write_report
from holotype.runs.fitted_run import open_run
from holotype.runs.recipe_diff import setting_differences
from holotype.types import AnyLabels, AnyScores, ImageTable, Integers, LabelMatrix, take_rows

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LABEL_METRICS = ("macro_f1", "micro_f1", "accuracy", "balanced_accuracy", "mcc", "cohen_kappa")


@dataclass(frozen=True)
class _ScoredRun:
    summary: ComparedRun
    images: ImageTable
    groups: Integers
    scored: Integers
    logits: AnyScores
    decided: AnyLabels
    settings: dict[str, Any]
    metric: str
    seed: int
    refitted: bool


def write_comparison(folders: Sequence[Path], output: Path) -> tuple[CompareData, list[str]]:
    """Compare finished runs, write the page, and return the comparison and its main results as lines."""
    if (output.resolve().parent / "scores.json").is_file():
        raise InputError(
            f"{str(output)!r} is in a run folder, which is only for files of that run",
            remedy="name another file with --output",
        )
    contents = compare_runs(folders)
    write_report(output, contents)
    lines = []
    for run in contents.runs:
        metric = run.metrics.get(contents.metric)
        value = "nothing was scored" if metric is None else f"{contents.metric} {metric['value']:.3f}"
        lines.append(f"{run.letter}  {value}  {run.folder}")
    for pair in contents.pairs:
        first = next(iter(pair.metrics), None)
        lines.append(f"{pair.letter} against A: " + (pair.notes[0] if first is None else first.sentence(pair.samples)))
    return contents, [*lines, f"Comparison: {output}"]


def compare_runs(folders: Sequence[Path]) -> CompareData:
    """Compare finished runs with the first of them."""
    if not 2 <= len(folders) <= len(LETTERS):
        raise InputError(f"{len(folders)} runs cannot be compared", remedy=f"give 2 to {len(LETTERS)} runs")
    runs = [_read_run(folder, letter) for folder, letter in zip(folders, LETTERS, strict=False)]
    first = runs[0]
    pairs = _adjust_pairs([_compare_pair(first, other) for other in runs[1:]])
    settings = setting_differences([run.settings for run in runs])
    return CompareData(first.metric, tuple(run.summary for run in runs), pairs, tuple(settings))


def _adjust_pairs(pairs: Sequence[PairedRuns]) -> tuple[PairedRuns, ...]:
    """Adjust the p-values of each metric for the number of pairs."""
    p_values: dict[str, list[float]] = {}
    for pair in pairs:
        for difference in pair.metrics:
            p_values.setdefault(difference.name, []).append(difference.p_value)
    adjusted = {name: iter(adjust_p_values(values).tolist()) for name, values in p_values.items()}
    return tuple(
        replace(pair, metrics=tuple(replace(part, p_adjusted=next(adjusted[part.name])) for part in pair.metrics))
        for pair in pairs
    )


def _read_run(folder: Path, letter: str) -> _ScoredRun:
    fitted_run = open_run(folder)
    run, recipe, decision = fitted_run.folder, fitted_run.recipe, fitted_run.decision
    scores = run.read_json("scores.json")
    images = ImageTable(read_parquet(run.require("images.parquet")), decision.classes, decision.kind)
    costs = step_costs(RunLog(run.root / "log.jsonl").read("step"))
    peak_memory = [megabytes for _, megabytes in costs.values() if megabytes is not None]
    summary = ComparedRun(
        letter,
        recipe.name,
        str(folder),
        decision.kind,
        len(decision.classes),
        scores["metrics"],
        sum(seconds for seconds, _ in costs.values()),
        max(peak_memory, default=None),
    )
    settings = recipe.model_dump(mode="json", exclude={"name"})
    count = len(decision.classes)
    no_scores = (np.empty(0, np.int64), np.empty((0, count), np.float32), LabelMatrix.empty(0, count))
    groups = _independent_groups(run, images)
    empty = _ScoredRun(summary, images, groups, *no_scores, settings, recipe.metric, recipe.seed, True)
    path = run.root / "oof.parquet"
    if not path.is_file():
        return empty
    ids, logits = read_scores(path, len(decision.classes))
    names = images.samples.frame["sample"].cast(pl.String)
    numbers = (
        ids.cast(pl.String).replace_strict(names, pl.Series(np.arange(len(names))), return_dtype=pl.Int64).to_numpy()
    )
    decided = _read_decided(path, len(decision.classes))
    labels = decide(decision, logits) if decided is None and decision.unique_class_per is None else decided
    if labels is None:
        return empty
    return _ScoredRun(
        summary, images, groups, numbers, logits, labels, settings, recipe.metric, recipe.seed, decided is not None
    )


def _independent_groups(run: RunFolder, images: ImageTable) -> Integers:
    clusters = read_parquet(run.require("audit/clusters.parquet"))
    fold = read_parquet(run.require("folds.parquet"))["fold"]
    parts = np.full(len(images.samples), UNKNOWN_GROUP, np.int64)
    parts[images.sample_numbers[fold.is_not_null().to_numpy()]] = 0
    return independent_groups(images, clusters, parts=parts)


def _read_decided(scored: Path, classes: int) -> AnyLabels | None:
    if "decided" not in parquet_columns(scored):
        return None
    lists = read_parquet(scored, columns=["decided"])["decided"]
    lengths = lists.list.len().to_numpy().astype(np.int64)
    numbers = np.concatenate([np.empty(0, np.int64), *lists.to_list()]).astype(np.int64)
    return LabelMatrix.from_pairs(np.repeat(np.arange(len(lengths)), lengths), numbers, (len(lengths), classes))


def _compare_pair(first: _ScoredRun, other: _ScoredRun) -> PairedRuns:
    letter = other.summary.letter
    notes: list[str] = []
    if not len(first.scored) or not len(other.scored):
        return PairedRuns(letter, 0, 0, (), (), ("one of the two runs has no scores",))
    if first.images.kind != other.images.kind:
        words = "one is multiclass and the other multilabel: their scores cannot be compared"
        return PairedRuns(letter, 0, 0, (), (), (words,))
    here, there = _shared_samples(first, other)
    if not len(here):
        words = f"{letter} and A share no samples: their scores are only shown side by side"
        return PairedRuns(letter, 0, 0, (), (), (words,))
    classes = [name for name in first.images.classes if name in set(other.images.classes)]
    if not classes:
        return PairedRuns(letter, len(here), 0, (), (), ("they have no class in common",))
    notes += _comparison_notes(first, other, (here, there), classes)
    before, after, has_label = _score_both_runs(first, other, (here, there), classes)
    if not has_label.any() or not before.truth.any():
        return PairedRuns(letter, 0, len(classes), (), (), (*notes, "no shared sample has a shared class"))
    before, after = before.rows(has_label), after.rows(has_label)
    both = [run.groups[run.scored[positions[has_label]]] for run, positions in ((first, here), (other, there))]
    draws = resample_groups(before.truth, components(np.arange(int(has_label.sum())), both), first.seed)
    same_classes = first.images.classes == other.images.classes
    names = metric_names(first.metric, before.kind, before.truth.size, len(classes))
    names = [name for name in names if same_classes or name in LABEL_METRICS]
    differences = {name: compare_paired(name, before, after, draws) for name in names}
    metrics = tuple(Difference(name, **asdict(part), p_adjusted=part.p_value) for name, part in differences.items())
    table = _class_rows(before, after, classes, class_differences(before, after, draws))
    by_group = difference_table(before, after, _group_columns(first, here[has_label]), first.metric)
    return PairedRuns(
        letter,
        int(has_label.sum()),
        len(classes),
        metrics,
        table,
        tuple(notes),
        draws.count,
        draws.unit,
        tuple(by_group),
    )


def _group_columns(run: _ScoredRun, positions: Integers) -> pl.DataFrame:
    """Group columns of scored samples, by their names in the recipe."""
    frame = run.images.samples.frame[run.scored[positions]]
    return frame.select(pl.col(f"group.{name}").alias(name) for name in run.images.group_names)


def _shared_samples(first: _ScoredRun, other: _ScoredRun) -> tuple[Integers, Integers]:
    names = [run.images.samples.frame["sample"].gather(run.scored).cast(pl.String) for run in (first, other)]
    frames = [
        pl.DataFrame({"sample": sample_names, f"row{side}": np.arange(len(sample_names))})
        for side, sample_names in enumerate(names)
    ]
    joined = frames[0].join(frames[1], on="sample", how="inner").sort("row0")
    return joined["row0"].to_numpy(), joined["row1"].to_numpy()


def _score_both_runs(
    first: _ScoredRun, other: _ScoredRun, positions: tuple[Integers, Integers], classes: list[str]
) -> tuple[ScoredSamples, ScoredSamples, NDArray[np.bool_]]:
    kind = first.images.kind
    truth = first.images.samples.label_matrix(first.scored[positions[0]])
    sides = []
    for run, rows in ((first, positions[0]), (other, positions[1])):
        columns = np.array([run.images.classes.index(name) for name in classes])
        same_classes = run.images.classes == first.images.classes
        decided = LabelMatrix.from_dense(run.decided).rows(rows)
        labels = (
            decided
            if same_classes and len(classes) == decided.classes
            else LabelMatrix.from_dense(decided[:][:, columns])
        )
        run_logits: AnyScores = (
            run.logits
            if len(classes) == len(run.images.classes) and same_classes
            else np.zeros((0, len(classes)), np.float32)
        )
        logits = take_rows(run_logits, rows) if len(run_logits) else np.zeros((len(rows), len(classes)), np.float32)
        sides.append((labels, logits))
    if len(classes) < len(first.images.classes):
        truth = LabelMatrix.from_dense(truth[:][:, [first.images.classes.index(name) for name in classes]])
    has_label = truth.label_counts > 0 if kind == "multiclass" else np.ones(len(truth), bool)
    large = not isinstance(first.logits, np.ndarray)
    forms = [part if large else part[:] for part in (truth, sides[0][0], sides[1][0])]
    return (
        ScoredSamples(forms[0], forms[1], sides[0][1], kind),
        ScoredSamples(forms[0], forms[2], sides[1][1], kind),
        has_label,
    )


def _comparison_notes(
    first: _ScoredRun, other: _ScoredRun, positions: tuple[Integers, Integers], classes: list[str]
) -> Iterator[str]:
    letter, (here, there) = other.summary.letter, positions
    alone = [len(run.scored) - len(here) for run in (first, other)]
    if any(alone):
        yield (
            f"{len(here):,} samples are shared and compared; {alone[0]:,} scored only by A and {alone[1]:,} only by "
            f"{letter} are not"
        )
    lacking = [len(run.images.classes) - len(classes) for run in (first, other)]
    if any(lacking):
        yield (
            f"{len(classes):,} classes are shared and compared; {lacking[0]:,} of A's and {lacking[1]:,} of "
            f"{letter}'s are not, and metrics that need all probabilities are left out"
        )
    truths = []
    for run, rows in ((first, here), (other, there)):
        names = np.array(run.images.classes, dtype=object)
        lists = run.images.samples.label_matrix(run.scored[rows]).lists()
        truths.append([frozenset(names[numbers]) for numbers in lists])
    changed = sum(first_labels != other_labels for first_labels, other_labels in zip(*truths, strict=True))
    if changed:
        yield f"{changed:,} shared samples have other labels in {letter}; both are scored by the labels of A"
    if first.metric != other.metric:
        yield f"A maximized {first.metric} and {letter} {other.metric}; {first.metric} is shown first"
    for run in (first, other):
        if not run.refitted:
            yield (
                f"{run.summary.letter} has no out-of-fold labels; its final decision rule is used, which was fitted to "
                "these samples, so its score is too high; run it again to fix that"
            )


def _class_rows(
    before: ScoredSamples, after: ScoredSamples, classes: list[str], changes: tuple[NDArray[np.float64], ...]
) -> tuple[dict[str, Any], ...]:
    supports = LabelMatrix.from_dense(before.truth).counts()
    f1 = [f1_per_class(side.truth, side.decided) for side in (before, after)]
    return tuple(
        {
            "name": name,
            "support": int(supports[number]),
            "before": float(f1[0][number]),
            "after": float(f1[1][number]),
            **{key: float(part[number]) for key, part in zip(("value", "low", "high"), changes, strict=True)},
        }
        for number, name in enumerate(classes)
    )
