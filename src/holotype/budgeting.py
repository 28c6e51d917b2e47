"""A recipe fitted to a budget: data are looked at, the machine is probed, and a plan is kept that a resume reads."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import polars as pl

from holotype.data import Pack, read_row
from holotype.errors import InputError, RecipeError
from holotype.feed import make_specimens
from holotype.members import plan_pixels, resolve_member
from holotype.nets import weights_identity
from holotype.pipeline import check_names, prepare
from holotype.plan import (
    MOST_SPECIMENS,
    BudgetPlan,
    DataFacts,
    Probe,
    Views,
    in_words,
    plan_budget,
    probe_sizes,
    read_budget,
)
from holotype.prepared import Prepared
from holotype.recipe import Recipe, load_recipe
from holotype.runtime import Runtime
from holotype.spec import MemberSpec, PhaseSpec
from holotype.store import StageKey, Stages
from holotype.train import Pace, launch_fabric, measure_pace, plan_fit

__all__ = ["Planned", "plan_run"]

PROBED = 0.02  # share of the budget that the steps of a probe may take at each size
LONGEST_PROBE = 4.0  # seconds
READ = 12  # images
JUDGED, JUDGED_EACH = 2.0, 5e-5  # seconds of scores and report, and more for each sample and class
MOST_SLOWER = 8.0
NOT_PLANNED = ("predictions", "specialise", "pseudo")


@dataclass(frozen=True)
class Planned:
    """A recipe with a budget's plan in it.

    Args:
        recipe: As it will run.
        plan: What the budget buys.
        facts: What the report says of it, by name.
    """

    recipe: Recipe
    plan: BudgetPlan
    facts: dict[str, str]


def plan_run(
    source: tuple[Path, tuple[str, ...]], budget: str, stages: Stages, runtime: Runtime, began: float
) -> Planned:
    """Plan members, folds, sizes, epochs and views for a time, or take the plan that an earlier call has made.

    Args:
        source: The recipe's file, and changes as in `--set`, which the plan leaves as they are.
        budget: As in `10m`.
        stages: Takes from the store what is there.
        runtime: From `make_runtime`.
        began: When the command began, by `time.perf_counter`.

    Raises:
        InputError: The budget is no time, is too short, or is for a recipe that cannot be planned.
        NotForeseenError: In a forecast, where there is no plan yet.
    """
    path, changes = source
    seconds = read_budget(budget)
    recipe = load_recipe(path, changes)
    _can_be_planned(recipe, changes)
    check_names(recipe)
    launch_fabric(runtime)
    ready = prepare(recipe, stages, runtime)
    key = _plan_key(recipe, seconds, changes, stages, runtime)
    plan = stages.value(BudgetPlan, key, lambda: _made(recipe, changes, ready, runtime, (seconds, began)))
    if stages.makes:
        told = {"changes": plan.changes, "reasons": plan.reasons, "seconds": plan.seconds}
        stages.log.write("plan", budget=seconds, **told)
        for sentence in plan.reasons:
            runtime.progress.say(f"plan: {sentence}")
    facts = {"budget": budget} | {f"plan {number}": reason for number, reason in enumerate(plan.reasons, start=1)}
    facts |= {f"planned seconds: {name}": f"{spent:.0f}" for name, spent in plan.seconds.items()}
    return Planned(load_recipe(path, (*changes, *plan.changes)), plan, facts)


def _can_be_planned(recipe: Recipe, changes: Sequence[str]) -> None:
    """Refuse what a plan would have to throw away."""
    remedy = "leave --budget out, or leave it to the plan"
    for change in changes:
        address = change.partition("=")[0].strip()
        if address in {"members", "members.0"} or address.startswith(("members.0.phases", "members.1")):
            raise InputError(f"epochs and members are what a budget plans, and --set {address} says them",
                             field="--budget", remedy=remedy)  # fmt: skip
    if len(recipe.members) > 1:
        raise RecipeError(f"a budget plans one member, and the recipe has {len(recipe.members)}", field="members",
                          remedy="keep the first; a second is added where there is time for it")  # fmt: skip
    for name in NOT_PLANNED:
        if getattr(recipe.members[0], name) is not None:
            raise RecipeError(f"a budget cannot plan for `{name}`", field=f"members.0.{name}", remedy=remedy)


def _plan_key(recipe: Recipe, seconds: float, changes: Sequence[str], stages: Stages, runtime: Runtime) -> StageKey:
    section = {
        "budget": seconds,
        "members": [member.model_dump(mode="json") for member in recipe.members],
        "split": recipe.split.model_dump(mode="json"),
        "seed": recipe.seed,
        "final": recipe.final,
        "weights": [weights_identity(one.backbone, one.weights) for one in recipe.members],
        "given": sorted(change.partition("=")[0].strip() for change in changes),
        "machine": [runtime.device, runtime.precision, runtime.thread_count, runtime.batch],
    }
    read = ("images", "statistics", "audit")  # not the review: what a review changed is told of one plan
    return StageKey("plan", 3, section, {name: stages.digests[name] for name in read if name in stages.digests})


def _made(
    recipe: Recipe, changes: Sequence[str], ready: Prepared, runtime: Runtime, time_told: tuple[float, float]
) -> BudgetPlan:
    seconds, began = time_told
    member = recipe.members[0]
    runtime.progress.say(f"probe: how fast this machine learns, for a budget of {in_words(seconds)}")
    facts = _facts(recipe, ready, runtime, {change.partition("=")[0].strip() for change in changes})
    probe, weights = _probe(recipe, ready, runtime, facts, seconds)
    facts = replace(facts, pretrained=not weights.startswith("random"))
    waited = time.perf_counter() - began
    slower = min(max(waited / time.process_time(), 1.0), MOST_SLOWER)  # others are at work on this machine
    probe = replace(probe, spent=waited, judging=slower * probe.judging)
    return plan_budget(facts, probe, seconds, member.name, _written(member), _written(_phase(member)))


def _facts(recipe: Recipe, ready: Prepared, runtime: Runtime, given: set[str]) -> DataFacts:
    member, images, folds = recipe.members[0], ready.images, ready.folds
    roles = images.frame["role"]
    readable = ~np.isin(np.arange(len(images)), folds.unreadable)
    rows = {role: int(((roles == role).to_numpy() & readable).sum()) for role in ("train", "external", "test")}
    sides = ready.statistics.frame.select(pl.max_horizontal("height", "width")).to_series().drop_nulls().to_numpy()
    counts = images.samples.label_matrix(images.samples.of_role("train")).counts()
    kept = {address for address in given if address.startswith("members.0.")}
    fixed_views = any(address.startswith("members.0.predict") for address in kept)
    learns = member.head.pool in {"gem", "attention"} or member.augment.mix is not None
    return DataFacts(
        rows=rows["train"], joined=rows["external"], test=rows["test"], folds=folds.count,
        longest=int(np.median(sides)), counts=tuple(int(count) for count in counts if count),
        batch=runtime.batch, reusable=not learns,
        size=member.input.size if "members.0.input.size" in kept and isinstance(member.input.size, int) else None,
        use=None if recipe.split.use == "all" else tuple(recipe.split.used(folds.count)),
        views=cast(Views, member.predict.views) if fixed_views else None,
        sampler="sampler" not in member.model_fields_set, refit=recipe.final == "refit",
        neighbours=_neighbours(recipe, rows["train"] + rows["external"]),
    )  # fmt: skip


def _neighbours(recipe: Recipe, rows: int) -> Literal["open", "given", "none"]:
    """Whether neighbours are asked for, or may be planned: not among too many, and where an ensemble weighs them."""
    member, ensemble = recipe.members[0], recipe.ensemble
    if member.neighbours is not None:
        return "given"
    said = "neighbours" in member.model_fields_set
    weighed = ensemble is None or ensemble.kind in {"weighted", "greedy", "stack"}
    return "open" if weighed and not said and rows <= MOST_SPECIMENS else "none"


def _phase(member: MemberSpec) -> PhaseSpec:
    """The phase that trains the whole network; it stands for all of them."""
    whole = [phase for phase in member.phases if phase.freeze is None]
    return whole[-1] if whole else member.phases[-1].model_copy(update={"freeze": None})


def _written(section: MemberSpec | PhaseSpec) -> dict[str, Any]:
    """What the recipe says of a section, without defaults."""
    return section.model_dump(mode="json", exclude_unset=True, exclude={"phases"})


def _probe(recipe: Recipe, ready: Prepared, runtime: Runtime, facts: DataFacts, seconds: float) -> tuple[Probe, str]:
    """The pace of the member, and where its first weights come from."""
    member = recipe.members[0]
    paces = {
        size: _pace(member, size, recipe.seed, ready, (runtime, min(PROBED * seconds, LONGEST_PROBE)))
        for size in probe_sizes(facts)
    }
    paced = [*paces.values()]
    scored = facts.rows * len(ready.images.classes)
    judging = (JUDGED + JUDGED_EACH * scored) * (1 if ready.images.kind == "multiclass" else 2)
    measured = Probe(
        tuple(paces), tuple(pace.training for pace in paced), tuple(pace.seeing for pace in paced),
        reading=_seconds_to_read(ready), building=max(pace.building for pace in paced),
        saving=max(pace.saving for pace in paced), judging=judging,
    )  # fmt: skip
    return measured, paced[0].words


def _pace(member: MemberSpec, size: int, seed: int, ready: Prepared, machine: tuple[Runtime, float]) -> Pace:
    """The pace at one size, on images of the stored form that nobody had to read."""
    runtime, seconds = machine
    images, statistics = ready.images, ready.statistics
    phase = _phase(member).model_copy(update={"lr": 1e-3, "size": None, "draws": None, "stop_after": None})
    phases = {"phases": [phase], "classes": "all"}
    sized = member.model_copy(update=phases | {"input": member.input.model_copy(update={"size": size})})
    sized = resolve_member(sized, statistics)
    plan = plan_pixels(sized, statistics)
    pixels = np.broadcast_to(np.zeros((1, *plan.shape[1:]), plan.depth), plan.shape)
    truth = images.samples.label_matrix(images.sample_numbers)
    scale = statistics.normalisation
    specimens = make_specimens(sized, Pack(pixels, plan.fitting), images, statistics, scale, truth)
    job = plan_fit(images, ready.folds, ready.folds.used[0], sized, seed, scale)
    with tempfile.TemporaryDirectory() as workspace:
        return measure_pace(job, specimens, Path(workspace), runtime, seconds)


def _seconds_to_read(ready: Prepared) -> float:
    rows = np.setdiff1d(np.arange(len(ready.images)), ready.folds.unreadable)
    chosen = rows[np.linspace(0, len(rows) - 1, min(READ, len(rows))).astype(np.int64)]
    started = time.perf_counter()
    for row in chosen:
        read_row(ready.images, row)
    return (time.perf_counter() - started) / len(chosen)
