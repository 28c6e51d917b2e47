"""Summary sentences: weakest classes, variation between groups, and next steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.report.chance import is_chance
from holotype.report.formatting import finite, format_score, percent, truncate
from holotype.report.report_data import ReportData

MIN_SAMPLES = 10
MAX_ENTRIES = 3


@dataclass(frozen=True)
class Finding:
    """Sentences under one heading."""

    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class NextStep:
    """A recommendation. `anchor`: id of the section of the report that shows more."""

    text: str
    command: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Confusion:
    """Samples of one class that were predicted as another."""

    truth: str
    decided: str
    count: int
    share: float


def frequent_confusions(
    counts: NDArray[np.int64], shares: NDArray[np.float64], names: tuple[str, ...], at_most: int
) -> list[Confusion]:
    """Off-diagonal cells with the largest counts, the largest first.

    `counts`: samples by (true, predicted) class, shape (classes, classes); `shares`: row-normalized counts, shape
    (classes, classes).
    """
    wrong = np.where(np.eye(len(names), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:at_most]
    cells = [divmod(int(flat), len(names)) for flat in order]
    return [
        Confusion(names[row], names[column], int(wrong[row, column]), float(shares[row, column]))
        for row, column in cells
        if wrong[row, column] > 0
    ]


def summarize(contents: ReportData, confusions: list[Confusion]) -> list[Finding]:
    """Findings of a run; headings without sentences are left out."""
    findings = [
        Finding("Weakest classes", _describe_weak_classes(contents) + _describe_confusions(confusions)),
        Finding("Variation between groups", _describe_variation(contents)),
        Finding("Worth checking", _describe_notable_classes(contents)),
    ]
    return [finding for finding in findings if finding.answers]


def next_steps(contents: ReportData, confusions: list[Confusion]) -> list[NextStep]:
    """Recommendations for the user, the most urgent first."""
    entries = contents.scorecard.classes
    few = [entry for entry in entries if (entry.get("support") or 0) < MIN_SAMPLES]
    steps = []
    if contents.warnings or contents.audit.warnings or contents.folds.warnings:
        steps.append(
            NextStep("Read the warnings at the top of this page: they limit what the score means.", "", "score")
        )
    weak = is_chance(contents)
    if weak:
        steps.append(
            NextStep(
                "Improve the model before you trust its predictions, since it is not better than chance: more samples, "
                "pretrained weights (`weights:`), longer training or larger images (`size:` under `input:`)."
            )
        )
    if contents.label_errors and not weak:
        limit = len(contents.label_errors)
        count = contents.label_error_count or limit
        excerpt = f" (the first {limit:,} are shown)" if limit < count else ""
        steps.append(
            NextStep(
                f"Check the {_pluralize(count, 'probable label error')}{excerpt} and correct wrong labels; "
                "the next run uses the corrections if its recipe names them (`review:` under `data:`).",
                "holotype review RUN",
                "label-errors",
            )
        )
    if contents.audit.conflicts.height:
        steps.append(
            NextStep("Check duplicates with contradicting labels: at most one label can be right.", "", "duplicates")
        )
    if confusions:
        pair = f"{truncate(confusions[0].truth, 40)} and {truncate(confusions[0].decided, 40)}"
        steps.append(NextStep(f"Compare images of {pair}, the most frequent confusion: more samples of both may help."))
    if few:
        steps.append(NextStep(f"Collect more samples of classes with fewer than {MIN_SAMPLES}: {_join_names(few)}."))
    return [*steps, NextStep("Predict new images with this run.", "holotype predict RUN IMAGES")]


def _describe_weak_classes(contents: ReportData) -> tuple[str, ...]:
    scored = [entry for entry in contents.scorecard.classes if entry.get("support") and finite([entry.get("f1")])]
    scored = [entry for entry in scored if entry["f1"] < 0.9995]
    weakest = sorted(scored, key=lambda entry: float(entry["f1"]))[:MAX_ENTRIES]
    if not weakest:
        return ()
    words = ", ".join(f"{truncate(str(entry['name']), 40)} (F1 {format_score(entry['f1'])})" for entry in weakest)
    return (f"Lowest F1: {words}.",)


def _describe_confusions(confusions: list[Confusion]) -> tuple[str, ...]:
    return tuple(
        f"{truncate(confusion.truth, 40)} is predicted as {truncate(confusion.decided, 40)}: "
        f"{_pluralize(confusion.count, 'sample')}, {percent(confusion.share)} of the class."
        for confusion in confusions[:MAX_ENTRIES]
    )


def _describe_variation(contents: ReportData) -> tuple[str, ...]:
    card = contents.scorecard
    by_column: dict[str, list[dict[str, Any]]] = {}
    for entry in card.groups:
        by_column.setdefault(str(entry["column"]), []).append(entry)
    sentences = []
    if card.domains:
        sentences += _describe_range("domain", "domain", card.domains)
    for column, entries in by_column.items():
        sentences += _describe_range(column, "group", entries)
    return tuple(sentences)


def _describe_range(column: str, key: str, entries: list[dict[str, Any]]) -> list[str]:
    # A group of two samples scores 0 or 1 by chance; the sentence speaks of groups of a size that says something.
    typical_size = float(np.median([entry["samples"] for entry in entries]))
    large = [
        entry for entry in entries if finite([entry["value"]]) and entry["samples"] >= min(typical_size, MIN_SAMPLES)
    ]
    if len(large) < 2:
        return []
    low, high = min(large, key=lambda entry: entry["value"]), max(large, key=lambda entry: entry["value"])
    return [
        f"By {truncate(column, 40)}: from {format_score(low['value'])} ({truncate(str(low[key]), 40)}, "
        f"{_pluralize(low['samples'], 'sample')}) to {format_score(high['value'])} ({truncate(str(high[key]), 40)}, "
        f"{_pluralize(high['samples'], 'sample')})."
    ]


def _describe_notable_classes(contents: ReportData) -> tuple[str, ...]:
    entries = contents.scorecard.classes
    empty = [entry for entry in entries if not entry.get("support")]
    few = [entry for entry in entries if 0 < (entry.get("support") or 0) < MIN_SAMPLES]
    never = [entry for entry in entries if entry.get("support") and entry.get("predicted") == 0]
    conflicts, clusters = contents.audit.conflicts.height, contents.audit.clusters
    sentences = []
    if conflicts:
        sentences += [f"{_pluralize(conflicts, 'set')} of duplicates with contradicting labels."]
    if clusters.height:
        sentences += [f"{_pluralize(clusters['cluster'].n_unique(), 'set')} of duplicate images."]
    if empty:
        sentences += [f"No samples: {_join_names(empty)}."]
    if never:
        sentences += [f"Never predicted: {_join_names(never)}."]
    if few:
        sentences += [f"Fewer than {MIN_SAMPLES} samples, so the scores are very uncertain: {_join_names(few)}."]
    return tuple(sentences)


def _join_names(entries: list[dict[str, Any]]) -> str:
    words = [truncate(str(entry["name"]), 40) for entry in entries]
    rest = len(words) - 4
    return ", ".join(words[:4]) + (f" and {rest:,} more" if rest > 0 else "")


def _pluralize(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
