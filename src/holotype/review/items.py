"""Review queue: samples and clusters in the order of their value for a reviewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit

from holotype.types import AnyScores, Decision, ImageTable, Kind, TopKScores

MAX_UNCERTAIN = 500
TOP_CLASSES = 6
MIN_PROBABILITY = 1e-6


@dataclass(frozen=True)
class SampleItem:
    """Sample to review.

    Args:
        suggested: Predicted labels, for a probable label error; None otherwise.
        doubt: Probability of the labels in the table, or distance to the decision threshold.
    """

    id: str
    suggested: tuple[str, ...] | None = None
    doubt: float | None = None
    kind: Literal["sample"] = field(default="sample", init=False)


@dataclass(frozen=True)
class ClusterItem:
    """Duplicate cluster to review. `links`: duplicate pairs: two rows, `exact` or `near`, and their similarity."""

    id: str
    rows: tuple[int, ...]
    conflict: bool
    links: tuple[tuple[int, int, str, float], ...] = ()
    kind: Literal["cluster"] = field(default="cluster", init=False)


@dataclass(frozen=True)
class ReviewData:
    """Tables of a finished run for a review.

    Args:
        label_errors: `audit/label_errors.parquet`.
        clusters: `audit/clusters.parquet`.
        duplicate_pairs: `audit/duplicate_pairs.parquet`.
        conflicts: `audit/conflicts.parquet`.
        ids: Ids of the scored samples; empty without scores.
        scores: Out-of-fold logits, shape (n, classes); None without scores.
        nearest: Most similar labeled images of each image id, with their similarity.
        colors: Function of channel count that gives names, colors, and whether the image is a photograph.
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
    """Lists of items to review.

    Args:
        clusters: Duplicates: contradicting labels first, then the least similar.
        uncertain: Samples close to the decision threshold, the closest first.
    """

    label_errors: tuple[SampleItem, ...]
    clusters: tuple[ClusterItem, ...]
    uncertain: tuple[SampleItem, ...]


def make_queue(data: ReviewData) -> ReviewQueue:
    """Build the review queue of a run."""
    doubtful = data.label_errors.filter("suspect")
    label_errors = [
        SampleItem(str(row["sample"]), tuple(row["predicted_label"]), float(row["quality"]))
        for row in doubtful.iter_rows(named=True)
    ]
    return ReviewQueue(tuple(label_errors), _cluster_items(data), _uncertain_items(data))


def decision_margins(scores: AnyScores, decision: Decision) -> NDArray[np.float64]:
    """Decision margin: distance of each sample from another decision.

    Multiclass: difference of the two largest log-probabilities. Multilabel: smallest distance of a logit from its
    threshold. `scores`: shape (n, classes). Returns shape (n,).
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
    """Most probable classes of a sample with their probabilities. `scores`: shape (n, classes)."""
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
    """Clusters with contradicting labels first, then by their weakest pair, because those may be no duplicates."""
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
