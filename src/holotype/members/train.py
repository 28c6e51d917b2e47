"""Members × folds: trained and asked by the engine, each from the store where it is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from holotype.errors import RecipeError, listing
from holotype.feed import Specimens, make_specimens
from holotype.members.neighbours import FoldNeighbours, find_neighbours, neighbours_member
from holotype.members.networks import Trained, ask
from holotype.members.pixels import stored_pixels
from holotype.members.predictions import MemberPredictions, routed
from holotype.members.rounds import train_by_rounds
from holotype.members.specialists import domains_with_specialists, train_specialists
from holotype.members.workshop import Workshop
from holotype.spec import MemberSpec
from holotype.table_files import read_parquet
from holotype.train import ALL_ROWS, FitJob, plan_fit, refit_member
from holotype.types import Folds, ImageTable, Integers, Kind, LabelMatrix, Predictions

__all__ = ["FoldNetworks", "histories", "own_truth", "served_classes", "train_and_predict"]

Said = dict[str, list[Predictions]]


@dataclass(frozen=True)
class FoldNetworks:
    """The networks of one fold, and what they say.

    Args:
        overall: Of all domains.
        said: What it says, by name of the rows.
        special: The domains' own networks, and what each says.
        specimens: What the overall network was trained with.
        neighbours: The nearest specimens, where the recipe asks for them.
    """

    overall: Trained
    said: Said
    special: list[tuple[Trained, Said]]
    specimens: Specimens
    neighbours: FoldNeighbours | None = None


def train_and_predict(member: MemberSpec, workshop: Workshop) -> list[MemberPredictions]:
    """Train a member on every used fold and let each network predict its own fold and the test rows.

    Args:
        member: The recipe's section, its size resolved.
        workshop: What networks are made from.

    Returns:
        The member, and the second one that its neighbours are; nothing in a forecast where a network is missing.

    Raises:
        RecipeError: It would be scored on what its first weights have seen, or its classes do not exist.
    """
    ready, scale = workshop.ready, workshop.ready.statistics.normalisation
    _never_saw_its_fold(member.weights, ready.images, ready.folds)
    served = served_classes(member, ready.images)
    _say_who_has_no_specialist(member, workshop)
    specimens = _specimens(member, served, workshop)
    jobs = [plan_fit(ready.images, ready.folds, fold, member, workshop.seed, scale) for fold in ready.folds.used]

    def work(job: FitJob) -> FoldNetworks | None:
        return _one_fold(job, specimens, workshop)

    made = [one for one in workshop.engine.map(work, jobs) if one is not None]
    if len(made) < len(jobs):
        return []
    asked = made
    if workshop.final == "refit":
        told = [read_parquet(one.overall.network / "history.parquet") for one in made]
        every = plan_fit(ready.images, ready.folds, ALL_ROWS, refit_member(member, told), workshop.seed, scale)
        asked = [one for one in [work(every)] if one is not None]
        if not asked:
            return []
    whole = [_gathered(member, served, made, asked)]
    if member.neighbours is not None:
        near, theirs = ([one.neighbours for one in those if one.neighbours] for those in (made, asked))
        whole.append(neighbours_member(member.name, near, theirs, ready.images, served))
    return whole


def _one_fold(job: FitJob, specimens: Specimens, workshop: Workshop) -> FoldNetworks | None:
    rounds = train_by_rounds(job, specimens, workshop)
    if rounds is None:
        return None
    overall, specimens = rounds
    parts = {"oof": job.validation_rows, **workshop.asked()}
    said = ask(overall, parts, specimens, workshop)
    special = train_specialists(overall, parts, specimens, workshop)
    if not said or not all(own for _, own in special):
        return None
    near = find_neighbours(overall, said, specimens, workshop)
    if near is None and job.member.neighbours is not None:
        return None
    return FoldNetworks(overall, said, special, specimens, near)


def _gathered(
    member: MemberSpec, served: Integers | None, made: Sequence[FoldNetworks], asked: Sequence[FoldNetworks]
) -> MemberPredictions:
    """What the networks of all folds say together; `asked` answer for the rows to predict."""
    networks = list(made) if asked is made else [*made, *asked]
    overall = {"oof": made, "test": asked, "apart": asked}
    plain = {name: [said for one in those for said in one.said[name]] for name, those in overall.items()}
    whole = MemberPredictions(
        member.name, plain["oof"], plain["test"], [one.overall.network for one in networks], plain["apart"],
        member.predict.pools, [own.network for one in networks for own, _ in one.special], None, served,
    )  # fmt: skip
    if member.specialise is None or not whole.specialists:
        return whole
    other = {
        name: [said for one in those for said in routed(one.said[name], [own[name] for _, own in one.special])]
        for name, those in overall.items()
    }
    special = MemberPredictions(member.name, other["oof"], other["test"], apart=other["apart"])
    return replace(whole, routed=special)


def served_classes(member: MemberSpec, images: ImageTable) -> Integers | None:
    """Numbers of the classes that a member answers for; none where it answers for all.

    Args:
        member: The recipe's section.
        images: The table.

    Raises:
        RecipeError: There is no such class.
    """
    if member.classes == "all":
        return None
    for name in member.classes:
        if name not in images.classes:
            raise RecipeError("there is no such class", field="members.classes", value=name, allowed=images.classes)
    return np.array([images.classes.index(name) for name in member.classes], np.int64)


def own_truth(truth: LabelMatrix, served: Integers | None, kind: Kind) -> LabelMatrix:
    """Which of its own classes each image has; of one label a sample the last column is none of them.

    Args:
        truth: Which classes each image has, shape (n, classes).
        served: Numbers of a member's classes; none where it answers for all.
        kind: One label a sample, or many.

    Returns:
        Shape (n, own classes).
    """
    if served is None:
        return truth
    place = np.full(truth.classes, -1, np.int64)
    place[served] = np.arange(len(served))
    own, owners = place[truth.numbers], truth.owners
    if kind == "multiclass":
        return LabelMatrix.of_pairs(owners, np.where(own >= 0, own, len(served)), (len(truth), len(served) + 1))
    return LabelMatrix.of_pairs(owners[own >= 0], own[own >= 0], (len(truth), len(served)))


def _specimens(member: MemberSpec, served: Integers | None, workshop: Workshop) -> Specimens:
    images, statistics = workshop.images, workshop.ready.statistics
    truth = images.samples.label_matrix(images.sample_numbers)
    pack = stored_pixels(member, images, statistics, workshop.stages, (workshop.runtime, workshop.pack))
    return make_specimens(
        member, pack, images, statistics, statistics.normalisation, own_truth(truth, served, images.kind)
    )


def _say_who_has_no_specialist(member: MemberSpec, workshop: Workshop) -> None:
    if member.specialise is None or not workshop.stages.makes:
        return
    enough, few = domains_with_specialists(workshop.images, workshop.ready.folds, member.specialise.least)
    if few:
        which = f"{listing(few)} have" if len(few) > 1 else f"{few[0]} has"
        workshop.runtime.progress.say(
            f"note: {member.name}: {which} fewer than {member.specialise.least} training samples in a fold; the "
            f"overall model answers for {'them' if len(few) > 1 else 'it'}"
        )
    if not enough:
        workshop.runtime.progress.say(f"note: {member.name}: no domain is large enough for a specialist")


def _never_saw_its_fold(weights: str, images: ImageTable, folds: Folds) -> None:
    """Refuse another run's networks where their folds are not ours, since they have seen what we would score."""
    if not weights.startswith("run:") or "/fold" in weights.rpartition("#")[2]:
        return
    run = Path(weights.removeprefix("run:").partition("#")[0])
    known = dict(read_parquet(run / "folds.parquet").select("sample", "fold").iter_rows())
    own = images.samples.frame["sample"].to_list()
    scored = images.samples.of_role("train")
    moved = [own[number] for number in scored if known.get(own[number]) not in {None, folds.fold_of_sample[number]}]
    if moved:
        raise RecipeError(
            f"{len(moved):,} samples lie in another fold than in {str(run)!r}, whose networks have thus seen what they "
            f"would be scored on: {listing(moved, 5)}",
            field="members.weights",
            remedy="give both runs the same data, groups, `split` and `seed`, or name one network: #member/fold0",
        )


def histories(members: Sequence[MemberPredictions]) -> dict[str, Path]:
    """The training histories by `member/fold<k>`.

    Args:
        members: From `train_and_predict`.
    """
    found: dict[str, Path] = {}
    for member in members:
        for network in [*member.networks, *member.specialists]:
            card = json.loads((network / "card.json").read_text(encoding="utf-8"))
            name = "all rows" if card["fold"] == ALL_ROWS else f"fold{card['fold']}"
            domain = "" if card["domain"] is None else f", {card['domain']}"
            found[f"{member.name}/{name}{domain}"] = network / "history.parquet"
    return found
