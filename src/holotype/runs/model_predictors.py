"""Predictors of a finished run's models: networks, specialists, neighbors, missing classes filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from holotype.core.run_folder import RunFolder
from holotype.evaluation import gather_test
from holotype.neighbors import ExactIndex, FaissIndex, IndexedImages, load_index, make_index, merge_neighbors
from holotype.pipeline.model_scores import ModelScores, complete_models
from holotype.pipeline.models import ModelPredictions, knn_scores, model_classes
from holotype.recipe.load import Recipe
from holotype.recipe.sections import ModelSpec, NeighborsSpec
from holotype.runs.measurement_predictor import MeasurementPredictor
from holotype.runs.new_dataset import NewImages, dataset_for
from holotype.runs.stored import open_network
from holotype.types import Checkpoint, Ensemble, ImageTable, Integers, Predictions, TestPredictions, replace_rows

Nearest = list[list[tuple[str, float]]]
"""Ids and similarities of each sample's nearest training images, nearest first."""


@dataclass(frozen=True)
class ModelPredictor:
    """Predictor of one model. `indexes`: folders of its neighbor indexes, one per network; empty without neighbors."""

    section: ModelSpec
    pool: str
    routes: tuple[str, ...]
    networks: tuple[Checkpoint, ...]
    specialists: tuple[Checkpoint, ...] = ()
    indexes: tuple[Path, ...] = ()
    in_memory: bool = False

    @cached_property
    def _searches(self) -> list[tuple[IndexedImages, ExactIndex | FaissIndex]]:
        return [self._load(folder) for folder in self.indexes]

    def search(self, number: int) -> tuple[IndexedImages, ExactIndex | FaissIndex]:
        """Indexed images of one network, and the search over them."""
        return self._searches[number] if self.in_memory else self._load(self.indexes[number])

    def _load(self, folder: Path) -> tuple[IndexedImages, ExactIndex | FaissIndex]:
        collection = load_index(folder)
        return collection, make_index(collection.embeddings, (self.section.neighbors or NeighborsSpec()).index)


def load_models(
    recipe: Recipe,
    folder: RunFolder,
    ensemble: Ensemble,
    classes: Sequence[str],
    in_memory: bool,
    measurements: Mapping[str, str] | None = None,
) -> tuple[ModelPredictor | MeasurementPredictor, ...]:
    """Load the models of a finished run and check their cards.

    `in_memory`: read weights and indexes now and keep them, instead of at each use; `measurements`: tables of new
    measurements, by name of the model.
    """
    predictors: list[ModelPredictor | MeasurementPredictor] = []
    for number, section in enumerate(recipe.models):
        if section.measurements is not None:
            folders, table = tuple(folder.checkpoints(section.name)), (measurements or {}).get(section.name)
            predictors.append(MeasurementPredictor(section, recipe.data, f"models.{number}", folders, table))
            continue
        index = ensemble.models.index(section.name)
        routes = ensemble.specialist_domains[index] if ensemble.specialist_domains else ()
        networks = [open_network(path, classes, in_memory) for path in folder.checkpoints(section.name)]
        special = (
            [open_network(path, classes, in_memory) for path in folder.specialists(section.name)] if routes else []
        )
        indexes = folder.checkpoints(f"{section.name}.neighbors") if section.neighbors else []
        predictors.append(
            ModelPredictor(
                section, ensemble.pools[index], routes, tuple(networks), tuple(special), tuple(indexes), in_memory
            )
        )
    return tuple(predictors)


def predict_models(
    predictors: Sequence[ModelPredictor | MeasurementPredictor], new: NewImages
) -> tuple[list[TestPredictions], Nearest]:
    """Predict new images with each model of a run.

    Returns:
        One entry per model, and the nearest training images by the first model with neighbors; empty if there is none.
    """
    models: list[ModelScores] = []
    nearest: Nearest = []
    for predictor in predictors:
        name, classes = predictor.section.name, model_classes(predictor.section, new.images)
        if isinstance(predictor, MeasurementPredictor):
            models.append(ModelScores(ModelPredictions(name, classes=classes), [], [predictor.predict(new)]))
            continue
        models.append(ModelScores(ModelPredictions(name, classes=classes), [], [predict_model(predictor, new)]))
        if predictor.indexes:
            scores, named = _predict_neighbors(predictor, new)
            nearest = nearest or named
            models.append(ModelScores(ModelPredictions(f"{name}.neighbors", classes=classes), [], [scores]))
    return [model.test[0] for model in complete_models(models, new.images)], nearest


