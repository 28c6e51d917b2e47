"""Training and prediction of a model, fold by fold, both cached."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from holotype.core.errors import RecipeError, join_names
from holotype.core.table_files import read_parquet
from holotype.loading import ImageDataset, make_dataset
from holotype.pipeline.models.knn import FoldKnn, find_neighbors, knn_model, vote_neighbors
from holotype.pipeline.models.labels import model_classes, model_labels
from holotype.pipeline.models.model_pixels import cached_pixels
from holotype.pipeline.models.networks import TrainedNetwork, predict_rows
from holotype.pipeline.models.predictions import ModelPredictions, replace_by_domain
from holotype.pipeline.models.pseudo_labeling import train_with_pseudo_labels
from holotype.pipeline.models.specialists import domains_with_specialists, train_specialists
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import ModelSpec
from holotype.training import ALL_ROWS, FitJob, plan_fit, refit_model
from holotype.types import Folds, ImageTable, Integers, Predictions

RowPredictions = dict[str, list[Predictions]]


@dataclass(frozen=True)
class FoldModels:
    """Networks of one fold and their predictions by part (`oof`, `test`, `validation`)."""

    overall: TrainedNetwork
    predictions: RowPredictions
    specialists: list[tuple[TrainedNetwork, RowPredictions]]
    knn: FoldKnn | None = None


def train_and_predict(model: ModelSpec, context: TrainingContext) -> list[ModelPredictions]:
    """Train a model on every fold and predict the held-out fold and the test rows.

    Args:
        model: From `resolve_model`.

    Returns:
        The model, and its neighbors as a second one.

    Raises:
        RecipeError: Its initial weights have seen the scored fold, or one of its classes does not exist.
    """
    data, normalization = context.data, context.data.statistics.normalization
    _require_same_folds(model.weights, data.images, data.folds)
    classes = model_classes(model, data.images)
    _warn_missing_specialists(model, context)
    dataset = _make_model_dataset(model, classes, context)
    jobs = [plan_fit(data.images, data.folds, fold, model, context.seed, normalization) for fold in data.folds.used]

    def fit_fold(job: FitJob) -> FoldModels:
        return _train_fold(job, dataset, context)

    trained_folds = context.steps.each(fit_fold, jobs)
    prediction_folds = trained_folds
    if context.final_model == "refit":
        final = model
        if not model.is_frozen:
            history_files = [fold_models.overall.network / "history.parquet" for fold_models in trained_folds]
            final = refit_model(model, [read_parquet(path) for path in history_files])
        full_job = plan_fit(data.images, data.folds, ALL_ROWS, final, context.seed, normalization)
        prediction_folds = [fit_fold(full_job)]
    predictions = [_collect_predictions(model, classes, trained_folds, prediction_folds)]
    if model.neighbors is not None:
        fold_knn, prediction_knn = (
            [fold_models.knn for fold_models in folds_of_models if fold_models.knn]
            for folds_of_models in (trained_folds, prediction_folds)
        )
        predictions.append(knn_model(model.name, fold_knn, prediction_knn, data.images, classes))
    return predictions


def _train_fold(job: FitJob, dataset: ImageDataset, context: TrainingContext) -> FoldModels:
    overall = train_with_pseudo_labels(job, dataset, context)
    parts = {"oof": job.validation_rows, **context.prediction_rows()}
    predictions, specialists, neighbors = context.steps.all_of(
        lambda: predict_rows(overall, parts, context),
        lambda: train_specialists(overall, parts, context),
        lambda: find_neighbors(overall, parts, context),
    )
    knn = None if neighbors is None else vote_neighbors(neighbors, overall.job, predictions, context.images.kind)
    return FoldModels(overall, predictions, specialists, knn)


def _collect_predictions(
    model: ModelSpec,
    classes: Integers | None,
    trained_folds: Sequence[FoldModels],
    prediction_folds: Sequence[FoldModels],
) -> ModelPredictions:
    """Collect the predictions of all folds; `prediction_folds` predict test and validation rows."""
    networks = list(trained_folds) if prediction_folds is trained_folds else [*trained_folds, *prediction_folds]
    overall = {"oof": trained_folds, "test": prediction_folds, "validation": prediction_folds}
    overall_predictions = {
        name: [prediction for fold_models in folds for prediction in fold_models.predictions[name]]
        for name, folds in overall.items()
    }
    result = ModelPredictions(
        model.name,
        overall_predictions["oof"],
        overall_predictions["test"],
        [fold_models.overall.network for fold_models in networks],
        overall_predictions["validation"],
        model.predict.pools,
        [specialist.network for fold_models in networks for specialist, _ in fold_models.specialists],
        None,
        classes,
    )
    if model.specialists is None or not result.specialists:
        return result
    specialist_predictions = {
        name: [
            prediction
            for fold_models in folds
            for prediction in replace_by_domain(
                fold_models.predictions[name], [specialist[name] for _, specialist in fold_models.specialists]
            )
        ]
        for name, folds in overall.items()
    }
    replaced = ModelPredictions(
        model.name,
        specialist_predictions["oof"],
        specialist_predictions["test"],
        validation=specialist_predictions["validation"],
    )
    return replace(result, with_specialists=replaced)


def _make_model_dataset(model: ModelSpec, classes: Integers | None, context: TrainingContext) -> ImageDataset:
    images, statistics = context.images, context.data.statistics
    truth = images.samples.label_matrix(images.sample_numbers)
    pixel_cache = cached_pixels(model, context)
    return make_dataset(
        model, pixel_cache, images, statistics, statistics.normalization, model_labels(truth, classes, images.kind)
    )


def _warn_missing_specialists(model: ModelSpec, context: TrainingContext) -> None:
    if model.specialists is None:
        return
    enough, too_small = domains_with_specialists(context.images, context.data.folds, model.specialists.min_samples)
    if too_small:
        subject = f"{join_names(too_small)} have" if len(too_small) > 1 else f"{too_small[0]} has"
        context.runtime.progress.info(
            f"note: {model.name}: {subject} fewer than {model.specialists.min_samples} training samples in a fold; the "
            f"overall network predicts {'them' if len(too_small) > 1 else 'it'}"
        )
    if not enough:
        context.runtime.progress.info(f"note: {model.name}: no domain has enough samples for a specialist")


def _require_same_folds(weights: str, images: ImageTable, folds: Folds) -> None:
    """Refuse initial weights of another run with other folds, because they have seen samples that would be scored."""
    if not weights.startswith("run:") or "/fold" in weights.rpartition("#")[2]:
        return
    run = Path(weights.removeprefix("run:").partition("#")[0])
    fold_of_name = dict(read_parquet(run / "folds.parquet").select("sample", "fold").iter_rows())
    sample_names = images.samples.frame["sample"].to_list()
    scored = images.samples.of_role("train")
    moved = [
        sample_names[number]
        for number in scored
        if fold_of_name.get(sample_names[number]) not in {None, folds.fold_of_sample[number]}
    ]
    if moved:
        raise RecipeError(
            f"{len(moved):,} samples are in another fold than in {str(run)!r}, so its networks have seen samples "
            f"that they would be scored on: {join_names(moved, 5)}",
            field="models.weights",
            remedy="give both runs the same data, groups, `split` and `seed`, or name one network: #model/fold0",
        )


def histories(models: Sequence[ModelPredictions]) -> dict[str, Path]:
    """Training histories by `model/fold<k>`."""
    paths: dict[str, Path] = {}
    for model in models:
        for network in [*model.networks, *model.specialists]:
            card = json.loads((network / "card.json").read_text(encoding="utf-8"))
            name = "all rows" if card["fold"] == ALL_ROWS else f"fold{card['fold']}"
            domain = "" if card["domain"] is None else f", {card['domain']}"
            if (network / "history.parquet").is_file():  # frozen backbones have none
                paths[f"{model.name}/{name}{domain}"] = network / "history.parquet"
    return paths
