"""Budget run: measure the machine on the data of a recipe, then plan the training for a time budget."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import polars as pl

from holotype.cache import Reads, StepKey, StepOutput, Steps, Store, step
from holotype.core.errors import InputError, RecipeError
from holotype.core.runtime import Runtime
from holotype.data import PixelCache, read_row
from holotype.loading import make_dataset
from holotype.networks import weights_identity
from holotype.pipeline.models import cache_format, resolve_model
from holotype.pipeline.prepare import prepare
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.validate import validate_names
from holotype.planning.budget import AIM, BudgetPlan, format_duration, plan_budget, read_budget
from holotype.planning.candidates import MAX_NEIGHBOR_IMAGES, probe_sizes
from holotype.planning.costs import DatasetSize, MeasuredSpeed, Views
from holotype.planning.pacing import DECISIONS_FILE, BudgetPacer, read_decisions
from holotype.recipe.load import Recipe, RecipeSource, load_recipe
from holotype.recipe.sections import ModelSpec, PhaseSpec
from holotype.training import plan_fit

if TYPE_CHECKING:
    from holotype.training import Throughput

__all__ = ["PlannedRun", "decisions_key", "make_plan", "plan_for_budget", "replay_decisions"]

PROBE_SHARE = 0.02  # share of the budget for the speed measurement at each image size
MAX_PROBE_SECONDS = 4.0
READ_IMAGES = 12  # images read to measure the reading speed
SCORING_SECONDS, SCORING_SECONDS_PER_ROW = 3.5, 5e-5  # scores and report: constant, and per sample and class
MAX_SLOWDOWN = 8.0
NOT_PLANNED = ("predictions", "specialists", "pseudo_labels", "classifier", "measurements")


@dataclass(frozen=True)
class PlannedRun:
    """Planned run: recipes in the order in which they are run, each for a better answer than the one before.

    Args:
        recipes: With the plan's overrides; the last one is the plan itself.
        facts: Rows of the report's table on the plan, by name.
        pacer: Time keeper of the last recipe; None if the plan has a fixed length.
        decisions: Key of the decisions that the time keeper takes.
    """

    recipes: tuple[Recipe, ...]
    plan: BudgetPlan
    facts: dict[str, str]
    pacer: BudgetPacer | None = None
    decisions: StepKey | None = None

    def keep_decisions(self, steps: Steps) -> None:
        """Store the decisions of a finished run in the cache, for runs that train its networks again."""
        if self.pacer is None or self.decisions is None:
            return
        lines = self.pacer.folder / DECISIONS_FILE
        if lines.is_file():
            steps.store.create(self.decisions, lambda folder: shutil.copyfile(lines, folder / DECISIONS_FILE))


def plan_for_budget(
    source: RecipeSource, changes: tuple[str, ...], budget: str, steps: Steps, runtime: Runtime, began: float
) -> PlannedRun:
    """Plan models, folds, image sizes, epochs and TTA views for a time budget; a cached plan is reused.

    Args:
        source: The recipe file, or its content.
        changes: Overrides in the syntax of `--set`; the plan leaves them unchanged.
        budget: Time such as `10m`.
        began: Start of the command, by `time.perf_counter`.

    Raises:
        InputError: The budget is not a time or is too short, or the recipe cannot be planned.
        UnknownUntilRunError: In a dry run without a cached plan.
    """
    from holotype.training import launch_fabric

    seconds = read_budget(budget)
    recipe = load_recipe(source, changes)
    _require_plannable(recipe, changes)
    validate_names(recipe)
    launch_fabric(runtime)
    ready = prepare(recipe, steps, runtime)
    planned = make_plan(steps, recipe, changes, ready, runtime, seconds, began)
    plan, key = planned.read(BudgetPlan), planned.key
    if steps.executes:
        plan_facts = {"changes": plan.changes, "reasons": plan.reasons, "seconds": plan.seconds}
        steps.log.write("plan", budget=seconds, expected=plan.expected, **plan_facts)
        for sentence in plan.reasons:
            runtime.progress.info(f"plan: {sentence}")
    facts = {"budget": budget} | {f"plan {number}": reason for number, reason in enumerate(plan.reasons, start=1)}
    facts |= {f"planned seconds: {name}": f"{spent:.0f}" for name, spent in plan.seconds.items()}
    planned_changes = (*changes, *plan.changes)
    full = load_recipe(source, planned_changes)
    first = () if not plan.first else (load_recipe(source, (*changes, *plan.first)),)
    if not plan.networks or not _has_variable_length(full.models[0]):
        return PlannedRun((*first, full), plan, facts)
    trained_models = len({label.rpartition(", ")[0] for label, *_ in plan.networks})
    followed = [f'models.{number}.phases.0.budget_plan="{key.digest}"' for number in range(trained_models)]
    decisions = decisions_key(key.digest)
    pacer = BudgetPacer(
        plan.paced_networks,
        plan.seconds["scoring"],
        AIM * seconds,
        began,
        steps.store.workspace(decisions),
        earlier=(steps.store.path(decisions),),
    )
    full = load_recipe(source, (*planned_changes, *followed))
    return PlannedRun((*first, full), plan, facts, pacer, decisions)


def decisions_key(plan: str) -> StepKey:
    """Key of the decisions on the length of trainings that a budget's time keeper took.

    Args:
        plan: Digest of the plan's key.
    """
    return StepKey("decisions", 1, None, {"plan": plan})


def replay_decisions(recipe: Recipe, runtime: Runtime) -> Runtime:
    """Make a runtime that repeats the decisions of an earlier run with a budget, if a recipe follows one."""
    plans = {phase.budget_plan for model in recipe.models for phase in model.phases if phase.budget_plan is not None}
    if not plans:
        return runtime
    store = Store(runtime.store)
    folders = [
        folder for plan in plans for folder in (store.path(decisions_key(plan)), store.workspace(decisions_key(plan)))
    ]
    if not read_decisions(*folders):
        runtime.progress.info(
            "note: the recipe follows the time budget of an earlier run (phases.budget_plan), whose decisions are not "
            "in this cache; every phase is trained for its `epochs`"
        )
        return runtime
    return replace(runtime, pacer=BudgetPacer((), 0.0, 0.0, 0.0, folders[-1], earlier=tuple(folders[:-1])))


def _has_variable_length(model: ModelSpec) -> bool:
    """Whether a model's only phase can be lengthened and shortened while it is trained."""
    return len(model.phases) == 1 and model.phases[0].schedule.name != "cosine-restarts"


