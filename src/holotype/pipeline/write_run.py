"""Run folder: write every file of a run result."""

from __future__ import annotations

import platform
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from holotype.cache import Steps, translated_disk_errors
from holotype.core.errors import StoreError, pluralize
from holotype.core.run_folder import RunFolder
from holotype.core.runtime import Runtime, version_of
from holotype.core.table_files import read_parquet, write_table
from holotype.evaluation import (
    Against,
    NestedScore,
    Step,
    confusion_counts,
    score_excluding,
    score_subset,
    scorecard_to_json,
    step_effects,
)
from holotype.evaluation.metrics import ScoredSamples, calibration_table
from holotype.pipeline.models import TrainingContext, histories
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.provenance import describe_run, optional_work
from holotype.pipeline.report_curves import class_curves, class_graph_data, finder_curves
from holotype.pipeline.report_examples import (
    duplicate_pairs,
    ensemble_summary,
    example_images,
    label_error_examples,
    mistakes,
    model_pairs,
)
from holotype.pipeline.report_pictures import pictures_of
from holotype.pipeline.review_effect import review_effect_data
from holotype.pipeline.run_result import RunResult
from holotype.pipeline.write_predictions import write_predictions
from holotype.postprocessing.decision import decision_to_json, default_labels
from holotype.postprocessing.ensemble import ensemble_to_json
from holotype.postprocessing.submission import write_scores
from holotype.recipe.load import Recipe, dump_recipe
from holotype.report import DatasetData, PictureData, ReportData, write_report
from holotype.types import Integers, Metric, Scorecard, same_labels

REPORTED_PACKAGES = ("holotype", "torch", "timm", "lightning-fabric", "numpy", "polars", "scikit-learn", "lightgbm")


def write_run(result: RunResult, folder: RunFolder, recipe: Recipe) -> None:
    """Write every file of the run folder except the report; the earlier run's files are replaced at the end.

    Raises:
        StoreError: The folder cannot be written.
    """
    fitted = result.postprocessing
    with translated_disk_errors(partial(_write_error, folder)), folder.replaced() as new:
        new.write_text("recipe.yaml", dump_recipe(recipe, folder.root))
        table = result.prepared.images.frame
        table = folder.portable(table) if recipe.names_images_relatively else table
        write_table(table, new.path("images.parquet"))
        _write_tables(result, new)
        _write_models(result, new)
        write_predictions(result, new, recipe.data, recipe.submission)
        new.write_json("decision.json", decision_to_json(fitted.decision, fitted.calibration))
        new.write_json("ensemble.json", ensemble_to_json(fitted.ensemble))
        nested = result.nested
        scorecard = Scorecard({}, [], [], [], []) if nested is None else _scorecard(result, nested, recipe)
        method = {"method": "no sample has an out-of-fold score"} if nested is None else {}
        new.write_json("scores.json", scorecard_to_json(scorecard) | method)


def _write_error(folder: RunFolder, error: OSError) -> StoreError:
    return StoreError(
        f"the run's folder {str(folder.root)!r} cannot be written: {error.strerror or error}",
        remedy="fix that and run the same command again; trained networks are reused",
    )


def write_page(result: RunResult, folder: RunFolder, recipe: Recipe, steps: Steps, runtime: Runtime) -> None:
    """Write the report of a run; if that fails, the user gets a note and the run stays complete."""
    with optional_work("the report", steps):
        contents: DatasetData | ReportData
        if result.nested is None:
            contents = DatasetData(name=recipe.name, **_data_fields(result.prepared))
        else:
            scorecard = _scorecard(result, result.nested, recipe)
            contents = _report_data(result, result.nested, scorecard, recipe, steps=steps, runtime=runtime)
        write_report(folder.path("report.html"), contents)


def _scorecard(result: RunResult, nested: NestedScore, recipe: Recipe) -> Scorecard:
    return replace(_with_step_effects(result, nested, recipe), subsets=_subset_scores(result, nested, recipe))


