"""What the members of a finished run say of new images: their networks, their specialists, all classes filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from holotype.data import Pack, measure_images, pack_images, plan_pack
from holotype.ensemble import complete_scores
from holotype.errors import DataError, listing
from holotype.feed import Specimens, make_specimens
from holotype.members import served_classes, vote
from holotype.nets import open_checkpoint
from holotype.predict import embed_with_network, infer
from holotype.retrieval import load_index, make_index, pooled_neighbours
from holotype.runs import RunFolder
from holotype.runtime import Runtime
from holotype.score import gather_test
from holotype.spec import MemberSpec, NeighboursSpec
from holotype.train import launch_fabric
from holotype.types import (
    Checkpoint,
    Ensemble,
    ImageStatistics,
    ImageTable,
    Integers,
    LabelMatrix,
    Normalisation,
    Predictions,
    TestPredictions,
    dense,
    with_rows,
)

__all__ = ["NewImages", "hear_member", "hear_members", "look_at", "specimens_for"]

WHOLE = "a member of some of the classes"


@dataclass(frozen=True)
class NewImages:
    """Images that a run may never have seen.

    Args:
        images: Rows of the role `test`.
        statistics: Of every image.
        runtime: Device, threads and progress.
    """

    images: ImageTable
    statistics: ImageStatistics
    runtime: Runtime


def look_at(images: ImageTable, runtime: Runtime) -> NewImages:
    """Measure new images.

    Args:
        images: Rows of the role `test`.
        runtime: Device, threads and progress.

    Raises:
        DataError: One cannot be read.
    """
    statistics = measure_images(images, runtime)
    broken = statistics.frame["error"].drop_nulls()
    if len(broken):
        raise DataError(f"{len(broken):,} of {len(images):,} images cannot be read: {listing(broken.to_list(), 3)}",
                        remedy="mend or remove them")  # fmt: skip
    return NewImages(images, statistics, runtime)


def hear_members(
    members: list[MemberSpec], folder: RunFolder, ensemble: Ensemble, new: NewImages
) -> tuple[list[TestPredictions], list[list[str]]]:
    """What each member of a run says, read as the run chose.

    Args:
        members: The recipe's sections.
        folder: The run's folder.
        ensemble: Says how each member is read.
        new: From `look_at`.

    Returns:
        One entry a member; and for each sample the ids of its nearest specimens, by the first member that knows them.
    """
    classes = new.images.classes
    said: list[tuple[TestPredictions, Integers | None]] = []
    nearest: list[list[str]] = []
    for section in members:
        for name in section.names:
            if name != section.name:
                scores, named = _hear_neighbours(section, folder, new)
                nearest = nearest or named
            else:
                place = ensemble.members.index(name)
                routes = ensemble.routes[place] if ensemble.routes else ()
                scores = hear_member(section, ensemble.pools[place], routes, folder, new)
            said.append((scores, served_classes(section, new.images)))
    made = []
    for number, (own, served) in enumerate(said):
        if served is None:
            made.append(own)
            continue
        others = [(dense(one.logits, WHOLE), theirs) for place, (one, theirs) in enumerate(said) if place != number]
        whole = complete_scores(dense(own.logits, WHOLE), served, others, len(classes), new.images.kind)
        made.append(replace(own, logits=whole))
    return made, nearest


def hear_member(
    section: MemberSpec, pool: str, routes: tuple[str, ...], folder: RunFolder, new: NewImages
) -> TestPredictions:
    """One member's scores, its specialists' for the domains for which they answer.

    Args:
        section: The recipe's section.
        pool: How its views are read.
        routes: The domains for which its specialists answer.
        folder: The run's folder.
        new: From `look_at`.

    Returns:
        Scores of its own classes, shape (samples, classes).
    """
    networks = [open_checkpoint(place) for place in folder.checkpoints(section.name)]
    rows = np.arange(len(new.images))
    said = [_ask(network, section, rows, pool, new) for network in networks]
    specialists = [open_checkpoint(place) for place in folder.specialists(section.name)] if routes else []
    folds = {network.fold: place for place, network in enumerate(networks)}
    domain = new.images.frame["domain"].fill_null("").to_numpy()
    for special in specialists:
        own = np.flatnonzero(domain == special.card["domain"])
        place = folds.get(special.fold)  # none where one network of all rows answers in place of the folds'
        if place is not None and special.card["domain"] in routes and len(own):
            answer = _ask(special, section, own, pool, new).logits
            said[place] = replace(said[place], logits=with_rows(said[place].logits, own, answer))
    return gather_test(said, _narrowed(new.images, said[0]), rows, pool)


def _hear_neighbours(section: MemberSpec, folder: RunFolder, new: NewImages) -> tuple[TestPredictions, list[list[str]]]:
    """What the specimens say that lie nearest by each fold's network, and which they are."""
    spec = section.neighbours or NeighboursSpec()
    rows = np.arange(len(new.images))
    said, named = [], []
    for place, index in zip(folder.checkpoints(section.name), folder.checkpoints(f"{section.name}.neighbours"),
                            strict=True):  # fmt: skip
        network, collection = open_checkpoint(place), load_index(index)
        device = launch_fabric(new.runtime).device
        queries = embed_with_network(network, specimens_for(network.card, new), rows, new.runtime, device)
        near = make_index(collection.embeddings, spec.index).search(queries, spec.k)
        own = None if spec.take_over is None else _ask(network, section, rows, section.predict.pools[0], new).logits
        logits = vote(near, collection, new.images.kind, spec, own)
        said.append(Predictions(f"{section.name}.neighbours", network.fold, rows, logits))
        named.append((near, collection.specimens["row"].to_numpy(), collection.specimens["id"]))
    scores = gather_test(said, _narrowed(new.images, said[0]), rows, "mean-logit")
    ids = {int(row): str(name) for _, keys, names in named for row, name in zip(keys, names, strict=True)}
    together = pooled_neighbours([near for near, _, _ in named], [keys for _, keys, _ in named])
    first = together.rows[new.images.samples.first_rows]
    return scores, [[ids[int(row)] for row in own if row >= 0] for own in first]


