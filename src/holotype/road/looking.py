"""How the first member's networks see the samples: a map of one fold, what lies nearest to mistakes, heat maps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.data import resize_image
from holotype.decide import label_names
from holotype.errors import HolotypeError, InputError
from holotype.members import Landscape, MemberPredictions, Observer, Workshop, heat_maps, map_images, resolve_member
from holotype.nets import build_network, first_kernels, load_network, open_checkpoint
from holotype.predict import count_places, heat_over_image
from holotype.report import Explained, FirstLayer, Heat, Kin, MapContents
from holotype.retrieval import nearest
from holotype.road.exhibits import pixels_of_row, row_of_sample, small, small_pixels
from holotype.road.outcome import Outcome
from holotype.score import NestedScore
from holotype.seeds import keyed_generator
from holotype.spec import MemberSpec
from holotype.split import duplicate_components
from holotype.types import Checkpoint, Integers, LabelMatrix, some_rows

__all__ = ["explained", "first_layer", "kin_of_mistakes", "look_around", "map_contents", "observer_of"]

KIN, TEST_SHARE = 3, 3
Pictured = dict[int, tuple[NDArray[Any], tuple[int, int]]]  # small pixels, and the shape of the image itself


def observer_of(sections: Sequence[MemberSpec], members: Sequence[MemberPredictions], workshop: Workshop) -> (
    Observer | None
):  # fmt: skip
    """The first member that was trained here; none where all of them are predictions made elsewhere.

    Args:
        sections: The recipe's.
        members: What they say, and their networks.
        workshop: What networks are made from.
    """
    made = {member.name: member for member in members}
    for section in sections:
        if section.predictions is None and made[section.name].networks:
            networks = {open_checkpoint(place).fold: place for place in made[section.name].networks}
            return Observer(resolve_member(section, workshop.ready.statistics), networks, workshop)
    return None


def look_around(observer: Observer, nested: NestedScore, points: int, mistaken: Integers) -> Landscape | None:
    """Samples of the first fold, embedded by the network that never saw them, and some to predict.

    Args:
        observer: The networks.
        nested: What was scored.
        points: The most samples.
        mistaken: Samples that are among them, if they belong to the fold.

    Returns:
        None where there is nothing to look at.
    """
    ready = observer.workshop.ready
    fold, pseudo = observer.first, observer.member.pseudo
    own = nested.samples[ready.folds.fold_of_sample[nested.samples] == fold]
    test = np.unique(ready.images.sample_numbers[observer.workshop.asked()["test"]])
    test = test if pseudo is None or pseudo.rows == "external" else test[:0]  # some of them joined its training
    first = mistaken[np.isin(mistaken, own)][:points]
    draw = keyed_generator(observer.workshop.seed, "map", fold)
    few = draw.permutation(test)[: max(points // TEST_SHARE, points - len(own))]
    others = draw.permutation(np.setdiff1d(own, first))[: max(points - len(few) - len(first), 0)]
    chosen = np.sort(np.concatenate([first, others, few]))[:points].astype(np.int64)
    if len(chosen) < 2:
        return None
    rows = np.array([row_of_sample(ready, int(sample)) for sample in chosen], np.int64)
    return map_images(observer, fold, rows)


def map_contents(seen: Landscape, observer: Observer, outcome: Outcome, nested: NestedScore) -> MapContents:
    """A map with what is known of its samples.

    Args:
        seen: From `look_around`.
        observer: The networks.
        outcome: What the run came to.
        nested: Its honest score.
    """
    images, fold_of = outcome.prepared.images, outcome.prepared.folds.fold_of_sample
    samples = images.sample_numbers[seen.rows]
    test = np.isin(samples, images.samples.of_role("test"))
    given: dict[int, list[str]] = {}
    answer = outcome.chosen.answer
    for numbers, decided in [(nested.samples, nested.decided)] + (
        [(answer.samples, outcome.chosen.decided)] if answer is not None and outcome.chosen.decided is not None else []
    ):
        held = np.flatnonzero(np.isin(numbers, samples))
        given |= dict(zip(numbers[held].tolist(), label_names(some_rows(decided, held), images.classes), strict=True))
    truth = label_names(images.samples.label_matrix(samples), images.classes)
    decisions = [given.get(int(sample), []) for sample in samples]
    every = int((fold_of[nested.samples] == observer.first).sum()) + len(images.samples.of_role("test"))
    return MapContents(
        network=observer.words(observer.first), how=seen.how, left_out=max(every - len(samples), 0), places=seen.places,
        ids=tuple(images.samples.frame["sample"].gather(samples).cast(str).to_list()),
        labels=tuple(tuple(own if known else said) for own, said, known in zip(truth, decisions, ~test, strict=True)),
        decided=tuple(map(tuple, decisions)), test=test,
        wrong=np.array([known and own != said for own, said, known in zip(truth, decisions, ~test, strict=True)]),
        pixels=seen.thumbs,
    )  # fmt: skip


def kin_of_mistakes(
    mistaken: Integers, seen: Landscape | None, outcome: Outcome
) -> tuple[dict[str, tuple[Kin, ...]], str]:
    """The labelled specimens that lie nearest to each mistake, by the id of its sample, and where they were looked for.

    Args:
        mistaken: Samples, the worst first.
        seen: A map, whose samples are looked among where no member knows neighbours.
        outcome: What the run came to.
    """
    ready = outcome.prepared
    names = ready.images.samples.frame["sample"].cast(str)
    rows = {int(sample): row_of_sample(ready, int(sample)) for sample in mistaken}
    table = next((member.nearest for member in outcome.members if member.nearest.height), None)
    if table is not None:
        place = {str(name): row for row, name in enumerate(ready.images.frame["id"].cast(str).to_list())}
        near = {place[name]: (ids, alike) for name, ids, alike in table.iter_rows() if name in place}
        found = {
            sample: [(place[name], float(value)) for name, value in zip(*near[row], strict=True)][:KIN]
            for sample, row in rows.items() if row in near
        }  # fmt: skip
        where = "among what the networks were trained on"
    else:
        found, where = _nearest_on_map(rows, seen, outcome), "among the samples of the map, which train no network"
    made = {names[sample]: tuple(_kin(outcome, *one) for one in own) for sample, own in found.items() if own}
    return made, where if made else ""


def _nearest_on_map(
    rows: dict[int, int], seen: Landscape | None, outcome: Outcome
) -> dict[int, list[tuple[int, float]]]:
    ready = outcome.prepared
    if seen is None:
        return {}
    place = {int(row): number for number, row in enumerate(seen.rows)}
    asked = {sample: place[row] for sample, row in rows.items() if row in place}
    keys = np.flatnonzero((ready.images.frame["role"].gather(seen.rows) != "test").to_numpy())
    if not asked or len(keys) < 2:
        return {}
    ties = duplicate_components(ready.images, ready.audit)[ready.images.sample_numbers[seen.rows]]
    queries = np.array(list(asked.values()), np.int64)
    near = nearest(seen.embeddings[queries], seen.embeddings[keys], KIN, forbidden=(ties[queries], ties[keys]))
    return {
        sample: [(int(seen.rows[keys[key]]), float(value)) for key, value in zip(own, alike, strict=True) if key >= 0]
        for sample, own, alike in zip(asked, near.rows, near.similarity, strict=True)
    }


def _kin(outcome: Outcome, row: int, similarity: float) -> Kin:
    images = outcome.prepared.images
    numbers = images.frame["labels"][row]
    labels = () if numbers is None else tuple(images.classes[number] for number in numbers)
    return Kin(str(images.frame["id"][row]), labels, similarity, small_pixels(outcome.prepared, row))


def first_layer(observer: Observer) -> FirstLayer | None:
    """The kernels of the first network, where it begins with a convolution.

    Args:
        observer: The networks.
    """
    fold, checkpoint = observer.first, open_checkpoint(observer.networks[observer.first])
    kernels = first_kernels(load_network(checkpoint).backbone)
    if kernels is None:
        return None
    count = kernels.shape[1]
    names = tuple(observer.member.input.channels or observer.workshop.images.channels or ())
    plain = ("red", "green", "blue") if count == 3 else tuple(f"channel {number + 1}" for number in range(count))
    own = names if len(names) == count else plain
    return FirstLayer(observer.words(fold), own, kernels.float().numpy(), _first_layer_before(observer, checkpoint))


def _first_layer_before(observer: Observer, checkpoint: Checkpoint) -> NDArray[np.float32] | None:
    """The kernels that a network began from, where they had been trained before and are still to be had."""
    try:
        network, found = build_network(observer.member, 2, checkpoint.card["input_channels"], 0, checkpoint.fold)
    except HolotypeError:
        return None  # the weights were moved since
    kernels = None if found.state is None else first_kernels(network.backbone)
    return None if kernels is None or found.words != checkpoint.card.get("weights") else kernels.float().numpy()


def explained(
    places: Integers, wrong: Sequence[bool], observer: Observer, outcome: Outcome, nested: NestedScore
) -> tuple[tuple[Explained, ...], str]:
    """Samples with the heat maps of what was decided and of what is true, by the network that never saw them.

    Args:
        places: Among the scored samples, shape (n,).
        wrong: Whether each is shown for its mistake.
        observer: The networks.
        outcome: What the run came to.
        nested: Its honest score.

    Returns:
        Those of whose fold and classes a network knows; and why there are none, in a sentence.
    """
    ready = outcome.prepared
    truth, decided = (LabelMatrix.of(some_rows(part, places)).lists() for part in (nested.truth, nested.decided))
    by_fold: dict[int, list[tuple[int, int, str, str]]] = defaultdict(list)
    rows = [row_of_sample(ready, int(nested.samples[place])) for place in places]
    for number, place in enumerate(places):
        fold = int(ready.folds.fold_of_sample[nested.samples[place]])
        for name, role in _asked(truth[number], decided[number], ready.images.classes):
            by_fold[fold].append((number, rows[number], name, role))
    heats: dict[int, list[Heat]] = defaultdict(list)
    pictures = {}
    for number, row in enumerate(rows):
        pixels = pixels_of_row(ready, row)
        pictures[number] = small(pixels), (pixels.shape[1], pixels.shape[2])
    try:
        size = count_places(open_checkpoint(observer.networks[observer.first]))
        for fold, asked in sorted(by_fold.items()):
            for number, heat in _heat_of(observer, fold, asked, pictures):
                heats[number].append(heat)
    except InputError as error:
        return (), error.what
    names = ready.images.samples.frame["sample"].cast(str)
    fold_of = ready.folds.fold_of_sample
    shown = [
        Explained(names[int(nested.samples[place])], wrong[number], pictures[number][0], tuple(heats[number]),
                  observer.words(int(fold_of[nested.samples[place]])), size)
        for number, place in enumerate(places) if heats[number]
    ]  # fmt: skip
    return tuple(shown), ""


def _heat_of(
    observer: Observer,
    fold: int,
    asked: Sequence[tuple[int, int, str, str]],
    pictures: dict[int, tuple[NDArray[Any], tuple[int, int]]],
) -> list[tuple[int, Heat]]:
    network = observer.networks.get(fold)
    if network is None:
        return []
    own = {name: number for number, name in enumerate(open_checkpoint(network).card["classes"])}
    known = [one for one in asked if one[2] in own]
    if not known:
        return []
    rows, classes = (np.array(part, np.int64) for part in zip(*((one[1], own[one[2]]) for one in known), strict=True))
    maps = heat_maps(observer, fold, rows, classes)
    return [
        (number, Heat(name, role, _laid(heat, *pictures[number], observer)))
        for (number, _, name, role), heat in zip(known, maps, strict=True)
    ]


def _laid(heat: NDArray[Any], pixels: NDArray[Any], shape: tuple[int, int], observer: Observer) -> NDArray[np.float32]:
    """A map over an image of some shape, as small as its picture."""
    return resize_image(heat_over_image(heat, *shape, observer.member)[None], *pixels.shape[1:])[0]


def _asked(truth: Sequence[int], decided: Sequence[int], classes: Sequence[str]) -> list[tuple[str, str]]:
    """The classes whose maps tell most of a sample: one that was wrongly given and one that was missed."""
    added = [one for one in decided if one not in truth] or list(decided)
    missed = [one for one in truth if one not in decided] or list(truth)
    if added and missed and added[0] == missed[0]:
        return [(classes[added[0]], "decided and true")]
    return [(classes[one[0]], role) for one, role in ((added, "decided"), (missed, "true")) if one]