def write_audit(prepared: PreparedData, folder: RunFolder) -> None:
    """Write the audit of prepared data into the run's folder `audit`."""
    write_table(prepared.statistics.frame, folder.path("audit/statistics.parquet"))
    for name in ("clusters", "duplicate_pairs", "conflicts", "image_problems", "label_cooccurrence"):
        write_table(getattr(prepared.audit, name), folder.path(f"audit/{name}.parquet"))
    if prepared.folds.train_test_similarity.height:
        write_table(prepared.folds.train_test_similarity, folder.path("audit/train_test_similarity.parquet"))
        write_table(prepared.folds.train_test_features, folder.path("audit/train_test_features.parquet"))
    folder.write_json("audit/warnings.json", list(prepared.warnings))


def write_audit_page(prepared: PreparedData, folder: RunFolder, name: str) -> None:
    """Write the data report of a run in which nothing was trained."""
    write_report(folder.path("audit/report.html"), DatasetData(name=name, **_data_fields(prepared)))


def _data_fields(prepared: PreparedData) -> dict[str, Any]:
    images, folds = prepared.images, prepared.folds
    scored = np.flatnonzero((folds.fold_of_sample >= 0) & (images.samples.frame["role"] == "train").to_numpy())
    fold, truth = folds.fold_of_sample[scored], images.samples.label_matrix(scored)
    return {
        "classes": images.classes,
        "audit": prepared.audit,
        "folds": folds,
        "warnings": prepared.warnings,
        "channels": images.channels,
        "fold_counts": np.stack([truth.rows(fold == number).counts() for number in range(folds.count)]),
        "pairs": duplicate_pairs(prepared),
        "statistics": prepared.statistics.frame.with_columns(images.frame["role"]),
    }


def _with_step_effects(result: RunResult, nested: NestedScore, recipe: Recipe) -> Scorecard:
    """Add the effect of each step to the scorecard: models, ensemble, calibration, decision."""
    fitted = result.postprocessing
    kind = fitted.decision.kind
    steps: list[Step] = []
    against: list[Against] = []
    for model, oof in zip(result.models, result.oof, strict=True):
        first_view = result.model_scores.first_view.get(model.name)
        if first_view is not None:
            steps.append((f"{model.name}, one view", default_labels(first_view.logits, kind), first_view.logits))
            against.append("nothing")
        name = model.name if first_view is None else f"{model.name}, all views"
        steps.append((name, default_labels(oof.logits, kind), oof.logits))
        against.append("nothing" if first_view is None else "before")
    if len(result.models) > 1 or fitted.ensemble.kind == "stack":
        ensemble_logits = nested.steps[0]
        steps.append(
            (f"{fitted.ensemble.kind} of {len(result.models)}", default_labels(ensemble_logits, kind), ensemble_logits)
        )
        against.append("best")
    if fitted.calibration.method is not None:
        steps.append((f"calibration: {fitted.calibration.method}", default_labels(nested.logits, kind), nested.logits))
    if not same_labels(steps[-1][1], nested.decided):
        steps.append((f"decision: {fitted.decision.rule}", nested.decided, nested.logits))
    groups = result.prepared.folds.groups_of(nested.samples)
    effects = step_effects(steps, nested.truth, kind, groups, recipe.metric, recipe.seed, against=against)
    return replace(nested.scorecard, steps=effects)


def _subset_scores(result: RunResult, nested: NestedScore, recipe: Recipe) -> dict[str, dict[str, Metric]]:
    """Scores of samples without duplicates, of the external validation set, and by the labels before a review."""
    prepared = result.prepared
    samples, kind = prepared.images.samples, prepared.images.kind
    scored = ScoredSamples(nested.truth, nested.decided, nested.logits, kind)
    repeated = np.isin(nested.samples, prepared.images.sample_numbers[prepared.audit.clusters["row"].to_numpy()])
    groups = prepared.folds.groups_of(nested.samples)
    subsets = {"without duplicates": score_excluding(repeated, scored, groups, recipe.metric, recipe.seed)}
    if result.validation is not None:
        validation_samples, logits = result.validation.samples, result.validation.logits
        validation = ScoredSamples(
            samples.truth(validation_samples), result.postprocessing.chain.steps[-1](result.validation), logits, kind
        )
        subsets["external like test"] = score_subset(
            validation, prepared.folds.groups_of(validation_samples), recipe.metric, recipe.seed
        )
    if result.review is not None:
        subsets["labels before the review"] = result.review.before
    return {name: metrics for name, metrics in subsets.items() if metrics}