def _narrowed(images: ImageTable, said: Predictions) -> ImageTable:
    """The table with a member's own classes, which may be some of them."""
    return replace(images, classes=tuple(map(str, range(said.logits.shape[1]))))


def _ask(network: Checkpoint, section: MemberSpec, rows: Integers, pool: str, new: NewImages) -> Predictions:
    specimens = specimens_for(network.card, new)
    wanted = section.predict.model_copy(update={"pool": pool})
    return infer(network, specimens, rows, wanted, new.runtime, launch_fabric(new.runtime).device)[0]


def specimens_for(card: dict[str, Any], new: NewImages) -> Specimens:
    """New images in the form in which a network's training images were stored.

    Args:
        card: The network's.
        new: From `look_at`.

    Raises:
        DataError: They have other channels.
    """
    found = new.statistics.frame["channels"].unique().to_list()
    if found != [card["channels"]]:
        raise DataError(f"the images have {listing(found)} channels and the run was trained on {card['channels']}")
    member = MemberSpec.model_validate(card["member"])
    tile = member.input.tile
    plan = plan_pack(new.statistics, member.stored_size, member.input.resize, tile.side if tile else None)
    plan = replace(plan, shape=(*plan.shape[:2], *card["canvas"]))  # what an image becomes hangs on no other image
    scale = Normalisation(tuple(card["normalisation"]["mean"]), tuple(card["normalisation"]["deviation"]))
    truth = LabelMatrix.nothing(len(new.images), len(card["classes"]))
    pack = Pack(pack_images(new.images, plan, None, new.runtime), plan.fitting)
    return make_specimens(member, pack, new.images, new.statistics, scale, truth)
