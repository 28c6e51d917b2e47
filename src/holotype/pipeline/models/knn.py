"""k-nearest neighbors (kNN) on the embeddings of each fold's network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.cache import StepKey
from holotype.core.errors import pluralize
from holotype.loading import ImageDataset
from holotype.neighbors import (
    IndexedImages,
    Neighbors,
    fit_temperature,
    load_index,
    make_index,
    merge_neighbors,
    neighbor_logits,
    override_scores,
    require_no_scored_fold,
    save_index,
)
from holotype.networks import open_checkpoint
from holotype.pipeline.cache_keys import index_key, neighbors_key
from holotype.pipeline.models.networks import TrainedNetwork
from holotype.pipeline.models.predictions import NEAREST_SCHEMA, ModelPredictions
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import NeighborsSpec
from holotype.split import duplicate_components
from holotype.types import (
    MANY_CLASSES,
    AnyScores,
    Floats,
    ImageTable,
    Integers,
    Kind,
    LabelMatrix,
    Predictions,
    concatenate,
    keep_top_k,
)

__all__ = ["FoldKnn", "find_neighbors", "knn_model", "knn_scores"]

TieGroups = tuple[Integers, Integers] | None
TEMPERATURE_SCORES = 20_000_000  # rows times classes used to fit the temperature
ROWS_PER_VOTE = 1024  # rows whose dense scores are in memory


@dataclass(frozen=True)
class FoldKnn:
    """Nearest neighbors by one fold's network.

    Args:
        folder: Holds the index.
        keys: Image rows in the index, shape (m,).
        neighbors: By part (`oof`, `test`, `validation`): query rows, and their neighbors among the keys.
        predictions: By part: the scores.
    """

    folder: Path
    keys: Integers
    neighbors: dict[str, tuple[Integers, Neighbors]]
    predictions: dict[str, Predictions]


def find_neighbors(
    overall: TrainedNetwork,
    predictions: Mapping[str, list[Predictions]],
    dataset: ImageDataset,
    context: TrainingContext,
) -> FoldKnn | None:
    """Find the nearest training images of every row that a fold's network predicts.

    Out-of-fold rows never get their own duplicates as neighbors: those labels would not be known of a new image.

    Args:
        overall: Network of the fold.
        predictions: Its own predictions by part, one entry per pooling.
        dataset: Pixels and labels.

    Returns:
        None in a dry run if the cache lacks them.

    Raises:
        HolotypeError: The scored fold is among the indexed images.
    """
    job, spec, images = overall.job, overall.job.model.neighbors, context.images
    if spec is None:
        return None
    require_no_scored_fold(images.sample_numbers[job.train_rows], context.data.folds.fold_of_sample, job.fold)
    duplicate_group = duplicate_components(images, context.data.audit)[images.sample_numbers]
    statistics, steps = context.data.statistics, context.steps
    row_normalization = dataset.row_normalization
    key = index_key(overall.key, job, duplicate_group[job.train_rows], statistics, row_normalization)
    index = steps.cached_folder(key, lambda folder: _write_index(folder, overall, duplicate_group, dataset, context))
    parts = {name: pooled_predictions[0].rows for name, pooled_predictions in predictions.items()}
    collection = load_index(index) if index.is_dir() else None
    neighbors: dict[str, tuple[Integers, Neighbors]] = {}
    scores = {}
    for name, rows in parts.items():
        tie_groups = (duplicate_group[rows], duplicate_group[job.train_rows]) if name == "oof" else None
        search_key = neighbors_key(
            key,
            job,
            statistics,
            rows,
            duplicate_group=tie_groups[0] if tie_groups else rows[:0],
            part="" if name == "oof" else name,
            row_normalization=row_normalization,
        )

        def search(rows: Integers = rows, tie_groups: TieGroups = tie_groups, name: str = name) -> Neighbors:
            nearest = make_index((collection or load_index(index)).embeddings, spec.index).search(
                _embed(overall, rows, dataset, context), spec.k, tie_groups
            )
            _warn_if_few(nearest, spec, job.label, name, context)
            return nearest

        nearest = _load_or_search(search_key, search, len(rows), spec.k, context)
        if collection is not None and nearest is not None:
            logits = knn_scores(nearest, collection, images.kind, spec, predictions[name][0].logits)
            neighbors[name] = rows, nearest
            scores[name] = Predictions(f"{job.model.name}.neighbors", job.fold, rows, logits)
    if collection is None or len(neighbors) < len(parts):
        return None
    return FoldKnn(index, job.train_rows, neighbors, scores)


def _load_or_search(
    key: StepKey, search: Callable[[], Neighbors], rows: int, k: int, context: TrainingContext
) -> Neighbors | None:
    """Neighbors from the cache, or searched; empty parts are no step."""
    if not rows:
        return Neighbors(np.empty((0, k), np.int64), np.empty((0, k), np.float32))

    def write(folder: Path) -> None:
        nearest = search()
        np.save(folder / "rows.npy", nearest.rows, allow_pickle=False)
        np.save(folder / "similarity.npy", nearest.similarity, allow_pickle=False)

    cache_folder = context.steps.cached_folder(key, write)
    if not cache_folder.is_dir():
        return None
    return Neighbors(*(np.load(cache_folder / f"{part}.npy", allow_pickle=False) for part in ("rows", "similarity")))


def knn_scores(
    neighbors: Neighbors, collection: IndexedImages, kind: Kind, spec: NeighborsSpec, network_logits: AnyScores | None
) -> AnyScores:
    """Vote of the nearest neighbors, as logits.

    Args:
        neighbors: Neighbors of n images among the collection.
        collection: From `load_index`.
        network_logits: Logits of the network, shape (n, classes), overridden where neighbors are similar enough.

    Returns:
        Logits, shape (n, classes).
    """
    metadata = collection.metadata
    prior, temperature = np.asarray(metadata["prior"], np.float32), float(metadata["temperature"])
    truth = _vote_labels(_labels(collection, len(prior)), kind)

    def vote_part(part: slice) -> AnyScores:
        part_neighbors = Neighbors(neighbors.rows[part], neighbors.similarity[part])
        logits = neighbor_logits(part_neighbors, truth, kind, prior, temperature)
        return keep_top_k(logits) if len(prior) > MANY_CLASSES else logits

    logits = concatenate(
        [vote_part(slice(start, start + ROWS_PER_VOTE)) for start in range(0, max(len(neighbors), 1), ROWS_PER_VOTE)]
    )
    if spec.override_similarity is None or network_logits is None:
        return logits
    return override_scores(network_logits, logits, neighbors.similarity, spec.override_similarity)


def knn_model(
    name: str, folds: Sequence[FoldKnn], prediction_folds: Sequence[FoldKnn], images: ImageTable, classes: Any
) -> ModelPredictions:
    """Collect neighbors' votes of all folds as a second model, `NAME.neighbors`.

    Args:
        name: Name of the model itself.
        folds: One entry per trained fold.
        prediction_folds: Entries that predict test and validation rows.
        classes: Class numbers of the model; None means all.
    """
    tables = [_nearest_table(*fold.neighbors["oof"], fold.keys, images) for fold in folds]
    for part in ("test", "validation"):
        rows = prediction_folds[0].neighbors[part][0]
        merged = merge_neighbors(
            [fold.neighbors[part][1] for fold in prediction_folds], [fold.keys for fold in prediction_folds]
        )
        tables.append(_nearest_table(rows, merged, np.arange(len(images)), images))
    oof = [fold.predictions["oof"] for fold in folds]
    test, validation = ([fold.predictions[part] for fold in prediction_folds] for part in ("test", "validation"))
    return ModelPredictions(
        f"{name}.neighbors",
        oof,
        test,
        validation=validation,
        classes=classes,
        indexes=[fold.folder for fold in prediction_folds],
        nearest=pl.concat(tables),
    )


def _write_index(
    folder: Path, overall: TrainedNetwork, duplicate_group: Integers, dataset: ImageDataset, context: TrainingContext
) -> None:
    job, images = overall.job, context.images
    rows, truth = job.train_rows, dataset.truth.rows(job.train_rows)
    embeddings = _embed(overall, rows, dataset, context)
    prior = (truth.counts() / len(rows)).astype(np.float32)
    spec = job.model.neighbors or NeighborsSpec()
    count = min(len(rows), max(1, TEMPERATURE_SCORES // len(prior)))
    query_rows = np.linspace(0, len(rows) - 1, count).astype(np.int64)
    index = make_index(embeddings, spec.index)
    neighbors = index.search(embeddings[query_rows], spec.k, (duplicate_group[rows[query_rows]], duplicate_group[rows]))
    temperature = fit_temperature(neighbors, _vote_labels(truth, images.kind), query_rows, images.kind, prior)
    index_rows = pl.DataFrame(
        {
            "row": rows,
            "id": images.frame["id"].gather(rows).cast(pl.String),
            "labels": pl.Series(truth.lists(), dtype=pl.List(pl.Int64)),
        }
    )
    metadata = {"prior": prior.tolist(), "temperature": temperature, "classes": list(job.classes), "fold": job.fold}
    save_index(folder, embeddings, index_rows, metadata)


def _embed(overall: TrainedNetwork, rows: Integers, dataset: ImageDataset, context: TrainingContext) -> Floats:
    from holotype.prediction import embed_with_network
    from holotype.training import launch_fabric

    device = launch_fabric(context.runtime).device
    return embed_with_network(open_checkpoint(overall.network), dataset, rows, context.runtime, device)


def _labels(collection: IndexedImages, classes: int) -> LabelMatrix:
    lists = collection.images["labels"]
    owners = np.repeat(np.arange(len(lists)), lists.list.len().to_numpy())
    return LabelMatrix.from_pairs(owners, lists.explode(empty_as_null=False).to_numpy(), (len(lists), classes))


def _vote_labels(truth: LabelMatrix, kind: Kind) -> NDArray[np.bool_] | Integers:
    """Labels for voting: class numbers if every image has one label."""
    return truth.numbers if kind == "multiclass" and (truth.label_counts == 1).all() else truth[:]


def _nearest_table(rows: Integers, neighbors: Neighbors, keys: Integers, images: ImageTable) -> pl.DataFrame:
    ids = images.frame["id"].cast(pl.String).to_list()
    valid = neighbors.valid
    names = [[ids[keys[key]] for key in values[mask]] for values, mask in zip(neighbors.rows, valid, strict=True)]
    similar = [values[mask].tolist() for values, mask in zip(neighbors.similarity, valid, strict=True)]
    return pl.DataFrame(
        {"id": [ids[row] for row in rows], "nearest": names, "similarity": similar}, schema=NEAREST_SCHEMA
    )


def _warn_if_few(neighbors: Neighbors, spec: NeighborsSpec, label: str, name: str, context: TrainingContext) -> None:
    count = int((neighbors.valid.sum(axis=1) < spec.k).sum())
    if count:
        context.runtime.progress.info(
            f"note: {label}: neighbors.k is {spec.k}, and {pluralize(count, 'image')} ({name}) have fewer training "
            "images to compare with"
        )