def _write_tables(result: RunResult, folder: RunFolder) -> None:
    prepared = result.prepared
    write_table(prepared.folds.frame, folder.path("folds.parquet"))
    write_table(pl.DataFrame({"name": list(prepared.images.classes)}), folder.path("classes.csv"))
    write_audit(prepared, folder)
    write_table(result.label_errors, folder.path("audit/label_errors.parquet"))
    if result.review is not None:
        folder.write_json("audit/review.json", asdict(result.review))


def _write_models(result: RunResult, folder: RunFolder) -> None:
    pairs = [] if result.nested is None else model_pairs(result, result.nested)
    if pairs:
        write_table(pl.DataFrame(pairs), folder.path("models/diversity.csv"))
    for number, model in enumerate(result.models):
        model_folder = f"models/{model.name}"
        for subfolder, network in model.folders().items():
            folder.copy_artifact(f"{model_folder}/{subfolder}", network)
        if model.nearest.height:
            write_table(model.nearest, folder.path(f"{model_folder}/nearest.parquet"))
        if result.oof:
            oof = result.oof[number]
            write_scores(folder.path(f"{model_folder}/oof.parquet"), _sample_ids(result, oof.samples), oof.logits)
        if result.test:
            test = result.test[number]
            write_scores(folder.path(f"{model_folder}/test.parquet"), _sample_ids(result, test.samples), test.logits)


def _report_data(
    result: RunResult, nested: NestedScore, scorecard: Scorecard, recipe: Recipe, *, steps: Steps, runtime: Runtime
) -> ReportData:
    prepared, recipe_text = result.prepared, dump_recipe(recipe, steps.log.path.parent)
    has_images = prepared.images.has_files
    context = TrainingContext(prepared, recipe.seed, steps, runtime, recipe.data.cache)
    counts = confusion_counts(nested.truth, nested.decided, prepared.images.kind)
    return ReportData(
        name=recipe.name,
        metric=recipe.metric,
        kind=prepared.images.kind,
        scorecard=scorecard,
        counts=counts,
        histories={name: read_parquet(path) for name, path in histories(result.models).items()},
        mistakes=mistakes(result, nested) if has_images else [],
        samples=example_images(result, nested) if has_images else [],
        recipe=recipe_text,
        facts=_environment_facts(steps, runtime),
        finders=finder_curves(result.models),
        provenance=describe_run(steps, recipe_text, prepared.digests, result.models),
        label_errors=label_error_examples(result, nested) if has_images else (),
        label_error_count=int(result.label_errors["suspect"].sum()) if has_images else None,
        reliability=calibration_table(nested.truth, nested.logits, prepared.images.kind),
        ensemble=ensemble_summary(result, nested),
        curves=class_curves(nested, result.postprocessing.decision),
        links=class_graph_data(nested, counts, prepared.images.kind),
        pictures=_picture_data(result, nested, recipe, context) if has_images else None,
        review=None if result.review is None else review_effect_data(result.review, recipe.metric),
        **_data_fields(prepared),
    )


def _picture_data(
    result: RunResult, nested: NestedScore, recipe: Recipe, context: TrainingContext
) -> PictureData | None:
    """Report pictures; None if they fail."""
    with optional_work("the pictures of the report", context.steps):
        return pictures_of(result, nested, recipe.report, recipe.models, context)
    return None


def _sample_ids(result: RunResult, samples: Integers) -> pl.Series:
    return result.prepared.images.samples.frame["sample"].gather(samples)


def _environment_facts(steps: Steps, runtime: Runtime) -> dict[str, str]:
    facts = {name: version_of(name) or "not installed as a package" for name in REPORTED_PACKAGES}
    facts["Python"] = platform.python_version()
    threads = pluralize(runtime.thread_count, "thread")
    facts["machine"] = f"{platform.system()} {platform.machine()}, {threads}, device {runtime.device}"
    return facts | steps.facts
