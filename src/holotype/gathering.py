"""Every member's scores, of networks or made elsewhere, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.data import ImportedScores, read_scores
from holotype.engine import LocalEngine
from holotype.errors import DataError, counted, listing
from holotype.members import MemberPredictions, apart_rows, resolve_member, test_rows, train_and_predict
from holotype.prepared import Prepared
from holotype.recipe import Recipe
from holotype.runtime import Runtime
from holotype.score import gather_oof, gather_test, pool_images
from holotype.spec import MemberSpec, PredictionsSpec
from holotype.store import NotForeseenError, Stages
from holotype.types import Floats, ImageTable, Integers, OofPredictions, TestPredictions

__all__ = ["Gathered", "gather_members"]


@dataclass(frozen=True)
class Gathered:
    """What all members say.

    Args:
        members: Their networks.
        oof: Out-of-fold scores, one entry a member and pooling; empty where one has none.
        test: Scores of the samples to predict, one entry a member and pooling; empty without a test table.
        apart: Of the validation set of its own, one entry a member and pooling, where there is one.
        caveats: What a reader of the scores must know.
        pools: The poolings of each member, in the order of its scores.
        plain: Out-of-fold scores of the first view alone, by member; of those that have more than one.
    """

    members: list[MemberPredictions]
    oof: list[OofPredictions]
    test: list[TestPredictions]
    apart: list[TestPredictions]
    caveats: list[str]
    pools: list[tuple[str, ...]]
    plain: dict[str, OofPredictions]


def gather_members(recipe: Recipe, ready: Prepared, stages: Stages, runtime: Runtime) -> Gathered:
    """Train and ask every member, or read what it said elsewhere.

    Args:
        recipe: Its members.
        ready: What is known before training.
        stages: Takes from the store what is there.
        runtime: Device, threads and progress.

    Raises:
        NotForeseenError: In a forecast, where a network is missing.
        DataError: A file of scores does not fit the table.
    """
    images, folds = ready.images, ready.folds
    made = Gathered([], [], [], [], [], [], {})
    machine = (runtime, LocalEngine(), recipe.data.pack, recipe.final)
    for number, section in enumerate(recipe.members):
        if section.predictions is not None:
            _import(section, section.predictions, f"members.{number}.predictions", ready, made, runtime)
            continue
        member = resolve_member(section, ready.statistics)
        said = train_and_predict(member, recipe.seed, images, ready.statistics, folds, stages, machine)
        made.members.append(said)
        made.pools.append(section.predict.pools)
        for pool in section.predict.pools:
            own, new, aside = ([one for one in part if one.pool == pool] for part in (said.oof, said.test, said.apart))
            if own:
                made.oof.append(gather_oof(own, folds, images, pool))
            if new:
                made.test.append(gather_test(new, images, test_rows(images, folds), pool))
            if aside:
                made.apart.append(gather_test(aside, images, apart_rows(images, folds), pool))
        if said.oof and section.predict.views != "none":
            alone = [one for one in said.oof if one.pool == "first"]
            made.plain[section.name] = gather_oof(alone, folds, images)
    networks = [member for member in made.members if member.networks]
    if not all(member.oof for member in networks):
        raise NotForeseenError("the members' predictions")
    whole = sum(len(pools) for pools in made.pools)
    oof, test, apart = made.oof, made.test, made.apart
    return Gathered(
        made.members,
        oof if len(oof) == whole else [],
        test if len(test) == whole else [],
        apart if len(apart) == whole else [],
        made.caveats,
        made.pools,
        made.plain,
    )


def _import(
    section: MemberSpec, spec: PredictionsSpec, field: str, ready: Prepared, made: Gathered, runtime: Runtime
) -> None:
    images, folds, name = ready.images, ready.folds, section.name
    made.members.append(MemberPredictions(name, [], [], []))
    made.pools.append(("mean-logit",))
    if spec.oof is not None:
        scored = np.isin(np.arange(len(images.samples)), images.samples.of_role("train"))
        scored &= np.isin(folds.fold_of_sample, folds.used)
        held = read_scores(spec.oof, spec.kind, images.classes, images.kind, f"{field}.oof")
        samples, logits, theirs = _placed(held, images, "train", spec, f"{field}.oof")
        kept = scored[samples]
        absent = np.setdiff1d(np.flatnonzero(scored), samples)
        if len(absent):
            ids = images.samples.frame["sample"].gather(absent[:5]).to_list()
            raise DataError(
                f"{counted(len(absent), 'training sample')} have no score: {listing(ids)}", field=f"{field}.oof"
            )
        own = folds.fold_of_sample[samples[kept]].astype(np.int64)
        made.oof.append(OofPredictions(samples[kept], logits[kept], own))
        if theirs is None or not _same_division(theirs[kept], own):
            which = "do not name their folds" if theirs is None else "were made on other folds than the run's"
            made.caveats.append(f"the scores of {name} are out of fold as declared: they {which}")
        for remark in held.remarks:
            runtime.progress.say(f"note: {remark}")
    if spec.test is not None:
        held = read_scores(spec.test, spec.kind, images.classes, images.kind, f"{field}.test")
        samples, logits, _ = _placed(held, images, "test", spec, f"{field}.test")
        absent = np.setdiff1d(images.samples.of_role("test"), samples)
        if len(absent):
            ids = images.samples.frame["sample"].gather(absent[:5]).to_list()
            raise DataError(
                f"{counted(len(absent), 'test sample')} have no score: {listing(ids)}", field=f"{field}.test"
            )
        made.test.append(TestPredictions(samples, logits))
        for remark in held.remarks:
            runtime.progress.say(f"note: {remark}")


def _placed(
    held: ImportedScores, images: ImageTable, role: str, spec: PredictionsSpec, field: str
) -> tuple[Integers, Floats, NDArray[np.str_] | None]:
    """Sample numbers, ascending, their logits, and the folds that the file names."""
    rows, samples = images.rows_of_role(role), images.samples.of_role(role)
    if spec.rows == "id":
        owners = _owners_by_id(held, images, rows, samples, role, field)
    elif len(held.logits) == len(samples):
        owners = samples
    elif len(held.logits) == len(rows):
        owners = images.sample_numbers[rows]
    else:
        raise DataError(f"{counted(len(held.logits), 'row')} of scores for {len(rows):,} rows of the {role} table",
                        field=field, remedy="write `rows: id` and give the scores their ids")  # fmt: skip
    known = np.flatnonzero(owners >= 0)
    found, pooled = pool_images(owners[known], held.logits[known], images.kind, "mean-logit")
    if held.folds is None:
        return found, pooled, None
    first = {int(owner): held.folds[place] for place, owner in zip(known[::-1], owners[known][::-1], strict=True)}
    return found, pooled, np.array([first[int(number)] for number in found])


def _owners_by_id(
    held: ImportedScores, images: ImageTable, rows: Integers, samples: Integers, role: str, field: str
) -> Integers:
    if held.ids is None:
        raise DataError("`rows: id` needs ids, and the file has none", field=field,
                        remedy="give a table with `id`, an NPZ with `ids`, or write `rows: order`")  # fmt: skip
    twice = sorted({name for name, count in zip(*np.unique(held.ids, return_counts=True), strict=True) if count > 1})
    if twice:
        raise DataError(f"{counted(len(twice), 'id')} stand more than once: {listing(twice, 5)}", field=field)
    number = dict(
        zip(images.samples.frame["sample"].gather(samples).cast(str).to_list(), samples.tolist(), strict=True)
    )
    by_image = zip(
        images.frame["id"].gather(rows).cast(str).to_list(), images.sample_numbers[rows].tolist(), strict=True
    )
    number |= dict(by_image)
    strange = [name for name in held.ids if name not in number]
    if len(strange) == len(held.ids):
        raise DataError(f"none of the ids is one of the {role} table: {listing(strange, 5)}", field=field)
    return np.array([number.get(name, -1) for name in held.ids], np.int64)


def _same_division(theirs: Sequence[str] | NDArray[np.str_], ours: Integers) -> bool:
    """Whether two divisions into folds are the same but for the folds' names."""
    pairs = {(str(one), int(other)) for one, other in zip(theirs, ours, strict=True)}
    return len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
