"""Postprocessing fitted to out-of-fold scores: ensemble, calibration, decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from holotype.core.errors import DataError, RecipeError, join_names
from holotype.core.runtime import Runtime
from holotype.data import class_frequencies, image_features, read_table
from holotype.evaluation import FittedChain, NestedScore, PostprocessingStep, fit_chain
from holotype.pipeline.model_scores import AllModelScores
from holotype.pipeline.prepared import PreparedData
from holotype.postprocessing.decision import CalibrationStep, DecisionContext, DecisionStep, refit_prior
from holotype.postprocessing.ensemble import (
    EnsembleStep,
    FittedModelSelection,
    ModelSelection,
    ModelVariant,
    unfitted_ensemble,
)
from holotype.recipe.load import Recipe
from holotype.recipe.sections import AssignSpec, MeanSpec, PriorSpec, WeightedSpec
from holotype.types import (
    AnyLabels,
    Calibration,
    Decision,
    Ensemble,
    Floats,
    Folds,
    ImageStatistics,
    ImageTable,
    Integers,
    OofPredictions,
    SampleFeatures,
    TestPredictions,
    as_scores,
)


@dataclass(frozen=True)
class Postprocessing:
    """Unfitted postprocessing steps of a recipe.

    Args:
        calibration: None leaves the scores as they are.
    """

    ensemble: ModelSelection
    calibration: CalibrationStep | None
    decision: DecisionStep

    @property
    def chain(self) -> list[PostprocessingStep]:
        """Postprocessing steps in the order in which they are fitted."""
        middle = [] if self.calibration is None else [self.calibration]
        return [self.ensemble, *middle, self.decision]  # type: ignore[list-item]


@dataclass(frozen=True)
class FittedPostprocessing:
    """Fitted postprocessing, and its scores and labels.

    Args:
        chain: The same steps, ready to be applied.
        oof: Out-of-fold scores, each from steps fitted without its fold.
        test: Scores of the test samples.
        decided: Labels of the test samples, shape (n, classes).
    """

    ensemble: Ensemble
    calibration: Calibration
    decision: Decision
    chain: FittedChain
    oof: OofPredictions | None = None
    test: TestPredictions | None = None
    decided: AnyLabels | None = None

    def read(self, models: Sequence[Any]) -> list[Any]:
        """Select each model's scores: its pooling, with or without its specialists.

        Args:
            models: One entry per model and pooling, in the order of `AllModelScores`.
        """
        scores: list[Any] = self.chain.steps[0].select(models)  # type: ignore[attr-defined]
        return scores

    def scores_of(self, models: Sequence[TestPredictions]) -> TestPredictions:
        """Combine and calibrate the scores of other samples.

        Args:
            models: Scores of the same samples, one entry per model and pooling.
        """
        return replace(models[0], logits=as_scores(self.chain.apply(models)[-2]))


def make_postprocessing(
    recipe: Recipe, prepared: PreparedData, runtime: Runtime, model_scores: AllModelScores
) -> Postprocessing:
    """Make the postprocessing steps of a recipe.

    Args:
        runtime: Threads, and where a stack caches its finished classes.

    Raises:
        InputError: A table that a section names does not fit.
    """
    images, folds = prepared.images, prepared.folds
    features = sample_features(images, prepared.statistics, folds.independent_groups)
    names = tuple(model.name for model in model_scores.models)
    default_spec = WeightedSpec(kind="weighted") if model_scores.oof and len(names) > 1 else MeanSpec()
    ensemble = EnsembleStep(
        recipe.ensemble or default_spec,
        names,
        images.kind,
        recipe.metric,
        features,
        seed=recipe.seed,
        threads=runtime.thread_count,
        cache_dir=runtime.store / "stack",
    )
    calibration = (
        None if recipe.calibration is None else CalibrationStep(recipe.calibration, images.kind, ranks=images.ranks)
    )
    context = DecisionContext(images.classes, images.kind, recipe.metric, recipe.seed, features.groups)
    if isinstance(recipe.decision, AssignSpec):
        section = recipe.decision
        plates = _group_codes(images, section.unique_class_per, "unique_class_per")
        set_column = section.unique_set_per
        set_plates = None if set_column is None else _group_codes(images, set_column, "unique_set_per")
        context = replace(context, plate=plates, class_sets=_read_class_sets(images, section), set_group=set_plates)
    if isinstance(recipe.decision, PriorSpec):
        context = replace(context, unscored=_count_unscored_labels(images, folds))
    if isinstance(recipe.decision, PriorSpec) and recipe.decision.class_frequencies_from is not None:
        context = replace(
            context,
            class_priors=tuple(class_frequencies(recipe.data, recipe.decision.class_frequencies_from, images.classes)),
        )
    selection = ModelSelection(ensemble, tuple(model_scores.pools), tuple(model_scores.has_specialists))
    return Postprocessing(selection, calibration, DecisionStep(recipe.decision, context))


def fit_postprocessing(
    postprocessing: Postprocessing,
    oof: Sequence[OofPredictions],
    test: Sequence[TestPredictions],
    nested: NestedScore | None,
    images: ImageTable,
) -> FittedPostprocessing:
    """Fit every step to all out-of-fold scores, then decide the test samples.

    Args:
        oof: Out-of-fold scores, one entry per model and pooling; empty if nothing can be fitted.
        test: Test scores in the same order; empty without a test table.
        nested: Nested score; its logits are the cross-fitted out-of-fold scores.
    """
    if oof and nested is not None:
        units = (
            postprocessing.ensemble.ensemble_step.sample_features.groups[oof[0].samples]
            if postprocessing.ensemble.ensemble_step.sample_features
            else np.arange(len(nested.truth))
        )
        seed = postprocessing.decision.context.seed
        chain = fit_chain(postprocessing.chain, oof, nested.truth, oof[0].folds, units, seed)
    else:
        chain = FittedChain(_steps_without_oof(postprocessing, images))
    steps = list(chain.steps)
    ensemble, decision = steps[0].ensemble, steps[-1].decision  # type: ignore[attr-defined]
    calibration = steps[1].calibration if len(steps) > 2 else Calibration()  # type: ignore[attr-defined]
    oof_scores = None if nested is None else replace(oof[0], logits=nested.logits)
    fitted = FittedPostprocessing(ensemble, calibration, decision, chain, oof_scores)
    if not test:
        return fitted
    outputs = chain.apply(test)
    test_scores = replace(test[0], logits=as_scores(outputs[-2]))
    return replace(fitted, decision=refit_prior(decision, test_scores.logits), test=test_scores, decided=outputs[-1])


def sample_features(
    images: ImageTable, statistics: ImageStatistics, component: Integers | None = None
) -> SampleFeatures:
    """Sample features for a stack: image statistics averaged per sample, domain and independent group.

    Args:
        component: Group id of each sample; samples with the same id are not independent. None makes every sample a
            group.
    """
    names, table = image_features(statistics.frame)
    count = len(images.samples)
    finite = np.isfinite(table)
    sums, finite_counts = np.zeros((count, len(names))), np.zeros((count, len(names)))
    np.add.at(sums, images.sample_numbers, np.where(finite, table, 0))
    np.add.at(finite_counts, images.sample_numbers, finite)
    features: Floats = np.where(finite_counts > 0, sums / np.maximum(finite_counts, 1), np.nan).astype(np.float32)
    units = np.arange(count) if component is None or not len(component) else component
    return SampleFeatures(tuple(names), features, tuple(images.samples.frame["domain"].to_list()), units)


def _steps_without_oof(postprocessing: Postprocessing, images: ImageTable) -> tuple:  # type: ignore[type-arg]
    """Fitted steps without out-of-fold scores: only steps that need no fitting."""
    truth = images.samples.label_matrix(images.samples.of_role("train"))
    context = postprocessing.decision.context
    if context.class_priors is None:
        context = replace(context, class_priors=tuple((truth.counts() / max(len(truth), 1)).tolist()))
    if postprocessing.calibration is not None:
        raise RecipeError(
            "a calibration needs out-of-fold scores, and there are none",
            field="calibration",
            remedy="give `predictions.oof`, or write null",
        )
    decision = replace(postprocessing.decision, context=context).fit(None, None)
    if postprocessing.ensemble.learns:
        raise RecipeError(
            "a choice of pooling needs out-of-fold scores, and there are none",
            field="models.predict.pooling",
            remedy="name one pooling rule",
        )
    variants = tuple(ModelVariant(index, pools[0]) for index, pools in enumerate(postprocessing.ensemble.pools))
    return FittedModelSelection(unfitted_ensemble(postprocessing.ensemble.ensemble_step), variants), decision


def _count_unscored_labels(images: ImageTable, folds: Folds) -> tuple[Integers, int]:
    """Label counts of training samples in folds that are not trained, and the number of these samples."""
    training = np.setdiff1d(images.samples.of_role("train"), folds.left_out)
    labeled = images.samples.frame["labels"].gather(training).is_not_null().to_numpy()
    rest = training[labeled & ~np.isin(folds.fold_of_sample[training], folds.used)]
    return images.samples.label_matrix(rest).counts().astype(np.int64), len(rest)


def _group_codes(images: ImageTable, name: str, key: str) -> Integers:
    column = f"group.{name}"
    frame = images.samples.frame
    if column not in frame.columns:
        group_names = [name.removeprefix("group.") for name in frame.columns if name.startswith("group.")]
        raise RecipeError(
            "there is no such group column",
            field=f"decision.{key}",
            value=name,
            allowed=group_names,
            remedy="list it in data.groups",
        )
    return plate_codes(frame[column])


def plate_codes(column: pl.Series) -> Integers:
    """Plate codes: numbers from 0, and -1 for an unknown plate.

    Args:
        column: Plate name of each sample.
    """
    return np.asarray(column.rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1)


def _read_class_sets(images: ImageTable, spec: AssignSpec) -> tuple[tuple[int, ...], ...]:
    if spec.class_sets is None:
        return ()
    table = read_table(spec.class_sets, "decision.class_sets")
    lacking = [name for name in ("name", "set") if name not in table.columns]
    if lacking:
        raise DataError(
            f"there is no column {lacking[0]!r} in {spec.class_sets!r}",
            field="decision.class_sets",
            allowed=table.columns,
        )
    number = {name: index for index, name in enumerate(images.classes)}
    unknown = [name for name in table["name"] if name not in number]
    absent = sorted(set(images.classes) - set(table["name"]))
    if unknown or absent:
        what = (
            f"names unknown classes {join_names(unknown, 5)}" if unknown else f"does not name {join_names(absent, 5)}"
        )
        raise DataError(f"the table {spec.class_sets!r} {what}", field="decision.class_sets")
    by_set = table.group_by("set", maintain_order=True).agg(pl.col("name"))
    return tuple(tuple(number[name] for name in names) for names in by_set["name"])
