"""Every member's scores, of networks or made elsewhere, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.engine import LocalEngine
from holotype.imported import read_placed
from holotype.members import MemberPredictions, apart_rows, resolve_member, test_rows, train_and_predict
from holotype.prepared import Prepared
from holotype.recipe import Recipe
from holotype.runtime import Runtime
from holotype.score import gather_oof, gather_test
from holotype.spec import MemberSpec, PredictionsSpec
from holotype.store import NotForeseenError, Stages
from holotype.types import Integers, OofPredictions, TestPredictions

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
    remarks: tuple[str, ...] = ()
    if spec.oof is not None:
        used = np.flatnonzero(np.isin(folds.fold_of_sample, folds.used))
        scored = np.intersect1d(images.samples.of_role("train"), used)
        held = read_placed(spec, spec.oof, images, "train", scored, f"{field}.oof")
        own = folds.fold_of_sample[held.samples].astype(np.int64)
        made.oof.append(OofPredictions(held.samples, held.logits, own))
        if held.folds is None or not _same_division(held.folds, own):
            which = "do not name their folds" if held.folds is None else "were made on other folds than the run's"
            made.caveats.append(f"the scores of {name} are out of fold as declared: they {which}")
        remarks += held.remarks
    if spec.test is not None:
        held = read_placed(spec, spec.test, images, "test", images.samples.of_role("test"), f"{field}.test")
        made.test.append(TestPredictions(held.samples, held.logits))
        remarks += held.remarks
    for remark in remarks:
        runtime.progress.say(f"note: {remark}")


def _same_division(theirs: Sequence[str] | NDArray[np.str_], ours: Integers) -> bool:
    """Whether two divisions into folds are the same but for the folds' names."""
    pairs = {(str(one), int(other)) for one, other in zip(theirs, ours, strict=True)}
    return len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
