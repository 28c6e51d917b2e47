"""Every member's scores, of networks or made elsewhere, sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from holotype.ensemble import complete_scores
from holotype.members import (
    MemberPredictions,
    Workshop,
    apart_rows,
    resolve_member,
    test_rows,
    train_and_predict,
)
from holotype.prepared import Prepared
from holotype.recipe import Recipe
from holotype.road.imported import read_placed
from holotype.runtime import Runtime
from holotype.score import gather_oof, gather_test
from holotype.spec import PredictionsSpec
from holotype.store import NotForeseenError, Stages
from holotype.types import ImageTable, Integers, OofPredictions, Predictions, TestPredictions, dense

__all__ = ["Gathered", "Voice", "gather_members"]

Evidence = TypeVar("Evidence", OofPredictions, TestPredictions)


@dataclass(frozen=True)
class Gathered:
    """What all members say.

    Args:
        members: Their networks.
        oof: Out-of-fold scores, member by member one entry a pooling, then those with its specialists; empty where one
            has none.
        test: Scores of the samples to predict, in the same order; empty without a test table.
        apart: Of the validation set of its own, in the same order, where there is one.
        caveats: What a reader of the scores must know.
        pools: The poolings of each member.
        specialised: Whether the scores of a member come twice, the second time with those of its specialists.
        plain: Out-of-fold scores of the first view alone, by member; of those that have more than one.
    """

    members: list[MemberPredictions]
    oof: list[OofPredictions] = field(default_factory=list)
    test: list[TestPredictions] = field(default_factory=list)
    apart: list[TestPredictions] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    pools: list[tuple[str, ...]] = field(default_factory=list)
    specialised: list[bool] = field(default_factory=list)
    plain: dict[str, OofPredictions] = field(default_factory=dict)


@dataclass(frozen=True)
class Voice:
    """One member's scores of samples.

    Args:
        member: Its networks.
        oof: Out-of-fold scores, one entry a reading.
        test: Of the samples to predict.
        apart: Of the validation set of its own.
        plain: Out-of-fold scores of the first view alone, where there are more.
        caveats: What a reader of the scores must know.
    """

    member: MemberPredictions
    oof: list[OofPredictions]
    test: list[TestPredictions]
    apart: list[TestPredictions] = field(default_factory=list)
    plain: list[OofPredictions] = field(default_factory=list)
    caveats: tuple[str, ...] = ()


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
    workshop = Workshop(ready, recipe.seed, stages, runtime, recipe.data.pack, recipe.final)
    voices: list[Voice] = []
    for number, section in enumerate(recipe.members):
        if section.predictions is not None:
            field_name = f"members.{number}.predictions"
            voices.append(_import(section.name, section.predictions, field_name, ready, runtime))
            continue
        made = train_and_predict(resolve_member(section, ready.statistics), workshop)
        several = section.predict.views != "none"
        voices += [_heard(member, ready, several and member.name == section.name) for member in made]
    if len(voices) < sum(len(section.names) for section in recipe.members):
        raise NotForeseenError("the members' predictions")
    return _together(_completed(voices, ready.images))


def _heard(member: MemberPredictions, ready: Prepared, has_views: bool) -> Voice:
    """A trained member's predictions as scores of samples."""
    images, folds = ready.images, ready.folds
    if member.served is not None and member.oof:
        images = replace(images, classes=tuple(map(str, range(member.oof[0].logits.shape[1]))))  # its own
    parts = [member] if member.routed is None else [member, member.routed]

    def each(name: str, gather: Callable[[list[Predictions], str], Evidence]) -> list[Evidence]:
        asked = [one for part in parts for one in getattr(part, name)]
        if not any(len(one.rows) for one in asked):
            return []  # there are no such rows
        wanted = [(getattr(part, name), pool) for part in parts for pool in member.pools]
        return [gather([one for one in said if one.pool == pool], pool) for said, pool in wanted]

    oof = each("oof", lambda own, pool: gather_oof(own, folds, images, pool))
    test = each("test", lambda own, pool: gather_test(own, images, test_rows(ready), pool))
    apart = each("apart", lambda own, pool: gather_test(own, images, apart_rows(ready), pool))
    alone = [one for one in member.oof if one.pool == "first"] if has_views else []
    return Voice(member, oof, test, apart, [gather_oof(alone, folds, images)] if alone else [])


def _completed(voices: Sequence[Voice], images: ImageTable) -> list[Voice]:
    """Members of some classes say of the others what the other members do."""
    made = []
    for voice in voices:
        served = voice.member.served
        if served is None:
            made.append(voice)
            continue
        others = [one for one in voices if one.member.name != voice.member.name]
        told = {
            name: [_complete(part, served, name, others, images) for part in getattr(voice, name)]
            for name in ("oof", "test", "apart", "plain")
        }
        made.append(replace(voice, **told))  # type: ignore[arg-type]
    return made


def _complete(part: Evidence, served: Integers, name: str, others: Sequence[Voice], images: ImageTable) -> Evidence:
    held = [(one.member.served, getattr(one, "oof" if name == "plain" else name)) for one in others]
    what = "a member of some of the classes"
    beside = [(dense(scores[0].logits, what), theirs) for theirs, scores in held if scores]
    own = dense(part.logits, what)
    return replace(part, logits=complete_scores(own, served, beside, len(images.classes), images.kind))


def _together(voices: Sequence[Voice]) -> Gathered:
    """Scores of all members in one list each; none where a member has none."""
    readings = [len(voice.member.pools) * (1 if voice.member.routed is None else 2) for voice in voices]

    def whole(name: str) -> list[Evidence]:
        parts = [getattr(voice, name) for voice in voices]
        complete = all(len(part) == count for part, count in zip(parts, readings, strict=True))
        return [one for part in parts for one in part] if complete else []

    return Gathered(
        [voice.member for voice in voices], whole("oof"), whole("test"), whole("apart"),
        [caveat for voice in voices for caveat in voice.caveats], [voice.member.pools for voice in voices],
        [voice.member.routed is not None for voice in voices],
        {voice.member.name: voice.plain[0] for voice in voices if voice.plain},
    )  # fmt: skip


def _import(name: str, spec: PredictionsSpec, field_name: str, ready: Prepared, runtime: Runtime) -> Voice:
    images, folds = ready.images, ready.folds
    remarks: tuple[str, ...] = ()
    voice = Voice(MemberPredictions(name), [], [])
    if spec.oof is not None:
        used = np.flatnonzero(np.isin(folds.fold_of_sample, folds.used))
        scored = np.intersect1d(images.samples.of_role("train"), used)
        held = read_placed(spec, spec.oof, images, "train", scored, f"{field_name}.oof")
        own = folds.fold_of_sample[held.samples].astype(np.int64)
        voice.oof.append(OofPredictions(held.samples, held.logits, own))
        if held.folds is None or not _same_division(held.folds, own):
            which = "do not name their folds" if held.folds is None else "were made on other folds than the run's"
            voice = replace(voice, caveats=(f"the scores of {name} are out of fold as declared: they {which}",))
        remarks += held.remarks
    if spec.test is not None:
        held = read_placed(spec, spec.test, images, "test", images.samples.of_role("test"), f"{field_name}.test")
        voice.test.append(TestPredictions(held.samples, held.logits))
        remarks += held.remarks
    for remark in remarks:
        runtime.progress.say(f"note: {remark}")
    return voice


def _same_division(theirs: Sequence[str] | NDArray[np.str_], ours: Integers) -> bool:
    """Whether two divisions into folds are the same but for the folds' names."""
    pairs = {(str(one), int(other)) for one, other in zip(theirs, ours, strict=True)}
    return len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