def _require_plannable(recipe: Recipe, changes: Sequence[str]) -> None:
    """Refuse settings that a plan would have to override."""
    remedy = "remove it, or run without --budget"
    for change in changes:
        address = change.partition("=")[0].strip()
        if address in {"models", "models.0"} or address.startswith(("models.0.phases", "models.1")):
            raise InputError(
                f"--budget chooses epochs and models itself; it cannot be combined with --set {address}",
                remedy="remove one of the two",
            )
    if len(recipe.models) > 1:
        raise RecipeError(
            f"--budget plans a single model, and the recipe has {len(recipe.models)}",
            field="models",
            remedy="leave only the first; the plan adds a second one if there is time",
        )
    for name in NOT_PLANNED:
        if getattr(recipe.models[0], name, None) is not None:
            raise RecipeError(f"--budget cannot plan `{name}`", field=f"models.0.{name}", remedy=remedy)


def _plan_reads(
    recipe: Recipe, changes: Sequence[str], ready: PreparedData, runtime: Runtime, seconds: float, _began: float
) -> Reads:
    settings = {
        "budget": seconds,
        "models": [model.model_dump(mode="json") for model in recipe.models],
        "split": recipe.split.model_dump(mode="json"),
        "seed": recipe.seed,
        "final_model": recipe.final_model,
        "weights": [weights_identity(spec.backbone, spec.weights) for spec in recipe.models],
        "given": sorted(change.partition("=")[0].strip() for change in changes),
        "machine": [runtime.device, runtime.precision, runtime.thread_count, runtime.batch],
    }
    read = ("images", "statistics", "audit")  # not the review, so that runs before and after it share a plan
    return Reads(settings, {name: ready.digests[name] for name in read})


