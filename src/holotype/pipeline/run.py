"""From a recipe to a submission, one call a stage. Read this page first.

read_images → measure_images → audit_images → make_folds      what there is, and how it is divided
→ gather_models (fit_model → infer → gather_oof, gather_test)   models × folds, each from the store if it is there
→ make_postprocessing → score_nested → fit_postprocessing     ensemble to decision, on out-of-fold scores alone
→ find_label_errors → write_run → write_report                what a person opens
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from holotype.audit import audit_images, audit_labels, empty_label_errors, find_label_errors
from holotype.cache import RunLog, Stages, Store, translated_disk_errors
from holotype.core.errors import DataError, RecipeError, StoreError
from holotype.core.run_folder import RunFolder
from holotype.core.runtime import Runtime
from holotype.data import empty_statistics, folder_warnings, measure_images, read_images, table_warnings
from holotype.evaluation import add_caveats, score_nested
from holotype.networks import check_backbone, check_weights, pretraining_leak_reason, weights_identity
from holotype.pipeline import cache_keys as keys
from holotype.pipeline.apply_review import apply_review_decisions, find_reviewed_scores, split_reviewed
from holotype.pipeline.earlier_folds import describe_kept_folds, is_stratified, read_earlier_folds, scored_folds
from holotype.pipeline.fit_postprocessing import fit_postprocessing, make_postprocessing
from holotype.pipeline.imported_predictions import named_folds
from holotype.pipeline.model_scores import gather_models
from holotype.pipeline.models import TrainingContext, model_classes, train_test_features
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.provenance import optional_work
from holotype.pipeline.review_effect import describe_review_effect, measure_review_effect
from holotype.pipeline.run_result import RunResult
from holotype.pipeline.validate import (
    class_count_notes,
    require_existing_samples,
    require_supported_class_count,
    require_valid_class_sampling,
)
from holotype.pipeline.write_predictions import describe_decision_effect
from holotype.pipeline.write_run import write_page, write_run
from holotype.postprocessing.decision import thresholds_by_class
from holotype.postprocessing.submission import submission_order
from holotype.recipe.load import Recipe
from holotype.recipe.sections import ThresholdSpec
from holotype.review import without_confirmed
from holotype.split import empty_folds, use_imported_folds
from holotype.training import check_phase, model_taxonomy
from holotype.types import AuditReport, Folds, ImageStatistics, ImageTable, Normalization

__all__ = ["make_runtime", "prepare", "run", "run_stages", "validate_names"]


def run(
    recipe: Recipe, out: Path, runtime: Runtime, facts: Mapping[str, str] | None = None, source: Path | None = None
) -> RunResult:
    """Do everything a recipe says, and write the run's folder.

    Args:
        recipe: From `load_recipe`.
        out: The run's folder; what is there of the same recipe is used again.
        runtime: From `make_runtime`.
        facts: What the report should say beside its own, by name.
        source: The recipe's file; one that a run folder keeps repeats the folds of that run.

    Returns:
        What came out, as it was written.

    Raises:
        InputError: The recipe or the data is wrong; nothing was trained.
        HolotypeError: The work failed; run the same command again to go on.
    """
    from holotype.training import launch_fabric

    validate_names(recipe)
    launch_fabric(runtime)  # a device that is not here is refused before anything is read
    folder = RunFolder(out)
    log = RunLog(folder.path("log.jsonl"))
    runtime = replace(
        runtime, progress=runtime.progress.with_listener(lambda sentence: log.write("message", text=sentence))
    )
    stages = Stages(Store(runtime.store), log, runtime.progress, facts=dict(facts or {}))
    result = run_stages(recipe, stages, runtime, read_earlier_folds(folder, recipe, runtime.progress, source))
    with translated_disk_errors(partial(_unwritable, out)):
        write_run(result, folder, recipe)
    with optional_work("a note on what the decision and the review changed", stages):
        changed = describe_decision_effect(result)
        if changed is not None:
            runtime.progress.info(changed)
        if result.review is not None:
            runtime.progress.info(describe_review_effect(result.review, recipe.metric))
    write_page(result, folder, recipe, stages, runtime)
    return result


def _unwritable(out: Path, error: OSError) -> StoreError:
    """What the disk of a run's folder refuses, in one sentence; what was trained lies in the store."""
    return StoreError(
        f"the run's folder {str(out)!r} cannot be written: {error.strerror or error}",
        remedy="mend that and run the same command again; nothing is trained a second time",
    )


