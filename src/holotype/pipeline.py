"""From a recipe to a submission, one call a stage. Read this page first.

read_images → measure_images → audit_images → make_folds      what there is, and how it is divided
→ gather_members (fit_member → infer → gather_oof, gather_test)   members × folds, each from the store if it is there
→ list_choices → score_nested → choose                        ensemble to decision, on out-of-fold scores alone
→ find_suspects → write_submission → write_report             what a person opens
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from holotype import keys
from holotype.audit import audit_images, audit_labels, find_suspects, no_suspects
from holotype.data import folder_warnings, measure_images, read_images, table_warnings, unmeasured
from holotype.decide import thresholds_by_class
from holotype.errors import DataError, RecipeError, StoreError
from holotype.members import Workshop, served_classes, telling_features
from holotype.nets import check_backbone, find_weights, weights_identity, weights_may_have_seen
from holotype.prepared import Prepared
from holotype.recipe import Recipe
from holotype.review import without_confirmed
from holotype.road.answers import what_the_decision_changed
from holotype.road.choosing import choose, list_choices
from holotype.road.difference import review_words, what_the_review_changed
from holotype.road.earlier_folds import (
    describe_kept_folds,
    is_stratified,
    read_earlier_folds,
    scored_folds,
)
from holotype.road.gathering import gather_members
from holotype.road.imported import named_folds
from holotype.road.outcome import Outcome
from holotype.road.provenance import optional_work
from holotype.road.refusals import (
    notes_on_many_classes,
    refuse_for_many_classes,
    refuse_sampling,
    refuse_unknown_samples,
)
from holotype.road.reviewing import divide_reviewed, follow_review, reviewed_run
from holotype.road.writing import write_outcome, write_page
from holotype.runs import RunFolder
from holotype.runtime import Runtime
from holotype.score import add_caveats, score_nested
from holotype.spec import ThresholdSpec
from holotype.split import adopt_folds, nothing_divided
from holotype.store import RunLog, Stages, Store, translated_disk_errors
from holotype.submit import submission_order
from holotype.train import check_phase, launch_fabric, member_levels
from holotype.types import AuditReport, Folds, ImageStatistics, ImageTable, Normalisation

__all__ = ["check_names", "follow", "make_runtime", "prepare", "run"]


def run(recipe: Recipe, out: Path, runtime: Runtime, facts: Mapping[str, str] | None = None) -> Outcome:
    """Do everything a recipe says, and write the run's folder.

    Args:
        recipe: From `load_recipe`.
        out: The run's folder; what is there of the same recipe is used again.
        runtime: From `make_runtime`.
        facts: What the report should say beside its own, by name.

    Returns:
        What came out, as it was written.

    Raises:
        InputError: The recipe or the data is wrong; nothing was trained.
        HolotypeError: The work failed; run the same command again to go on.
    """
    check_names(recipe)
    launch_fabric(runtime)  # a device that is not here is refused before anything is read
    folder = RunFolder(out)
    log = RunLog(folder.path("log.jsonl"))
    runtime = replace(
        runtime, progress=runtime.progress.heard_by(lambda sentence: log.write("said", sentence=sentence))
    )
    stages = Stages(Store(runtime.store), log, runtime.progress, facts=dict(facts or {}))
    outcome = follow(recipe, stages, runtime, read_earlier_folds(folder, recipe, runtime.progress))
    with translated_disk_errors(partial(_unwritable, out)):
        write_outcome(outcome, folder, recipe)
    with optional_work("a note on what the decision and the review changed", stages):
        changed = what_the_decision_changed(outcome)
        if changed is not None:
            runtime.progress.say(changed)
        if outcome.review is not None:
            runtime.progress.say(review_words(outcome.review, recipe.metric))
    write_page(outcome, folder, recipe, stages, runtime)
    return outcome


def _unwritable(out: Path, error: OSError) -> StoreError:
    """What the disk of a run's folder refuses, in one sentence; what was trained lies in the store."""
    return StoreError(
        f"the run's folder {str(out)!r} cannot be written: {error.strerror or error}",
        remedy="mend that and run the same command again; nothing is trained a second time",
    )