@step("plan", 8, _plan_reads)
def make_plan(
    output: StepOutput,
    recipe: Recipe,
    changes: Sequence[str],
    ready: PreparedData,
    runtime: Runtime,
    seconds: float,
    began: float,
) -> None:
    """Budget plan: the speed of this machine on the data, and the training that fits into the time."""
    model = recipe.models[0]
    runtime.progress.info(f"probe: measuring the training speed, for a budget of {format_duration(seconds)}")
    facts = _measure_dataset(recipe, ready, runtime, {change.partition("=")[0].strip() for change in changes})
    speed, weights = _measure_speed(recipe, ready, runtime, facts, seconds)
    facts = replace(facts, pretrained=not weights.startswith("random"))
    waited = time.perf_counter() - began
    slower = min(max(waited / time.process_time(), 1.0), MAX_SLOWDOWN)  # other processes use this machine too
    speed = replace(speed, spent=waited, scoring=slower * speed.scoring)
    written = (_written_settings(model), _written_settings(_full_phase(model)))
    output.write(plan_budget(facts, speed, seconds, model.name, *written))


def _measure_dataset(recipe: Recipe, ready: PreparedData, runtime: Runtime, set_addresses: set[str]) -> DatasetSize:
    model, images, folds = recipe.models[0], ready.images, ready.folds
    roles = images.frame["role"]
    readable = ~np.isin(np.arange(len(images)), folds.unreadable)
    rows = {role: int(((roles == role).to_numpy() & readable).sum()) for role in ("train", "external", "test")}
    sides = ready.statistics.frame.select(pl.max_horizontal("height", "width")).to_series().drop_nulls().to_numpy()
    counts = images.samples.label_matrix(images.samples.of_role("train")).counts()
    model_addresses = {address for address in set_addresses if address.startswith("models.0.")}
    fixed_views = any(address.startswith("models.0.predict") for address in model_addresses)
    scored = np.intersect1d(images.samples.of_role("train"), np.flatnonzero(folds.fold_of_sample >= 0))
    learns = model.head.pool in {"gem", "attention"} or model.augment.mix is not None
    return DatasetSize(
        rows=rows["train"],
        joined=rows["external"],
        test=rows["test"],
        folds=folds.count,
        longest=int(np.median(sides)),
        counts=tuple(int(count) for count in counts if count),
        batch=runtime.batch,
        reusable=not learns,
        size=model.input.size
        if "models.0.input.size" in model_addresses and isinstance(model.input.size, int)
        else None,
        folds_to_train=None if recipe.split.folds_to_train == "all" else tuple(recipe.split.folds_used(folds.count)),
        views=cast(Views, model.predict.tta) if fixed_views else None,
        sampler="sampler" not in model.model_fields_set,
        final_model=recipe.final_model if "final_model" in recipe.model_fields_set else None,
        groups=len(np.unique(folds.independent_groups[scored])),
        open_folds=_may_choose_folds(recipe),
        first_answer=True,
        neighbors=_neighbor_policy(recipe, rows["train"] + rows["external"]),
    )


def _may_choose_folds(recipe: Recipe) -> bool:
    """Whether the number of folds is the default, and each independent group could be a fold."""
    split = recipe.split
    is_default = not split.model_fields_set & {"folds", "like_test", "keep_together", "folds_to_train"}
    return is_default and bool(recipe.data.groups)


