"""Neighbours: the nearest training specimens by a fold's own network, and what their labels say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.errors import counted
from holotype.feed import Specimens
from holotype.keys import index_key, neighbours_key
from holotype.members.networks import Trained
from holotype.members.predictions import NEAREST, MemberPredictions
from holotype.members.workshop import Workshop
from holotype.nets import open_checkpoint
from holotype.predict import embed_with_network
from holotype.retrieval import (
    Collection,
    Neighbours,
    fit_temperature,
    load_index,
    make_index,
    neighbour_logits,
    pooled_neighbours,
    refuse_scored_fold,
    save_index,
    take_over,
)
from holotype.spec import NeighboursSpec
from holotype.split import duplicate_components
from holotype.store import StageKey
from holotype.train import launch_fabric
from holotype.types import (
    MANY,
    AnyScores,
    Floats,
    ImageTable,
    Integers,
    Kind,
    LabelMatrix,
    Predictions,
    condense,
    joined,
)

__all__ = ["FoldNeighbours", "find_neighbours", "neighbours_member", "vote"]

Tied = tuple[Integers, Integers] | None
SCORES_FOR_TEMPERATURE = 20_000_000  # rows times classes that choose how far a neighbour's voice carries
VOTES_AT_ONCE = 1024  # rows whose scores of all classes are held


@dataclass(frozen=True)
class FoldNeighbours:
    """The neighbours that one fold's network names.

    Args:
        folder: Holds the index.
        keys: Image rows of the index, shape (m,).
        found: By name of the rows: the image rows asked about, and their neighbours among the keys.
        said: By name of the rows: the scores that come of it.
    """

    folder: Path
    keys: Integers
    found: dict[str, tuple[Integers, Neighbours]]
    said: dict[str, Predictions]


def find_neighbours(
    overall: Trained, said: Mapping[str, list[Predictions]], specimens: Specimens, workshop: Workshop
) -> FoldNeighbours | None:
    """The nearest training specimens of every row that a fold's network is asked about.

    What duplicates a row out of fold is not its neighbour: its label would tell what nobody could know of a new one.

    Args:
        overall: The fold's network.
        said: What it says itself, by name of the rows, one entry a pooling.
        specimens: Pixels and labels.
        workshop: What networks are made from.

    Returns:
        None in a forecast where the store does not hold them.

    Raises:
        HolotypeError: The fold that is scored is among the specimens.
    """
    job, spec, images = overall.job, overall.job.member.neighbours, workshop.images
    if spec is None:
        return None
    refuse_scored_fold(images.sample_numbers[job.train_rows], workshop.ready.folds.fold_of_sample, job.fold)
    ties = duplicate_components(images, workshop.ready.audit)[images.sample_numbers]
    statistics, stages = workshop.ready.statistics, workshop.stages
    moments = specimens.moments
    key = index_key(overall.key, job, ties[job.train_rows], statistics, moments)
    index = stages.folder(key, lambda folder: _write_index(folder, overall, ties, specimens, workshop))
    parts = {name: one[0].rows for name, one in said.items()}
    collection = load_index(index) if index.is_dir() else None
    found: dict[str, tuple[Integers, Neighbours]] = {}
    scores = {}
    for name, rows in parts.items():
        tied = (ties[rows], ties[job.train_rows]) if name == "oof" else None
        asked = neighbours_key(
            key, job, statistics, rows, ties=tied[0] if tied else rows[:0], part="" if name == "oof" else name,
            moments=moments,
        )  # fmt: skip

        def search(rows: Integers = rows, tied: Tied = tied, name: str = name) -> Neighbours:
            near = make_index((collection or load_index(index)).embeddings, spec.index).search(
                _embed(overall, rows, specimens, workshop), spec.k, tied
            )
            _say_if_few(near, spec, job.label, name, workshop)
            return near

        near = _stored(asked, search, len(rows), spec.k, workshop)
        if collection is not None and near is not None:
            logits = vote(near, collection, images.kind, spec, said[name][0].logits)
            found[name] = rows, near
            scores[name] = Predictions(f"{job.member.name}.neighbours", job.fold, rows, logits)
    if collection is None or len(found) < len(parts):
        return None
    return FoldNeighbours(index, job.train_rows, found, scores)


def _stored(
    key: StageKey, search: Callable[[], Neighbours], rows: int, most: int, workshop: Workshop
) -> Neighbours | None:
    """Neighbours from the store, found if they are not there; rows that do not exist have none and are no stage."""
    if not rows:
        return Neighbours(np.empty((0, most), np.int64), np.empty((0, most), np.float32))

    def write(folder: Path) -> None:
        near = search()
        np.save(folder / "rows.npy", near.rows, allow_pickle=False)
        np.save(folder / "similarity.npy", near.similarity, allow_pickle=False)

    place = workshop.stages.folder(key, write)
    if not place.is_dir():
        return None
    return Neighbours(*(np.load(place / f"{part}.npy", allow_pickle=False) for part in ("rows", "similarity")))


def vote(
    near: Neighbours, collection: Collection, kind: Kind, spec: NeighboursSpec, own: AnyScores | None
) -> AnyScores:
    """What the labels of the nearest specimens say.

    Args:
        near: Neighbours of n images among the collection.
        collection: From `load_index`.
        kind: One label a sample, or many.
        spec: The recipe's section.
        own: What the network itself says, shape (n, classes), of which similar specimens take over.

    Returns:
        Logits, shape (n, classes).
    """
    facts = collection.facts
    prior, temperature = np.asarray(facts["prior"], np.float32), float(facts["temperature"])
    truth = _known(_labels(collection, len(prior)), kind)

    def said(part: slice) -> AnyScores:
        some = Neighbours(near.rows[part], near.similarity[part])
        logits = neighbour_logits(some, truth, kind, prior, temperature)
        return condense(logits) if len(prior) > MANY else logits

    logits = joined([said(slice(start, start + VOTES_AT_ONCE)) for start in range(0, max(len(near), 1), VOTES_AT_ONCE)])
    if spec.take_over is None or own is None:
        return logits
    return take_over(own, logits, near.similarity, spec.take_over)


def neighbours_member(
    name: str, made: Sequence[FoldNeighbours], asked: Sequence[FoldNeighbours], images: ImageTable, served: Any
) -> MemberPredictions:
    """The second member that a member's neighbours are.

    Args:
        name: Of the member itself.
        made: One entry a used fold.
        asked: Those that answer for the rows to predict.
        images: The table.
        served: The classes it answers for; none where it answers for all.
    """
    tables = [_named(*one.found["oof"], one.keys, images) for one in made]
    for part in ("test", "apart"):
        rows = asked[0].found[part][0]
        pooled = pooled_neighbours([one.found[part][1] for one in asked], [one.keys for one in asked])
        tables.append(_named(rows, pooled, np.arange(len(images)), images))
    oof = [one.said["oof"] for one in made]
    test, apart = ([one.said[part] for one in asked] for part in ("test", "apart"))
    return MemberPredictions(
        f"{name}.neighbours", oof, test, apart=apart, served=served, indexes=[one.folder for one in asked],
        nearest=pl.concat(tables),
    )  # fmt: skip


def _write_index(folder: Path, overall: Trained, ties: Integers, specimens: Specimens, workshop: Workshop) -> None:
    job, images = overall.job, workshop.images
    rows, truth = job.train_rows, specimens.truth.rows(job.train_rows)
    embeddings = _embed(overall, rows, specimens, workshop)
    prior = (truth.counts() / len(rows)).astype(np.float32)
    spec = job.member.neighbours or NeighboursSpec()
    asked = min(len(rows), max(1, SCORES_FOR_TEMPERATURE // len(prior)))
    chosen = np.linspace(0, len(rows) - 1, asked).astype(np.int64)
    index = make_index(embeddings, spec.index)
    others = index.search(embeddings[chosen], spec.k, (ties[rows[chosen]], ties[rows]))
    temperature = fit_temperature(others, _known(truth, images.kind), chosen, images.kind, prior)
    known = pl.DataFrame({
        "row": rows, "id": images.frame["id"].gather(rows).cast(pl.String),
        "labels": pl.Series(truth.lists(), dtype=pl.List(pl.Int64)),
    })  # fmt: skip
    facts = {"prior": prior.tolist(), "temperature": temperature, "classes": list(job.classes), "fold": job.fold}
    save_index(folder, embeddings, known, facts)


def _embed(overall: Trained, rows: Integers, specimens: Specimens, workshop: Workshop) -> Floats:
    device = launch_fabric(workshop.runtime).device
    return embed_with_network(open_checkpoint(overall.network), specimens, rows, workshop.runtime, device)


def _labels(collection: Collection, classes: int) -> LabelMatrix:
    lists = collection.specimens["labels"]
    owners = np.repeat(np.arange(len(lists)), lists.list.len().to_numpy())
    return LabelMatrix.of_pairs(owners, lists.explode(empty_as_null=False).to_numpy(), (len(lists), classes))


def _known(truth: LabelMatrix, kind: Kind) -> NDArray[np.bool_] | Integers:
    """Labels as votes are counted: class numbers where each specimen has one."""
    return truth.numbers if kind == "multiclass" and (truth.lengths == 1).all() else truth[:]


def _named(rows: Integers, near: Neighbours, keys: Integers, images: ImageTable) -> pl.DataFrame:
    """The ids of images and of their nearest specimens."""
    ids = images.frame["id"].cast(pl.String).to_list()
    found = near.found
    names = [[ids[keys[key]] for key in own[there]] for own, there in zip(near.rows, found, strict=True)]
    similar = [own[there].tolist() for own, there in zip(near.similarity, found, strict=True)]
    return pl.DataFrame({"id": [ids[row] for row in rows], "nearest": names, "similarity": similar}, schema=NEAREST)


def _say_if_few(near: Neighbours, spec: NeighboursSpec, label: str, name: str, workshop: Workshop) -> None:
    few = int((near.found.sum(axis=1) < spec.k).sum())
    if few:
        workshop.runtime.progress.say(
            f"note: {label}: neighbours.k is {spec.k}, and {counted(few, 'image')} ({name}) have fewer specimens to be "
            "compared with"
        )