def follow(recipe: Recipe, stages: Stages, runtime: Runtime, before: Mapping[str, int] | None = None) -> Outcome:
    """The road itself: every stage in order, none of them writing into the run's folder.

    Args:
        recipe: From `load_recipe`.
        stages: Makes what is missing; a `Forecast` notes it instead.
        runtime: From `make_runtime`.
        before: From `read_earlier_folds`.
    """
    ready = prepare(recipe, stages, runtime, before)
    images, folds = ready.images, ready.folds
    for warning in ready.warnings if stages.makes else ():
        runtime.progress.say(f"note: {warning}")

    made = gather_members(recipe, ready, stages, runtime)
    oof = made.oof
    choices = list_choices(recipe, images, ready.statistics, folds, runtime, made)
    nested = None
    if oof:
        rows = len(images.samples.of_role("test")) or None
        nested = score_nested(oof, images.samples, folds, choices.chain, recipe.metric, recipe.seed, rows)
        looked_at = () if ready.review is None else ready.review.caveats
        nested = add_caveats(nested, [*_caveats(recipe), *made.caveats, *looked_at])
    chosen = choose(choices, oof, made.test, nested, images)
    doubtful = no_suspects() if chosen.together is None else find_suspects(chosen.together, images.samples)
    apart = chosen.scores_of(made.apart) if made.apart else None
    review = None
    if ready.review is not None:
        doubtful = without_confirmed(doubtful, ready.review.confirmed)
        earlier = reviewed_run(ready.review, recipe.data.review, stages)
        review = what_the_review_changed(ready, nested, choices.decision, earlier, recipe.metric)
    return Outcome(ready, made, chosen, nested, doubtful, apart, review)


def _caveats(recipe: Recipe) -> list[str]:
    """What a reader of the scores must know of how the networks came about."""
    chosen = [member.name for member in recipe.members if member.selects and member.keep.on == "fold"]
    words = [f"selected on the scored fold ({', '.join(chosen)}), so that the value is too high"] if chosen else []
    networks = [member for member in recipe.members if member.predictions is None]
    for member in networks:
        reason = weights_may_have_seen(member.weights)
        words += [f"{member.name}: {reason}, so that the value may be too high"] if reason else []
    words += _random_starts(recipe)
    kinds = [name for name, exist in (("groups", recipe.data.groups), ("duplicates", True)) if exist]
    crossing = [name for name in kinds if name not in recipe.split.by]
    if crossing:
        words.append(f"{' and '.join(crossing)} may cross folds (`split.by`), so that networks may have trained on "
                     "relatives of what they are scored on")  # fmt: skip
    if recipe.final == "refit":
        words.append("the test rows are predicted by networks trained on all rows, which were not scored themselves")
    return words


def _random_starts(recipe: Recipe) -> list[str]:
    """Networks that begin with random weights though the recipe leaves the choice open."""
    open_choices = [member for member in recipe.members if member.predictions is None and member.weights == "auto"]
    return [
        f"{member.name} begins with random weights, since this machine has no pretrained ones of {member.backbone}"
        for member in open_choices
        if weights_identity(member.backbone, member.weights) == "random"
    ]


