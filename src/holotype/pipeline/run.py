"""The pipeline: one recipe in, one run folder out. Read this page first.

prepare     read the table → measure the images → audit → apply the review → split into folds
run_steps   train and predict (each model: network, frozen features, measurements or imported scores; fold by fold) →
            make the postprocessing → evaluate it → fit it → find label errors
run         write the run folder → write the report

Every step takes its result from the cache if nothing that it reads has changed (`@step`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from holotype.audit import empty_label_errors, find_label_errors
from holotype.cache import RunLog, Steps, Store
from holotype.core.run_folder import RunFolder
from holotype.core.runtime import Runtime
from holotype.evaluation import NestedScore, add_caveats, score_nested
from holotype.pipeline.apply_review import find_reviewed_scores
from holotype.pipeline.caveats import score_caveats
from holotype.pipeline.earlier_folds import read_earlier_folds
from holotype.pipeline.fit_postprocessing import (
    FittedPostprocessing,
    Postprocessing,
    fit_postprocessing,
    make_postprocessing,
)
from holotype.pipeline.model_scores import AllModelScores, train_models
from holotype.pipeline.prepare import prepare
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.provenance import optional_work
from holotype.pipeline.review_effect import describe_review_effect, measure_review_effect
from holotype.pipeline.run_result import RunResult
from holotype.pipeline.validate import validate_names
from holotype.pipeline.write_predictions import describe_decision_effect, describe_uniform_predictions
from holotype.pipeline.write_run import write_page, write_run
from holotype.recipe.load import Recipe
from holotype.review import without_confirmed


def run(
    recipe: Recipe, out: Path, runtime: Runtime, facts: Mapping[str, str] | None = None, source: Path | None = None
) -> RunResult:
    """Run a recipe and write its run folder.

    Args:
        out: The run folder; results of the same recipe in it are reused.
        runtime: From `make_runtime`.
        facts: Additional facts for the report, by name.
        source: The recipe's file. A recipe inside a run folder repeats that run with its folds.

    Raises:
        InputError: The recipe or the data is wrong; nothing was trained.
        HolotypeError: The work failed; the same command again continues it.
    """
    from holotype.training import launch_fabric

    validate_names(recipe)
    launch_fabric(runtime)  # refuses a missing device before anything is read
    folder = RunFolder(out)
    log = RunLog(folder.path("log.jsonl"))
    runtime = replace(runtime, progress=runtime.progress.with_listener(lambda text: log.write("message", text=text)))
    steps = Steps(Store(runtime.store), log, runtime.progress, facts=dict(facts or {}))
    result = run_steps(recipe, steps, runtime, read_earlier_folds(folder, recipe, runtime.progress, source))
    write_run(result, folder, recipe)
    _report_effects(result, recipe, steps, runtime)
    write_page(result, folder, recipe, steps, runtime)
    return result


def run_steps(recipe: Recipe, steps: Steps, runtime: Runtime, before: Mapping[str, int] | None = None) -> RunResult:
    """Run every step in order, without writing into the run folder.

    Args:
        before: From `read_earlier_folds`.
    """
    prepared = prepare(recipe, steps, runtime, before)
    for warning in prepared.warnings:
        runtime.progress.info(f"note: {warning}")
    model_scores = train_models(recipe, prepared, steps, runtime)
    postprocessing = make_postprocessing(recipe, prepared, runtime, model_scores)
    nested = _evaluate(recipe, prepared, model_scores, postprocessing)
    fitted = fit_postprocessing(postprocessing, model_scores.oof, model_scores.test, nested, prepared.images)
    label_errors = _find_label_errors(prepared, fitted)
    validation = fitted.scores_of(model_scores.validation) if model_scores.validation else None
    review = None
    if prepared.review is not None:
        earlier = find_reviewed_scores(prepared.review, recipe.data.review, steps)
        review = measure_review_effect(prepared, nested, postprocessing.decision, earlier, recipe.metric)
    return RunResult(prepared, model_scores, fitted, nested, label_errors, validation, review)


def _evaluate(
    recipe: Recipe, prepared: PreparedData, model_scores: AllModelScores, postprocessing: Postprocessing
) -> NestedScore | None:
    """Nested score: each fold by postprocessing fitted on the others; None without out-of-fold scores."""
    if not model_scores.oof:
        return None
    samples = prepared.images.samples
    test_size = len(samples.of_role("test")) or None
    nested = score_nested(
        model_scores.oof, samples, prepared.folds, postprocessing.chain, recipe.metric, recipe.seed, test_size
    )
    review_caveats = () if prepared.review is None else prepared.review.caveats
    return add_caveats(nested, [*score_caveats(recipe), *model_scores.caveats, *review_caveats])


def _find_label_errors(prepared: PreparedData, fitted: FittedPostprocessing) -> pl.DataFrame:
    if fitted.oof is None:
        errors = empty_label_errors()
    else:
        errors = find_label_errors(fitted.oof, prepared.images.samples)
    return errors if prepared.review is None else without_confirmed(errors, prepared.review.confirmed)


def _report_effects(result: RunResult, recipe: Recipe, steps: Steps, runtime: Runtime) -> None:
    """Tell the user what the decision and the review changed."""
    with optional_work("a note on what the decision and the review changed", steps):
        for effect in (describe_decision_effect(result), describe_uniform_predictions(result)):
            if effect is not None:
                runtime.progress.info(effect)
        if result.review is not None:
            runtime.progress.info(describe_review_effect(result.review, recipe.metric))