def predict_model(predictor: ModelPredictor, new: NewImages) -> TestPredictions:
    """Predict new images with one model, and with its specialists in their domains.

    Returns scores of its own classes, shape (samples, classes).
    """
    rows = np.arange(len(new.images))
    fold_predictions = _predict_folds(predictor, rows, new)
    folds = {network.fold: fold_index for fold_index, network in enumerate(predictor.networks)}
    domain = new.images.frame["domain"].fill_null("").to_numpy()
    for special in predictor.specialists:
        domain_rows = np.flatnonzero(domain == special.card["domain"])
        fold_index = folds.get(special.fold)  # None with a refitted network
        if fold_index is not None and special.card["domain"] in predictor.routes and len(domain_rows):
            logits = _predict_rows(special, predictor.section, domain_rows, predictor.pool, new).logits
            fold_predictions[fold_index] = replace(
                fold_predictions[fold_index],
                logits=replace_rows(fold_predictions[fold_index].logits, domain_rows, logits),
            )
    return gather_test(fold_predictions, _with_own_classes(new.images, fold_predictions[0]), rows, predictor.pool)


def _predict_neighbors(predictor: ModelPredictor, new: NewImages) -> tuple[TestPredictions, Nearest]:
    from holotype.prediction import embed_with_network
    from holotype.training import find_device

    section = predictor.section
    spec = section.neighbors or NeighborsSpec()
    rows = np.arange(len(new.images))
    predictions, named = [], []
    for number, network in enumerate(predictor.networks):
        collection, search = predictor.search(number)
        device = find_device(new.runtime)
        queries = embed_with_network(network, dataset_for(network.card, new), rows, new.runtime, device)
        near = search.search(queries, spec.k)
        part = (
            None
            if spec.override_similarity is None
            else _predict_rows(network, section, rows, section.predict.pools[0], new).logits
        )
        logits = knn_scores(near, collection, new.images.kind, spec, part)
        predictions.append(Predictions(f"{section.name}.neighbors", network.fold, rows, logits))
        named.append((near, collection.images["row"].to_numpy(), collection.images["id"]))
    scores = gather_test(predictions, _with_own_classes(new.images, predictions[0]), rows, "mean-logit")
    ids = {int(row): str(name) for _, keys, names in named for row, name in zip(keys, names, strict=True)}
    pooled = merge_neighbors([near for near, _, _ in named], [keys for _, keys, _ in named])
    first = new.images.samples.first_rows
    pairs = zip(pooled.rows[first].tolist(), pooled.similarity[first].tolist(), strict=True)
    return scores, [[(ids[row], like) for row, like in zip(*part, strict=True) if row >= 0] for part in pairs]


def _with_own_classes(images: ImageTable, predictions: Predictions) -> ImageTable:
    return replace(images, classes=tuple(map(str, range(predictions.logits.shape[1]))))


def _predict_folds(predictor: ModelPredictor, rows: Integers, new: NewImages) -> list[Predictions]:
    """Predictions of all networks of a model; a frozen backbone, the same in all of them, reads the images once."""
    section, networks = predictor.section, predictor.networks
    if not section.is_frozen:
        return [_predict_rows(network, section, rows, predictor.pool, new) for network in networks]
    from holotype.prediction import embed_checkpoint_views, infer_features
    from holotype.training import find_device

    views = section.predict.model_copy(update={"pooling": predictor.pool})
    dataset, device = dataset_for(networks[0].card, new), find_device(new.runtime)
    features = embed_checkpoint_views(networks[0], views, dataset, rows, new.runtime, device)
    return [infer_features(network, features, rows, views)[0] for network in networks]


def _predict_rows(network: Checkpoint, section: ModelSpec, rows: Integers, pool: str, new: NewImages) -> Predictions:
    from holotype.prediction import infer
    from holotype.training import find_device

    dataset = dataset_for(network.card, new)
    view_spec = section.predict.model_copy(update={"pooling": pool})
    return infer(network, dataset, rows, view_spec, new.runtime, find_device(new.runtime))[0]
