"""Prepare the data: read → measure → audit → apply the review → split into folds. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from holotype.cache import Steps
from holotype.core.runtime import Runtime
from holotype.data import folder_warnings, table_warnings
from holotype.pipeline.apply_review import apply_review_decisions
from holotype.pipeline.caveats import random_weight_warnings
from holotype.pipeline.data_steps import audit_table, make_fold_table, measure_table, read_table
from holotype.pipeline.earlier_folds import describe_kept_folds, is_stratified, scored_folds
from holotype.pipeline.imported_predictions import named_folds
from holotype.pipeline.models import TrainingContext, describe_tables, train_test_features
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.validate import class_count_notes, validate_with_data
from holotype.recipe.load import Recipe
from holotype.split import empty_folds, use_imported_folds
from holotype.types import AuditReport, Folds, ImageStatistics, ImageTable, Normalization


def prepare(recipe: Recipe, steps: Steps, runtime: Runtime, before: Mapping[str, int] | None = None) -> PreparedData:
    """Read, measure, audit and split the data: every error in them is found here, before any training.

    Args:
        before: From `read_earlier_folds`.

    Raises:
        DataError: The tables, images or labels are wrong.
    """
    table = read_table(steps, recipe.data)
    images = table.read(ImageTable)
    validate_with_data(recipe, images)
    measured = measure_table(steps, images, runtime)
    statistics = measured.read(ImageStatistics, {"normalization": Normalization})
    digests = {"images": table.digest, "statistics": measured.digest}
    audited = audit_table(steps, recipe.audit, digests, images, statistics)
    digests["audit"] = audited.digest
    data = PreparedData(images, statistics, audited.read(AuditReport), empty_folds(images), (), digests=digests)
    data = apply_review_decisions(recipe.data, recipe.audit, data)
    folds = _split(recipe, data, steps, runtime, before)
    warnings = folder_warnings(recipe.data) + table_warnings(images) + class_count_notes(len(images.classes))
    warnings += () if data.review is None else data.review.words + data.review.warnings
    warnings += (*random_weight_warnings(recipe), *data.audit.warnings, *folds.warnings)
    data = replace(data, folds=folds, warnings=warnings)
    notes = describe_tables(recipe.models, recipe.data, TrainingContext(data, recipe.seed, steps, runtime))
    return replace(data, warnings=(*warnings, *notes))


def _split(
    recipe: Recipe, data: PreparedData, steps: Steps, runtime: Runtime, before: Mapping[str, int] | None
) -> Folds:
    context = TrainingContext(data, recipe.seed, steps, runtime, recipe.data.cache)
    features = train_test_features(recipe.models, recipe.split, context) if recipe.split.like_test else None
    inputs = (data, recipe.split, recipe.seed, features)
    result = make_fold_table(steps, *inputs, before)
    folds, images = result.read(Folds), data.images
    if is_stratified(recipe):  # the next run into this folder keeps its folds
        steps.repeat(result.key, make_fold_table.key(*inputs, scored_folds(images, folds)))
        if before is not None:
            runtime.progress.info(describe_kept_folds(images, folds, before))
    scored = np.intersect1d(images.samples.of_role("train"), np.flatnonzero(folds.fold_of_sample >= 0))
    named = named_folds(recipe.models, images, scored)
    return folds if named is None else use_imported_folds(images, folds, scored, named, recipe.split)
