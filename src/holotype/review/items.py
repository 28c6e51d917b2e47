"""What a person is asked to look at, in the order of how much it is worth: plain values out of a run's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit

from holotype.types import AnyScores, Decision, ImageTable, Kind, TopScores

__all__ = ["ClusterItem", "Materials", "Queue", "SampleItem", "doubts", "likeliest_classes", "make_queue"]

UNCERTAIN_SHOWN = 500
LIKELIEST = 6
SMALLEST = 1e-6


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
class Materials:
    """A finished run as the review sees it: tables and plain values.

    Args:
        name: The run's name.
        images: The table as the run used it.
        suspects: `audit/suspects.parquet`.
        clusters: `audit/clusters.parquet`.
        links: `audit/links.parquet`.
        conflicts: `audit/conflicts.parquet`.
        ids: Of the scored samples; empty where nothing was scored.
        scores: Their logits, shape (n, classes); none where nothing was scored.
        decision: How scores become labels.
        nearest: Of each image id, the ids of the nearest specimens with their similarity.
        colours: Red, green and blue of each channel, by how many channels an image has and their names.
        fold_of: The fold of each sample id.
    """

    name: str
    images: ImageTable
    suspects: pl.DataFrame
    clusters: pl.DataFrame
    links: pl.DataFrame
    conflicts: pl.DataFrame
    ids: tuple[str, ...]
    scores: AnyScores | None
    decision: Decision
    nearest: Mapping[str, Sequence[tuple[str, float]]]
    colours: Any
    fold_of: Mapping[str, int]


@dataclass(frozen=True)
class Queue:
    """The three lists.

    Args:
        suspects: Likely wrong labels, the likeliest first.
        clusters: Duplicates: contradictions first, then the largest doubt.
        uncertain: Samples near the decision, the nearest first.
    """

    suspects: tuple[SampleItem, ...]
    clusters: tuple[ClusterItem, ...]
    uncertain: tuple[SampleItem, ...]


def make_queue(materials: Materials) -> Queue:
    """What there is to look at.

    Args:
        materials: The run.
    """
    doubtful = materials.suspects.filter("suspect")
    suspects = [
        SampleItem(str(row["sample"]), tuple(row["suggested"]), float(row["quality"]))
        for row in doubtful.iter_rows(named=True)
    ]
    return Queue(tuple(suspects), _clusters(materials), _uncertain(materials))


def doubts(scores: AnyScores, decision: Decision) -> NDArray[np.float64]:
    """How far each sample is from being decided otherwise; small where little is needed.

    With one label a sample it is the difference of the two largest log-probabilities, with many the smallest distance
    of a logit from its class's threshold.

    Args:
        scores: Shape (n, classes).
        decision: How scores become labels.

    Returns:
        Shape (n,).
    """
    if isinstance(scores, TopScores):
        return np.asarray(scores.logit[:, 0] - scores.logit[:, 1], np.float64)
    values = np.asarray(scores, np.float64)
    thresholds = np.asarray(decision.thresholds, np.float64)
    if decision.kind == "multilabel":
        if not len(thresholds):
            thresholds = np.full(values.shape[1], decision.levels[0] if decision.levels else 0.5)
        return np.asarray(np.abs(values - logit(np.clip(thresholds, SMALLEST, 1 - SMALLEST))).min(axis=1))
    said = np.asarray(log_softmax(values, axis=1))
    if decision.rule == "prior" and len(thresholds):
        said = said + thresholds
    if said.shape[1] < 2:
        return np.full(len(said), np.inf)
    best = np.partition(said, -2, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])


def likeliest_classes(scores: AnyScores, row: int, kind: Kind, also: Sequence[int] = ()) -> list[tuple[int, float]]:
    """The likeliest classes of a sample with their probabilities, the likeliest first.

    Args:
        scores: Shape (n, classes).
        row: The sample's row.
        kind: One label a sample, or many.
        also: Numbers of classes that are named in any case.
    """
    if isinstance(scores, TopScores):
        one = scores[row : row + 1]
        numbers = list(dict.fromkeys([*one.top[0, :LIKELIEST].tolist(), *also]))
        said = {number: float(np.exp(one.log_probability(np.array([number]))[0])) for number in numbers}
    else:
        values = np.asarray(scores[row], np.float64)
        probability = expit(values) if kind == "multilabel" else np.exp(log_softmax(values))
        numbers = list(dict.fromkeys([*np.argsort(-probability, kind="stable")[:LIKELIEST].tolist(), *also]))
        said = {number: float(probability[number]) for number in numbers}
    return sorted(said.items(), key=lambda entry: -entry[1])


def _uncertain(materials: Materials) -> tuple[SampleItem, ...]:
    if materials.scores is None:
        return ()
    distance = doubts(materials.scores, materials.decision)
    order = np.argsort(distance, kind="stable")[:UNCERTAIN_SHOWN]
    known = order[np.isfinite(distance[order])]
    return tuple(SampleItem(materials.ids[row], None, float(distance[row])) for row in known)


def _clusters(materials: Materials) -> tuple[ClusterItem, ...]:
    """Contradicting labels first; then sets whose weakest link is weakest, since those may be no duplicates."""
    ids = materials.images.frame["id"].cast(pl.String)
    rows: dict[int, list[int]] = {}
    for cluster, row in materials.clusters.select("cluster", "row").sort("cluster", "row").iter_rows():
        rows.setdefault(cluster, []).append(row)
    links: dict[int, list[tuple[int, int, str, float]]] = {}
    for cluster, *link in materials.links.select("cluster", "row", "other", "kind", "similarity").iter_rows():
        links.setdefault(cluster, []).append((link[0], link[1], link[2], float(link[3])))
    torn = set(materials.conflicts["cluster"].to_list())
    found = [
        ClusterItem(ids[own[0]], tuple(own), cluster in torn, tuple(links.get(cluster, ())))
        for cluster, own in rows.items()
    ]
    weakest = {item.id: min((link[3] for link in item.links), default=1.0) for item in found}
    return tuple(sorted(found, key=lambda item: (not item.conflict, weakest[item.id], item.rows)))