def run_stages(recipe: Recipe, stages: Stages, runtime: Runtime, before: Mapping[str, int] | None = None) -> RunResult:
    """The road itself: every stage in order, none of them writing into the run's folder.

    Args:
        recipe: From `load_recipe`.
        stages: Makes what is missing.
        runtime: From `make_runtime`.
        before: From `read_earlier_folds`.
    """
    prepared = prepare(recipe, stages, runtime, before)
    images, folds = prepared.images, prepared.folds
    for warning in prepared.warnings:
        runtime.progress.info(f"note: {warning}")

    model_scores = gather_models(recipe, prepared, stages, runtime)
    oof = model_scores.oof
    postprocessing = make_postprocessing(recipe, images, prepared.statistics, folds, runtime, model_scores)
    nested = None
    if oof:
        rows = len(images.samples.of_role("test")) or None
        nested = score_nested(oof, images.samples, folds, postprocessing.chain, recipe.metric, recipe.seed, rows)
        review_caveats = () if prepared.review is None else prepared.review.caveats
        nested = add_caveats(nested, [*_score_caveats(recipe), *model_scores.caveats, *review_caveats])
    fitted = fit_postprocessing(postprocessing, oof, model_scores.test, nested, images)
    label_errors = empty_label_errors() if fitted.oof is None else find_label_errors(fitted.oof, images.samples)
    validation = fitted.scores_of(model_scores.validation) if model_scores.validation else None
    review = None
    if prepared.review is not None:
        label_errors = without_confirmed(label_errors, prepared.review.confirmed)
        earlier = find_reviewed_scores(prepared.review, recipe.data.review, stages)
        review = measure_review_effect(prepared, nested, postprocessing.decision, earlier, recipe.metric)
    return RunResult(prepared, model_scores, fitted, nested, label_errors, validation, review)


def _score_caveats(recipe: Recipe) -> list[str]:
    """What a reader of the scores must know of how the networks came about."""
    selected_on_scored_fold = [
        model.name for model in recipe.models if model.selects and model.checkpoints.rows == "scored-fold"
    ]
    caveats = (
        [f"selected on the scored fold ({', '.join(selected_on_scored_fold)}), so that the value is too high"]
        if selected_on_scored_fold
        else []
    )
    networks = [model for model in recipe.models if model.predictions is None]
    for model in networks:
        reason = pretraining_leak_reason(model.weights)
        caveats += [f"{model.name}: {reason}, so that the value may be too high"] if reason else []
    caveats += _random_weight_warnings(recipe)
    kinds = [name for name, exist in (("groups", recipe.data.groups), ("duplicates", True)) if exist]
    crossing = [name for name in kinds if name not in recipe.split.keep_together]
    if crossing:
        caveats.append(
            f"{' and '.join(crossing)} may cross folds (`split.keep_together`), so that networks may have trained on "
            "relatives of what they are scored on"
        )
    if recipe.final_model == "refit":
        caveats.append("the test rows are predicted by networks trained on all rows, which were not scored themselves")
    return caveats


def _random_weight_warnings(recipe: Recipe) -> list[str]:
    """Networks that begin with random weights though the recipe leaves the choice open."""
    open_choices = [model for model in recipe.models if model.predictions is None and model.weights == "auto"]
    return [
        f"{model.name} begins with random weights, since this machine has no pretrained ones of {model.backbone}"
        for model in open_choices
        if weights_identity(model.backbone, model.weights) == "random"
    ]


