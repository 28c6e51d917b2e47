"""What a person is asked to look at, in the order of how much it is worth: plain values out of a run's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit

from holotype.types import AnyScores, Decision, ImageTable, Kind, TopKScores

__all__ = [
    "ClusterItem",
    "ReviewData",
    "ReviewQueue",
    "SampleItem",
    "decision_margins",
    "likeliest_classes",
    "make_queue",
]

MAX_UNCERTAIN = 500
TOP_CLASSES = 6
MIN_PROBABILITY = 1e-6


@dataclass(frozen=True)
class SampleItem:
    """A sample to look at.

    Args:
        id: The sample's id.
        suggested: What the networks would say, where the labels are likely wrong; none elsewhere.
        doubt: Why it is here: the probability of the labels it has, or the distance to the decision.
    """

    id: str
    suggested: tuple[str, ...] | None = None
    doubt: float | None = None
    kind: Literal["sample"] = field(default="sample", init=False)


@dataclass(frozen=True)
class ClusterItem:
    """A set of duplicates to look at.

    Args:
        id: Of its first image.
        rows: Its image rows.
        conflict: Whether its labels contradict each other.
        links: The pairs that were found: two rows, `exact` or `near`, and their similarity.
    """

    id: str
    rows: tuple[int, ...]
    conflict: bool
    links: tuple[tuple[int, int, str, float], ...] = ()
    kind: Literal["cluster"] = field(default="cluster", init=False)


@dataclass(frozen=True)
class ReviewData:
    """A finished run as the review sees it: tables and plain values.

    Args:
        name: The run's name.
        images: The table as the run used it.
        label_errors: `audit/label_errors.parquet`.
        clusters: `audit/clusters.parquet`.
        duplicate_pairs: `audit/duplicate_pairs.parquet`.
        conflicts: `audit/conflicts.parquet`.
        ids: Of the scored samples; empty where nothing was scored.
        scores: Their logits, shape (n, classes); none where nothing was scored.
        decision: How scores become labels.
        nearest: Of each image id, the ids of the nearest specimens with their similarity.
        colors: Red, green and blue of each channel, by how many channels an image has and their names.
        fold_of: The fold of each sample id.
    """

    name: str
    images: ImageTable
    label_errors: pl.DataFrame
    clusters: pl.DataFrame
    duplicate_pairs: pl.DataFrame
    conflicts: pl.DataFrame
    ids: tuple[str, ...]
    scores: AnyScores | None
    decision: Decision
    nearest: Mapping[str, Sequence[tuple[str, float]]]
    colors: Any
    fold_of: Mapping[str, int]


@dataclass(frozen=True)
class ReviewQueue:
    """The three lists.

    Args:
        label_errors: Likely wrong labels, the likeliest first.
        clusters: Duplicates: contradictions first, then the largest doubt.
        uncertain: Samples near the decision, the nearest first.
    """

    label_errors: tuple[SampleItem, ...]
    clusters: tuple[ClusterItem, ...]
    uncertain: tuple[SampleItem, ...]


def make_queue(data: ReviewData) -> ReviewQueue:
    """What there is to look at.

    Args:
        data: The run.
    """
    doubtful = data.label_errors.filter("suspect")
    label_errors = [
        SampleItem(str(row["sample"]), tuple(row["predicted_label"]), float(row["quality"]))
        for row in doubtful.iter_rows(named=True)
    ]
    return ReviewQueue(tuple(label_errors), _cluster_items(data), _uncertain_items(data))


def decision_margins(scores: AnyScores, decision: Decision) -> NDArray[np.float64]:
    """How far each sample is from being decided otherwise; small where little is needed.

    With one label a sample it is the difference of the two largest log-probabilities, with many the smallest distance
    of a logit from its class's threshold.

    Args:
        scores: Shape (n, classes).
        decision: How scores become labels.

    Returns:
        Shape (n,).
    """
    if isinstance(scores, TopKScores):
        return np.asarray(scores.top_logits[:, 0] - scores.top_logits[:, 1], np.float64)
    values = np.asarray(scores, np.float64)
    thresholds = np.asarray(decision.thresholds, np.float64)
    if decision.kind == "multilabel":
        if not len(thresholds):
            thresholds = np.full(values.shape[1], decision.levels[0] if decision.levels else 0.5)
        return np.asarray(np.abs(values - logit(np.clip(thresholds, MIN_PROBABILITY, 1 - MIN_PROBABILITY))).min(axis=1))
    log_probabilities = np.asarray(log_softmax(values, axis=1))
    if decision.rule == "prior" and len(thresholds):
        log_probabilities = log_probabilities + thresholds
    if log_probabilities.shape[1] < 2:
        return np.full(len(log_probabilities), np.inf)
    best = np.partition(log_probabilities, -2, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])


def likeliest_classes(scores: AnyScores, row: int, kind: Kind, also: Sequence[int] = ()) -> list[tuple[int, float]]:
    """The likeliest classes of a sample with their probabilities, the likeliest first.

    Args:
        scores: Shape (n, classes).
        row: The sample's row.
        kind: One label a sample, or many.
        also: Numbers of classes that are named in any case.
    """
    if isinstance(scores, TopKScores):
        row_scores = scores[row : row + 1]
        numbers = list(dict.fromkeys([*row_scores.top_classes[0, :TOP_CLASSES].tolist(), *also]))
        probabilities = {number: float(np.exp(row_scores.log_probability(np.array([number]))[0])) for number in numbers}
    else:
        values = np.asarray(scores[row], np.float64)
        probability = expit(values) if kind == "multilabel" else np.exp(log_softmax(values))
        numbers = list(dict.fromkeys([*np.argsort(-probability, kind="stable")[:TOP_CLASSES].tolist(), *also]))
        probabilities = {number: float(probability[number]) for number in numbers}
    return sorted(probabilities.items(), key=lambda entry: -entry[1])


def _uncertain_items(data: ReviewData) -> tuple[SampleItem, ...]:
    if data.scores is None:
        return ()
    distance = decision_margins(data.scores, data.decision)
    order = np.argsort(distance, kind="stable")[:MAX_UNCERTAIN]
    finite = order[np.isfinite(distance[order])]
    return tuple(SampleItem(data.ids[row], None, float(distance[row])) for row in finite)


def _cluster_items(data: ReviewData) -> tuple[ClusterItem, ...]:
    """Contradicting labels first; then sets whose weakest link is weakest, since those may be no duplicates."""
    ids = data.images.frame["id"].cast(pl.String)
    rows: dict[int, list[int]] = {}
    for cluster, row in data.clusters.select("cluster", "row").sort("cluster", "row").iter_rows():
        rows.setdefault(cluster, []).append(row)
    links: dict[int, list[tuple[int, int, str, float]]] = {}
    for cluster, *link in data.duplicate_pairs.select("cluster", "row", "other", "kind", "similarity").iter_rows():
        links.setdefault(cluster, []).append((link[0], link[1], link[2], float(link[3])))
    torn = set(data.conflicts["cluster"].to_list())
    items = [
        ClusterItem(ids[cluster_rows[0]], tuple(cluster_rows), cluster in torn, tuple(links.get(cluster, ())))
        for cluster, cluster_rows in rows.items()
    ]
    weakest = {item.id: min((link[3] for link in item.links), default=1.0) for item in items}
    return tuple(sorted(items, key=lambda item: (not item.conflict, weakest[item.id], item.rows)))