def _neighbor_policy(recipe: Recipe, rows: int) -> Literal["open", "required", "none"]:
    """Whether neighbors are requested by the recipe, may be planned, or neither.

    They may be planned for data sets that are not too large, and if the ensemble weights them.
    """
    model, ensemble = recipe.models[0], recipe.ensemble
    if model.neighbors is not None:
        return "required"
    is_set = "neighbors" in model.model_fields_set
    weighed = ensemble is None or ensemble.kind in {"weighted", "greedy", "stack"}
    return "open" if weighed and not is_set and rows <= MAX_NEIGHBOR_IMAGES else "none"


def _full_phase(model: ModelSpec) -> PhaseSpec:
    """The phase that trains the whole network; it stands for all phases."""
    unfrozen = [phase for phase in model.phases if phase.freeze is None]
    return unfrozen[-1] if unfrozen else model.phases[-1].model_copy(update={"freeze": None})


def _written_settings(section: ModelSpec | PhaseSpec) -> dict[str, Any]:
    """Settings of a section as written in the recipe, without defaults."""
    return section.model_dump(mode="json", exclude_unset=True, exclude={"phases"})


def _measure_speed(
    recipe: Recipe, ready: PreparedData, runtime: Runtime, facts: DatasetSize, seconds: float
) -> tuple[MeasuredSpeed, str]:
    """Speed of the model, and a description of its initial weights."""
    model = recipe.models[0]
    probe_seconds = min(PROBE_SHARE * seconds, MAX_PROBE_SECONDS)
    paces = {
        size: _measure_throughput(model, size, recipe.seed, ready, runtime, probe_seconds)
        for size in probe_sizes(facts)
    }
    paced = [*paces.values()]
    scored = facts.rows * len(ready.images.classes)
    scoring = (SCORING_SECONDS + SCORING_SECONDS_PER_ROW * scored) * (1 if ready.images.kind == "multiclass" else 2)
    measured = MeasuredSpeed(
        tuple(paces),
        tuple(pace.training for pace in paced),
        tuple(min(pace.inference, pace.training) for pace in paced),  # a forward pass is a part of a training step
        reading=_measure_reading(ready),
        building=max(pace.building for pace in paced),
        saving=max(pace.saving for pace in paced),
        scoring=scoring,
    )
    return measured, paced[0].weights_description


def _measure_throughput(
    model: ModelSpec, size: int, seed: int, ready: PreparedData, runtime: Runtime, seconds: float
) -> Throughput:
    """Throughput at one image size, on blank images in the cache format, so that none has to be read."""
    from holotype.training import measure_throughput

    images, statistics = ready.images, ready.statistics
    phase = _full_phase(model).model_copy(
        update={"lr": 1e-3, "size": None, "augmentation_draws": None, "early_stopping": None}
    )
    phases = {"phases": [phase], "classes": "all"}
    sized = model.model_copy(update=phases | {"input": model.input.model_copy(update={"size": size})})
    sized = resolve_model(sized, statistics)
    plan = cache_format(sized, statistics)
    pixels = np.broadcast_to(np.zeros((1, *plan.shape[1:]), plan.depth), plan.shape)
    truth = images.samples.label_matrix(images.sample_numbers)
    scale = statistics.normalization
    specimens = make_dataset(sized, PixelCache(pixels, plan.resize_mode), images, statistics, scale, truth)
    job = plan_fit(images, ready.folds, ready.folds.used[0], sized, seed, scale)
    with tempfile.TemporaryDirectory() as workspace:
        return measure_throughput(job, specimens, Path(workspace), runtime, seconds)


def _measure_reading(ready: PreparedData) -> float:
    rows = np.setdiff1d(np.arange(len(ready.images)), ready.folds.unreadable)
    sampled_rows = rows[np.linspace(0, len(rows) - 1, min(READ_IMAGES, len(rows))).astype(np.int64)]
    started = time.perf_counter()
    for row in sampled_rows:
        read_row(ready.images, row)
    return (time.perf_counter() - started) / len(sampled_rows)