def prepare(recipe: Recipe, stages: Stages, runtime: Runtime, before: Mapping[str, int] | None = None) -> PreparedData:
    """Read, measure, audit and divide: all that can be wrong with the data is found here, before any training.

    Args:
        recipe: From `load_recipe`.
        stages: Takes from the store what is there.
        runtime: From `make_runtime`.
        before: From `read_earlier_folds`.

    Raises:
        DataError: Something is wrong with the tables, the images or the labels.
    """
    images = stages.cached_value(ImageTable, keys.images_key(recipe.data), lambda: read_images(recipe.data))
    for number, model in enumerate(recipe.models):
        with _error_field(f"models.{number}.head.taxonomy.weights"):
            model_taxonomy(model.head.taxonomy, images.ranks)  # better refused now than after the pixels are read
        with _error_field(f"models.{number}.classes"):
            model_classes(model, images)
    require_valid_class_sampling(recipe.models, len(images.classes), images.kind)
    require_supported_class_count(
        len(images.classes), images.kind, recipe.metric, recipe.ensemble, recipe.calibration, recipe.decision
    )
    require_existing_samples(recipe.report, images)
    has_images = images.has_files
    if not has_images and any(model.predictions is None for model in recipe.models):
        raise DataError("there is no pattern of the image files", field="data.images", remedy="write `images/{id}.png`")
    statistics = stages.cached_value(
        ImageStatistics,
        keys.statistics_key(images),
        lambda: measure_images(images, runtime) if has_images else empty_statistics(images),
        {"normalization": Normalization},
    )
    audit = stages.cached_value(
        AuditReport,
        keys.audit_key(recipe.audit, stages.digests),
        lambda: audit_images(images, statistics, recipe.audit) if has_images else audit_labels(images),
    )
    unreviewed = (images, audit)
    images, audit, review = apply_review_decisions(recipe.data, recipe.audit, images, statistics, audit, stages.digests)
    if isinstance(recipe.decision, ThresholdSpec):
        thresholds_by_class(recipe.decision.thresholds, images.classes)  # better refused now than after training
    submission_order(
        images.samples, recipe.submission.order, recipe.submission.id or recipe.data.sample or recipe.data.id
    )
    undivided = PreparedData(images, statistics, audit, empty_folds(images), ())
    context = TrainingContext(undivided, recipe.seed, stages, runtime, recipe.data.cache)
    features = train_test_features(recipe.models, recipe.split, context) if recipe.split.like_test else None
    folds_key = partial(
        keys.folds_key, recipe.split, recipe.seed, dict(stages.digests), features[1] if features else None
    )
    folds = stages.cached_value(
        Folds,
        folds_key(before),
        lambda: split_reviewed(unreviewed, (images, audit), recipe.split, recipe.seed, features, before),
    )
    if not stages.is_dry_run and is_stratified(
        recipe
    ):  # the next run into this folder finds these folds there, and keeps them
        stages.store.repeat(folds_key(before), folds_key(scored_folds(images, folds)))
        if before is not None:
            runtime.progress.info(describe_kept_folds(images, folds, before))
    scored = np.intersect1d(images.samples.of_role("train"), np.flatnonzero(folds.fold_of_sample >= 0))
    named = named_folds(recipe.models, images, scored)
    if named is not None:
        folds = use_imported_folds(images, folds, scored, named, recipe.split)
    notes = folder_warnings(recipe.data) + table_warnings(images) + class_count_notes(len(images.classes))
    notes += () if review is None else review.words + review.warnings
    notes += tuple(_random_weight_warnings(recipe))
    return PreparedData(images, statistics, audit, folds, notes + audit.warnings + folds.warnings, review)


def validate_names(recipe: Recipe) -> None:
    """Refuse backbones, weights, optimisers, schedules and losses that do not exist.

    Args:
        recipe: From `load_recipe`.

    Raises:
        RecipeError: A name is unknown; the nearest is suggested.
    """
    if recipe.run.device not in {"auto", "cpu"} or recipe.run.processes > 1:  # refused where they are not here
        from holotype.training import launch_fabric

        launch_fabric(Runtime(device=recipe.run.device, processes=recipe.run.processes))
    for number, model in enumerate(recipe.models):
        if model.predictions is not None:
            continue
        check_backbone(model.backbone, f"models.{number}.backbone")
        if model.weights not in {"auto", "none"}:
            with _error_field(f"models.{number}.weights"):
                check_weights(model.backbone, model.weights)
        for phase_number, phase in enumerate(model.phases):
            with _error_field(f"models.{number}.phases.{phase_number}"):
                check_phase(phase, recipe.data.labels.kind, model.head)


@contextmanager
def _error_field(field: str) -> Iterator[None]:
    """Say of a wrong name where in the recipe it stands."""
    try:
        yield
    except RecipeError as error:
        details = {"value": error.value, "allowed": error.allowed, "remedy": error.remedy}
        raise RecipeError(error.what, field=field, **details) from None  # type: ignore[arg-type]


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
