"""Report pictures besides the galleries: maps, heat maps, channels, uncertain samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holotype.evaluation import NestedScore
from holotype.pipeline.models import TrainingContext
from holotype.pipeline.report_curves import decision_thresholds
from holotype.pipeline.report_examples import confident_mistakes, downscaled_pixels, pixels_of_row, row_of_sample
from holotype.pipeline.report_explanations import (
    embed_first_fold,
    embedding_map_data,
    explain_samples,
    explained_model,
    first_layer,
    neighbors_of_mistakes,
)
from holotype.pipeline.run_result import RunResult
from holotype.postprocessing.decision import class_exemplars, decision_margin, label_names
from holotype.recipe.sections import ModelSpec, ReportSpec
from holotype.report import ExampleImage, ExplainedSample, PictureData, Uncertain
from holotype.types import Integers, LabelMatrix, take_rows

MAX_UNCERTAIN, MAX_EXAMPLES = 24, 48


def pictures_of(
    result: RunResult, nested: NestedScore, spec: ReportSpec, models: Sequence[ModelSpec], context: TrainingContext
) -> PictureData:
    """Collect the pictures that the report shows besides its galleries."""
    wrong, _ = confident_mistakes(result, nested)
    mistaken = nested.samples[wrong]
    views, uncertain = _channel_examples(result, nested, spec), _uncertain_samples(result, nested)
    explanation_model = explained_model(models, result.models, context)
    fold_map = (
        embed_first_fold(explanation_model, nested, spec.map, mistaken)
        if explanation_model is not None and spec.map
        else None
    )
    nearest_images, nearest_source = neighbors_of_mistakes(mistaken, fold_map, result)
    if explanation_model is None:
        return PictureData(
            views=views, uncertain=uncertain, nearest_images=nearest_images, nearest_source=nearest_source
        )
    explanations: tuple[ExplainedSample, ...] = ()
    reason = ""
    if spec.attributions:
        worst = wrong[: spec.attributions]
        best = np.asarray(class_exemplars(nested.truth, nested.decided, nested.logits, MAX_EXAMPLES), np.int64)
        right = best[~np.isin(best, worst)][: spec.attributions]
        positions, kinds = np.concatenate([worst, right]), [True] * len(worst) + [False] * len(right)
        explanations, reason = explain_samples(positions, kinds, explanation_model, result, nested)
    map_data = None if fold_map is None else embedding_map_data(fold_map, explanation_model, result, nested)
    return PictureData(
        explanations, reason, views, first_layer(explanation_model), uncertain, nearest_images, nearest_source, map_data
    )


def _channel_examples(result: RunResult, nested: NestedScore, spec: ReportSpec) -> tuple[ExampleImage, ...]:
    """Samples to show channel by channel: those of the recipe, or one of each of the most frequent classes."""
    images = result.prepared.images
    if images.channels is None or len(images.channels) < 2:
        return ()
    if isinstance(spec.channels, list):
        number = {str(name): index for index, name in enumerate(images.samples.frame["sample"].to_list())}
        samples = np.array([number[name] for name in spec.channels], np.int64)
    else:
        samples = _samples_of_common_classes(nested, spec.channels)
    prepared = result.prepared
    readable = np.setdiff1d(np.arange(len(images)), prepared.folds.unreadable)
    samples = samples[np.isin(samples, images.sample_numbers[readable])]
    names = images.samples.frame["sample"].cast(str)
    labels = label_names(images.samples.label_matrix(samples), images.classes)
    return tuple(
        ExampleImage(
            names[int(sample)], tuple(sample_labels), pixels_of_row(prepared, row_of_sample(prepared, int(sample)))
        )
        for sample, sample_labels in zip(samples, labels, strict=True)
    )


def _samples_of_common_classes(nested: NestedScore, count: int) -> Integers:
    truth = LabelMatrix.from_dense(nested.truth)
    best = np.asarray(class_exemplars(nested.truth, nested.decided, nested.logits, MAX_EXAMPLES), np.int64)
    sizes = truth.counts()
    commonest = [max(sizes[class_indices]) if class_indices else 0 for class_indices in truth.rows(best).lists()]
    top_positions = np.sort(np.argsort(-np.asarray(commonest), kind="stable")[:count])
    return nested.samples[best[top_positions]] if len(best) else np.empty(0, np.int64)


def _uncertain_samples(result: RunResult, nested: NestedScore) -> tuple[Uncertain, ...]:
    images, decision = result.prepared.images, result.postprocessing.decision
    thresholds = decision_thresholds(decision) or (0.5,) * len(images.classes)
    margin, classes, sure = decision_margin(nested.logits, images.kind, thresholds)
    positions = np.argsort(margin, kind="stable")[:MAX_UNCERTAIN]
    truths, decisions = (
        label_names(take_rows(part, positions), images.classes) for part in (nested.truth, nested.decided)
    )
    names, is_multilabel = images.samples.frame["sample"].cast(str), images.kind == "multilabel"
    return tuple(
        Uncertain(
            id=names[int(nested.samples[row])],
            fold=int(result.prepared.folds.fold_of_sample[nested.samples[row]]),
            truth=tuple(truth),
            decided=tuple(decided),
            options=tuple(
                (images.classes[number], float(value), thresholds[number] if is_multilabel else None)
                for number, value in zip(classes[row], sure[row], strict=True)
            ),
            pixels=downscaled_pixels(result.prepared, row_of_sample(result.prepared, int(nested.samples[row]))),
        )
        for row, truth, decided in zip(positions, truths, decisions, strict=True)
    )
