"""What the numbers say in sentences: where the run is wrong, how far it varies, what deserves a look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.report.contents import ReportContents
from holotype.report.words import finite, percent, score, shortened

__all__ = ["Confusion", "Finding", "find_out", "frequent_confusions"]

FEW = 10
SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """Some sentences under one question.

    Args:
        question: What they answer.
        answers: The sentences.
    """

    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Confusion:
    """Samples of one class that were decided to be of another.

    Args:
        truth: Their class.
        decided: What was decided.
        count: How many there are.
        share: Of all samples of their class, from 0 to 1.
    """

    truth: str
    decided: str
    count: int
    share: float


def frequent_confusions(
    counts: NDArray[np.int64], shares: NDArray[np.float64], names: tuple[str, ...], at_most: int
) -> list[Confusion]:
    """The cells off the diagonal with the largest counts, the largest first.

    Args:
        counts: Samples by (truth, decided), shape (classes, classes).
        shares: Each row's shares, shape (classes, classes).
        names: The class names.
        at_most: How many to return.
    """
    wrong = np.where(np.eye(len(names), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:at_most]
    cells = [divmod(int(flat), len(names)) for flat in order]
    return [
        Confusion(names[row], names[column], int(wrong[row, column]), float(shares[row, column]))
        for row, column in cells
        if wrong[row, column] > 0
    ]


def find_out(contents: ReportContents, confusions: list[Confusion]) -> list[Finding]:
    """The findings of a run; a question without an answer is left out.

    Args:
        contents: What the report is made of.
        confusions: The most frequent ones.
    """
    findings = [
        Finding("Where it is wrong", _weak_classes(contents) + _most_confused(confusions)),
        Finding("How far it varies", _spread(contents)),
        Finding("What deserves a look", _to_look_at(contents)),
    ]
    return [finding for finding in findings if finding.answers]


def _weak_classes(contents: ReportContents) -> tuple[str, ...]:
    known = [entry for entry in contents.scorecard.classes if entry.get("support") and finite([entry.get("f1")])]
    known = [entry for entry in known if entry["f1"] < 0.9995]
    weakest = sorted(known, key=lambda entry: float(entry["f1"]))[:SHOWN]
    if not weakest:
        return ()
    words = ", ".join(f"{shortened(str(entry['name']), 40)} (F1 {score(entry['f1'])})" for entry in weakest)
    return (f"Lowest F1: {words}.",)


def _most_confused(confusions: list[Confusion]) -> tuple[str, ...]:
    return tuple(
        f"{shortened(one.truth, 40)} is taken for {shortened(one.decided, 40)}: "
        f"{_counted(one.count, 'sample')}, {percent(one.share)} of its own."
        for one in confusions[:SHOWN]
    )


def _spread(contents: ReportContents) -> tuple[str, ...]:
    card = contents.scorecard
    by_column: dict[str, list[dict[str, Any]]] = {}
    for entry in card.groups:
        by_column.setdefault(str(entry["column"]), []).append(entry)
    sentences = []
    if card.domains:
        sentences += _range_of("domain", "domain", card.domains)
    for column, entries in by_column.items():
        sentences += _range_of(column, "group", entries)
    return tuple(sentences)


def _range_of(column: str, key: str, entries: list[dict[str, Any]]) -> list[str]:
    # A group of two samples scores 0 or 1 by chance; the sentence speaks of groups of a size that says something.
    usual = float(np.median([entry["samples"] for entry in entries]))
    known = [entry for entry in entries if finite([entry["value"]]) and entry["samples"] >= min(usual, FEW)]
    if len(known) < 2:
        return []
    low, high = min(known, key=lambda entry: entry["value"]), max(known, key=lambda entry: entry["value"])
    return [
        f"By {shortened(column, 40)}: from {score(low['value'])} ({shortened(str(low[key]), 40)}, "
        f"{_counted(low['samples'], 'sample')}) to {score(high['value'])} ({shortened(str(high[key]), 40)}, "
        f"{_counted(high['samples'], 'sample')})."
    ]


def _to_look_at(contents: ReportContents) -> tuple[str, ...]:
    entries = contents.scorecard.classes
    empty = [entry for entry in entries if not entry.get("support")]
    few = [entry for entry in entries if 0 < (entry.get("support") or 0) < FEW]
    never = [entry for entry in entries if entry.get("support") and entry.get("predicted") == 0]
    conflicts, clusters = contents.audit.conflicts.height, contents.audit.clusters
    sentences = []
    if conflicts:
        sentences += [f"{_counted(conflicts, 'set')} of duplicates with labels that contradict each other."]
    if clusters.height:
        sentences += [f"{_counted(clusters['cluster'].n_unique(), 'set')} of duplicate images."]
    if empty:
        sentences += [f"No samples to score: {_named(empty)}."]
    if never:
        sentences += [f"Never decided: {_named(never)}."]
    if few:
        sentences += [f"Fewer than {FEW} samples, so their scores are hardly known: {_named(few)}."]
    return tuple(sentences)


def _named(entries: list[dict[str, Any]]) -> str:
    words = [shortened(str(entry["name"]), 40) for entry in entries]
    rest = len(words) - 4
    return ", ".join(words[:4]) + (f" and {rest:,} more" if rest > 0 else "")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
