"""What the members of a finished run say of new images: their networks, their specialists, all classes filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from holotype.ensemble import complete_scores
from holotype.finished.seen import NewImages, specimens_for
from holotype.finished.stored import open_network
from holotype.members import served_classes, vote
from holotype.predict import embed_with_network, infer
from holotype.retrieval import Collection, ExactIndex, FaissIndex, load_index, make_index, pooled_neighbours
from holotype.runs import RunFolder
from holotype.score import gather_test
from holotype.spec import MemberSpec, NeighboursSpec
from holotype.train import find_device
from holotype.types import (
    Checkpoint,
    Ensemble,
    ImageTable,
    Integers,
    Predictions,
    TestPredictions,
    dense,
    with_rows,
)

__all__ = [
    "Nearest",
    "Voice",
    "hear_member",
    "hear_members",
    "open_voices",
]

WHOLE = "a member of some of the classes"
Nearest = list[list[tuple[str, float]]]
"""For each sample the ids of its nearest training specimens and their similarity, the nearest first."""


@dataclass(frozen=True)
class Voice:
    """One member of a finished run that can be asked.

    Args:
        section: The recipe's.
        pool: How its views are pooled.
        routes: The domains for which its specialists answer.
        networks: Those of the folds, or the one that was trained on all rows.
        specialists: Networks of single domains; their cards say which.
        indexes: Folders of the indexes of its neighbours, one a network; none where it has no neighbours.
        held: Whether networks and indexes stay in memory.
    """

    section: MemberSpec
    pool: str
    routes: tuple[str, ...]
    networks: tuple[Checkpoint, ...]
    specialists: tuple[Checkpoint, ...] = ()
    indexes: tuple[Path, ...] = ()
    held: bool = False

    @cached_property
    def _searches(self) -> list[tuple[Collection, ExactIndex | FaissIndex]]:
        return [self._load(place) for place in self.indexes]

    def search(self, number: int) -> tuple[Collection, ExactIndex | FaissIndex]:
        """The specimens of one network's index, and what finds the nearest of them.

        Args:
            number: Which network's.
        """
        return self._searches[number] if self.held else self._load(self.indexes[number])

    def _load(self, place: Path) -> tuple[Collection, ExactIndex | FaissIndex]:
        collection = load_index(place)
        return collection, make_index(collection.embeddings, (self.section.neighbours or NeighboursSpec()).index)


def open_voices(
    members: Sequence[MemberSpec], folder: RunFolder, ensemble: Ensemble, classes: Sequence[str], held: bool
) -> tuple[Voice, ...]:
    """The members of a finished run, their cards read.

    Args:
        members: The recipe's sections, all of them networks.
        folder: The run's folder.
        ensemble: Says how each member is read.
        classes: The run's.
        held: Read weights and indexes now and keep them, instead of whenever they are asked for.
    """
    voices = []
    for section in members:
        place = ensemble.members.index(section.name)
        routes = ensemble.routes[place] if ensemble.routes else ()
        networks = [open_network(one, classes, held) for one in folder.checkpoints(section.name)]
        special = [open_network(one, classes, held) for one in folder.specialists(section.name)] if routes else []
        indexes = folder.checkpoints(f"{section.name}.neighbours") if section.neighbours else []
        voices.append(
            Voice(section, ensemble.pools[place], routes, tuple(networks), tuple(special), tuple(indexes), held)
        )
    return tuple(voices)


def hear_members(voices: Sequence[Voice], new: NewImages) -> tuple[list[TestPredictions], Nearest]:
    """What each member of a run says, read as the run chose.

    Args:
        voices: From `open_voices`.
        new: From `look_at`.

    Returns:
        One entry a member, and the nearest specimens by the first member that knows them; none where none does.
    """
    classes = new.images.classes
    said: list[tuple[TestPredictions, Integers | None]] = []
    nearest: Nearest = []
    for voice in voices:
        served = served_classes(voice.section, new.images)
        said.append((hear_member(voice, new), served))
        if voice.indexes:
            scores, named = _hear_neighbours(voice, new)
            nearest = nearest or named
            said.append((scores, served))
    made = []
    for number, (own, served) in enumerate(said):
        if served is None:
            made.append(own)
            continue
        others = [(dense(one.logits, WHOLE), theirs) for place, (one, theirs) in enumerate(said) if place != number]
        whole = complete_scores(dense(own.logits, WHOLE), served, others, len(classes), new.images.kind)
        made.append(replace(own, logits=whole))
    return made, nearest


def hear_member(voice: Voice, new: NewImages) -> TestPredictions:
    """One member's scores, its specialists' for the domains for which they answer.

    Args:
        voice: From `open_voices`.
        new: From `look_at`.

    Returns:
        Scores of its own classes, shape (samples, classes).
    """
    rows = np.arange(len(new.images))
    said = [_ask(network, voice.section, rows, voice.pool, new) for network in voice.networks]
    folds = {network.fold: place for place, network in enumerate(voice.networks)}
    domain = new.images.frame["domain"].fill_null("").to_numpy()
    for special in voice.specialists:
        own = np.flatnonzero(domain == special.card["domain"])
        place = folds.get(special.fold)  # none where one network of all rows answers in place of the folds'
        if place is not None and special.card["domain"] in voice.routes and len(own):
            answer = _ask(special, voice.section, own, voice.pool, new).logits
            said[place] = replace(said[place], logits=with_rows(said[place].logits, own, answer))
    return gather_test(said, _narrowed(new.images, said[0]), rows, voice.pool)


def _hear_neighbours(voice: Voice, new: NewImages) -> tuple[TestPredictions, Nearest]:
    """What the specimens say that lie nearest by each fold's network, and which they are."""
    section = voice.section
    spec = section.neighbours or NeighboursSpec()
    rows = np.arange(len(new.images))
    said, named = [], []
    for number, network in enumerate(voice.networks):
        collection, search = voice.search(number)
        device = find_device(new.runtime)
        queries = embed_with_network(network, specimens_for(network.card, new), rows, new.runtime, device)
        near = search.search(queries, spec.k)
        own = None if spec.take_over is None else _ask(network, section, rows, section.predict.pools[0], new).logits
        logits = vote(near, collection, new.images.kind, spec, own)
        said.append(Predictions(f"{section.name}.neighbours", network.fold, rows, logits))
        named.append((near, collection.specimens["row"].to_numpy(), collection.specimens["id"]))
    scores = gather_test(said, _narrowed(new.images, said[0]), rows, "mean-logit")
    ids = {int(row): str(name) for _, keys, names in named for row, name in zip(keys, names, strict=True)}
    together = pooled_neighbours([near for near, _, _ in named], [keys for _, keys, _ in named])
    first = new.images.samples.first_rows
    pairs = zip(together.rows[first].tolist(), together.similarity[first].tolist(), strict=True)
    return scores, [[(ids[row], like) for row, like in zip(*own, strict=True) if row >= 0] for own in pairs]


def _narrowed(images: ImageTable, said: Predictions) -> ImageTable:
    """The table with a member's own classes, which may be some of them."""
    return replace(images, classes=tuple(map(str, range(said.logits.shape[1]))))


def _ask(network: Checkpoint, section: MemberSpec, rows: Integers, pool: str, new: NewImages) -> Predictions:
    specimens = specimens_for(network.card, new)
    wanted = section.predict.model_copy(update={"pool": pool})
    return infer(network, specimens, rows, wanted, new.runtime, find_device(new.runtime))[0]