def prepare(recipe: Recipe, stages: Stages, runtime: Runtime, before: Mapping[str, int] | None = None) -> Prepared:
    """Read, measure, audit and divide: all that can be wrong with the data is found here, before any training.

    Args:
        recipe: From `load_recipe`.
        stages: Takes from the store what is there.
        runtime: From `make_runtime`.
        before: From `read_earlier_folds`.

    Raises:
        DataError: Something is wrong with the tables, the images or the labels.
    """
    images = stages.value(ImageTable, keys.images_key(recipe.data), lambda: read_images(recipe.data))
    for number, member in enumerate(recipe.members):
        with _placed(f"members.{number}.head.levels.weights"):
            member_levels(member.head.levels, images.ranks)  # better refused now than after the pixels are read
        with _placed(f"members.{number}.classes"):
            served_classes(member, images)
    refuse_sampling(recipe.members, len(images.classes), images.kind)
    refuse_for_many_classes(
        len(images.classes), images.kind, recipe.metric, recipe.ensemble, recipe.calibrate, recipe.decide
    )
    refuse_unknown_samples(recipe.report, images)
    pictured = images.has_files
    if not pictured and any(member.predictions is None for member in recipe.members):
        raise DataError("there is no pattern of the image files", field="data.images", remedy="write `images/{id}.png`")
    statistics = stages.value(
        ImageStatistics, keys.statistics_key(images),
        lambda: measure_images(images, runtime) if pictured else unmeasured(images), {"normalisation": Normalisation},
    )  # fmt: skip
    audit = stages.value(
        AuditReport,
        keys.audit_key(recipe.audit, stages.digests),
        lambda: audit_images(images, statistics, recipe.audit) if pictured else audit_labels(images),
    )
    given = (images, audit)
    images, audit, review = follow_review(recipe.data, recipe.audit, images, statistics, audit, stages.digests)
    if isinstance(recipe.decide, ThresholdSpec):
        thresholds_by_class(recipe.decide.thresholds, images.classes)  # better refused now than after training
    submission_order(images.samples, recipe.submit.order, recipe.submit.id or recipe.data.sample or recipe.data.id)
    undivided = Prepared(images, statistics, audit, nothing_divided(images), ())
    workshop = Workshop(undivided, recipe.seed, stages, runtime, recipe.data.pack)
    seen = telling_features(recipe.members, recipe.split, workshop) if recipe.split.like_test else None
    folds_key = partial(keys.folds_key, recipe.split, recipe.seed, dict(stages.digests), seen[1] if seen else None)
    folds = stages.value(
        Folds,
        folds_key(before),
        lambda: divide_reviewed(given, (images, audit), recipe.split, recipe.seed, seen, before),
    )
    if stages.makes and is_stratified(recipe):  # the next run into this folder finds these folds there, and keeps them
        stages.store.repeat(folds_key(before), folds_key(scored_folds(images, folds)))
        if before is not None:
            runtime.progress.say(describe_kept_folds(images, folds, before))
    scored = np.intersect1d(images.samples.of_role("train"), np.flatnonzero(folds.fold_of_sample >= 0))
    named = named_folds(recipe.members, images, scored)
    if named is not None:
        folds = adopt_folds(images, folds, scored, named, recipe.split)
    notes = folder_warnings(recipe.data) + table_warnings(images) + notes_on_many_classes(len(images.classes))
    notes += () if review is None else review.words + review.warnings
    notes += tuple(_random_starts(recipe))
    return Prepared(images, statistics, audit, folds, notes + audit.warnings + folds.warnings, review)


def check_names(recipe: Recipe) -> None:
    """Refuse backbones, weights, optimisers, schedules and losses that do not exist; it loads timm, so it comes second.

    Args:
        recipe: From `load_recipe`.

    Raises:
        RecipeError: A name is unknown; the nearest is suggested.
    """
    if recipe.run.device != "auto" or recipe.run.processes > 1:  # refused where they are not here
        launch_fabric(Runtime(device=recipe.run.device, processes=recipe.run.processes))
    for number, member in enumerate(recipe.members):
        if member.predictions is not None:
            continue
        check_backbone(member.backbone, f"members.{number}.backbone")
        if member.weights not in {"auto", "none"}:
            with _placed(f"members.{number}.weights"):
                find_weights(member.backbone, member.weights)
        for phase_number, phase in enumerate(member.phases):
            with _placed(f"members.{number}.phases.{phase_number}"):
                check_phase(phase, recipe.data.labels.kind, member.head)


@contextmanager
def _placed(field: str) -> Iterator[None]:
    """Say of a wrong name where in the recipe it stands."""
    try:
        yield
    except RecipeError as error:
        said = {"value": error.value, "allowed": error.allowed, "remedy": error.remedy}
        raise RecipeError(error.what, field=field, **said) from None  # type: ignore[arg-type]


def make_runtime(recipe: Recipe, recipe_folder: Path, **changes: object) -> Runtime:
    """The runtime that a recipe and this machine ask for.

    Args:
        recipe: Its `run` section.
        recipe_folder: The store lies beside the recipe, unless HOLOTYPE_STORE says otherwise; that of the recipe that a
            run keeps is the run's.
        **changes: Fields of the runtime.
    """
    section = recipe.run
    runtime = Runtime(
        device=section.device,
        precision=section.precision,
        threads=0 if section.threads == "auto" else section.threads,
        workers=0 if section.workers == "auto" else section.workers,
        batch=32 if section.batch == "auto" else section.batch,
        processes=section.processes,
        save_seconds=60 * section.save_minutes,
        store=Path(os.environ.get("HOLOTYPE_STORE") or RunFolder(recipe_folder).store() or recipe_folder / ".holotype"),
    )
    return replace(runtime, **changes)  # type: ignore[arg-type]
