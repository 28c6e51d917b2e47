"""Model scores: predictions of every model, trained here or imported, sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from holotype.cache import Steps
from holotype.core.runtime import Runtime
from holotype.evaluation import gather_oof, gather_test
from holotype.pipeline.imported_predictions import read_aligned_scores
from holotype.pipeline.models import (
    ModelPredictions,
    TrainingContext,
    resolve_model,
    test_rows,
    train_and_predict,
    train_measured,
    validation_rows,
)
from holotype.pipeline.prepared import PreparedData
from holotype.postprocessing.ensemble import fill_missing_classes
from holotype.recipe.load import Recipe
from holotype.recipe.sections import PredictionsSpec
from holotype.types import ImageTable, Integers, OofPredictions, Predictions, TestPredictions, to_dense

Evidence = TypeVar("Evidence", OofPredictions, TestPredictions)


@dataclass(frozen=True)
class AllModelScores:
    """Scores of all models.

    Args:
        oof: Out-of-fold scores, model by model one entry per pooling, then the same with specialists; empty if a model
            has
            none.
        test: Test scores in the same order; empty without a test table.
        validation: Scores of the external validation set in the same order, if there is one.
        caveats: Sentences that belong beside the scores.
        pools: Pooling rules of each model.
        has_specialists: One flag per model: its scores come twice, the second time with specialists.
        first_view: Out-of-fold scores of the first view alone, by model, for models with several views.
    """

    models: list[ModelPredictions]
    oof: list[OofPredictions] = field(default_factory=list)
    test: list[TestPredictions] = field(default_factory=list)
    validation: list[TestPredictions] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    pools: list[tuple[str, ...]] = field(default_factory=list)
    has_specialists: list[bool] = field(default_factory=list)
    first_view: dict[str, OofPredictions] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelScores:
    """Scores of one model; see `AllModelScores`.

    Args:
        oof: Out-of-fold scores, one entry per pooling, then the same with specialists.
    """

    model: ModelPredictions
    oof: list[OofPredictions]
    test: list[TestPredictions]
    validation: list[TestPredictions] = field(default_factory=list)
    first_view: list[OofPredictions] = field(default_factory=list)
    caveats: tuple[str, ...] = ()


def train_models(recipe: Recipe, prepared: PreparedData, steps: Steps, runtime: Runtime) -> AllModelScores:
    """Train every model and predict with it, or import its predictions.

    Raises:
        DataError: A file of scores does not fit the table.
    """
    context = TrainingContext(prepared, recipe.seed, steps, runtime, recipe.data.cache, recipe.final_model)

    def score(number: int) -> list[ModelScores]:
        section = recipe.models[number]
        if section.predictions is not None:
            field_name = f"models.{number}.predictions"
            return [_import_predictions(section.name, section.predictions, field_name, prepared, runtime)]
        if section.measurements is not None:
            return [_score_model(train_measured(section, f"models.{number}", recipe.data, context), prepared, False)]
        trained = train_and_predict(resolve_model(section, prepared.statistics), context)
        several = section.predict.tta != "none"
        return [_score_model(model, prepared, several and model.name == section.name) for model in trained]

    scores = [entry for entries in steps.each(score, range(len(recipe.models))) for entry in entries]
    return _merge_models(complete_models(scores, prepared.images))


def _score_model(model: ModelPredictions, prepared: PreparedData, has_views: bool) -> ModelScores:
    images, folds = prepared.images, prepared.folds
    if model.classes is not None and model.oof:
        images = replace(images, classes=tuple(map(str, range(model.oof[0].logits.shape[1]))))  # any names
    parts = [model] if model.with_specialists is None else [model, model.with_specialists]

    def gather_each(
        entries_of_parts: list[list[Predictions]], gather: Callable[[list[Predictions], str], Evidence]
    ) -> list[Evidence]:
        if not any(len(entry.rows) for entries in entries_of_parts for entry in entries):
            return []  # no test or validation rows
        return [
            gather([entry for entry in entries if entry.pool == pool], pool)
            for entries in entries_of_parts
            for pool in model.pools
        ]

    def gather_new(entries_of_parts: list[list[Predictions]], rows: Integers) -> list[TestPredictions]:
        return gather_each(entries_of_parts, lambda predictions, pool: gather_test(predictions, images, rows, pool))

    oof = gather_each(
        [part.oof for part in parts], lambda predictions, pool: gather_oof(predictions, folds, images, pool)
    )
    test = gather_new([part.test for part in parts], test_rows(prepared))
    validation = gather_new([part.validation for part in parts], validation_rows(prepared))
    first_view = [entry for entry in model.oof if entry.pool == "first-view"] if has_views else []
    return ModelScores(model, oof, test, validation, [gather_oof(first_view, folds, images)] if first_view else [])


def complete_models(model_scores: Sequence[ModelScores], images: ImageTable) -> list[ModelScores]:
    """Fill in the missing classes of models that predict some of them, from the other models."""
    completed = []
    for scores in model_scores:
        others = [other for other in model_scores if other.model.name != scores.model.name]
        classes = scores.model.classes
        completed.append(scores if classes is None else _complete_model(scores, classes, others, images))
    return completed


def _complete_model(
    scores: ModelScores, served: Integers, others: Sequence[ModelScores], images: ImageTable
) -> ModelScores:
    def fill(entries: list[Evidence], first_of_others: list[Evidence | None]) -> list[Evidence]:
        return [_fill_classes(entry, served, others, first_of_others, images) for entry in entries]

    oof_of_others = [_first(other.oof) for other in others]
    return replace(
        scores,
        oof=fill(scores.oof, oof_of_others),
        test=fill(scores.test, [_first(other.test) for other in others]),
        validation=fill(scores.validation, [_first(other.validation) for other in others]),
        first_view=fill(scores.first_view, oof_of_others),
    )


def _first(entries: Sequence[Evidence]) -> Evidence | None:
    return entries[0] if entries else None


def _fill_classes(
    entry: Evidence,
    served: Integers,
    others: Sequence[ModelScores],
    first_of_others: Sequence[Evidence | None],
    images: ImageTable,
) -> Evidence:
    what = "a model of some of the classes"
    pairs = zip(first_of_others, others, strict=True)
    scores_of_others = [
        (to_dense(first.logits, what), other.model.classes) for first, other in pairs if first is not None
    ]
    logits = to_dense(entry.logits, what)
    return replace(
        entry, logits=fill_missing_classes(logits, served, scores_of_others, len(images.classes), images.kind)
    )


def _merge_models(model_scores: Sequence[ModelScores]) -> AllModelScores:
    """Concatenate the scores of all models; empty if a model has none."""
    counts = [len(scores.model.pools) * (1 if scores.model.with_specialists is None else 2) for scores in model_scores]

    def merge_if_complete(parts: list[list[Evidence]]) -> list[Evidence]:
        complete = all(len(part) == count for part, count in zip(parts, counts, strict=True))
        return [entry for part in parts for entry in part] if complete else []

    return AllModelScores(
        [scores.model for scores in model_scores],
        merge_if_complete([scores.oof for scores in model_scores]),
        merge_if_complete([scores.test for scores in model_scores]),
        merge_if_complete([scores.validation for scores in model_scores]),
        [caveat for scores in model_scores for caveat in scores.caveats],
        [scores.model.pools for scores in model_scores],
        [scores.model.with_specialists is not None for scores in model_scores],
        {scores.model.name: scores.first_view[0] for scores in model_scores if scores.first_view},
    )


def _import_predictions(
    name: str, spec: PredictionsSpec, field_name: str, prepared: PreparedData, runtime: Runtime
) -> ModelScores:
    images, folds = prepared.images, prepared.folds
    remarks: tuple[str, ...] = ()
    scores = ModelScores(ModelPredictions(name), [], [])
    if spec.oof is not None:
        used = np.flatnonzero(np.isin(folds.fold_of_sample, folds.used))
        scored = np.intersect1d(images.samples.of_role("train"), used)
        imported = read_aligned_scores(spec, spec.oof, images, "train", scored, f"{field_name}.oof")
        fold_numbers = folds.fold_of_sample[imported.samples].astype(np.int64)
        scores.oof.append(OofPredictions(imported.samples, imported.logits, fold_numbers))
        if imported.folds is None or not _is_same_partition(imported.folds, fold_numbers):
            which = "do not name their folds" if imported.folds is None else "have other folds than the run"
            scores = replace(scores, caveats=(f"the scores of {name} are declared as out of fold, but they {which}",))
        remarks += imported.remarks
    if spec.test is not None:
        imported = read_aligned_scores(
            spec, spec.test, images, "test", images.samples.of_role("test"), f"{field_name}.test"
        )
        scores.test.append(TestPredictions(imported.samples, imported.logits))
        remarks += imported.remarks
    for remark in remarks:
        runtime.progress.info(f"note: {remark}")
    return scores


def _is_same_partition(theirs: Sequence[str] | NDArray[np.str_], ours: Integers) -> bool:
    """Tell if two splits are the same except for the names of folds."""
    pairs = {(str(their_fold), int(our_fold)) for their_fold, our_fold in zip(theirs, ours, strict=True)}
    return len(pairs) == len({their_fold for their_fold, _ in pairs}) == len({our_fold for _, our_fold in pairs})
