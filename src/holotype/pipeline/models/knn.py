"""k-nearest neighbors (kNN) on the embeddings of each fold's network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.cache import Reads, StepOutput, StepResult, library_versions, step
from holotype.core.digest import digest_array
from holotype.core.errors import pluralize
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
from holotype.pipeline.models.digests import digest_inputs, job_label
from holotype.pipeline.models.frozen import compute_features, read_features
from holotype.pipeline.models.networks import TrainedNetwork
from holotype.pipeline.models.predictions import NEAREST_SCHEMA, ModelPredictions
from holotype.pipeline.models.training_context import TrainingContext
from holotype.recipe.sections import NeighborsSpec, PredictSpec
from holotype.split import duplicate_components
from holotype.training import FitJob
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

TieGroups = tuple[Integers, Integers] | None
TEMPERATURE_SCORES = 20_000_000  # rows times classes used to fit the temperature
ROWS_PER_VOTE = 1024  # rows whose dense scores are in memory


@dataclass(frozen=True)
class FoldNeighbors:
    """Nearest neighbors by one fold's network.

    Args:
        folder: Holds the index.
        keys: Image rows in the index, shape (m,).
        neighbors: By part (`oof`, `test`, `validation`): query rows, and their neighbors among the keys.
    """

    folder: Path
    keys: Integers
    neighbors: dict[str, tuple[Integers, Neighbors]]


@dataclass(frozen=True)
class FoldKnn(FoldNeighbors):
    """Votes of the nearest neighbors by one fold's network; `predictions` are their scores, by part."""

    predictions: dict[str, Predictions]


def find_neighbors(
    overall: TrainedNetwork, parts: Mapping[str, Integers], context: TrainingContext
) -> FoldNeighbors | None:
    """Find the nearest training images of every row that a fold's network predicts.

    Out-of-fold rows never get their own duplicates as neighbors: those labels would not be known of a new image.

    Args:
        overall: Network of the fold.
        parts: Image rows by name of the part.

    Returns:
        None for a model without neighbors.

    Raises:
        HolotypeError: The scored fold is among the indexed images.
    """
    job, images, steps = overall.job, context.images, context.steps
    if job.model.neighbors is None:
        return None
    require_no_scored_fold(images.sample_numbers[job.train_rows], context.data.folds.fold_of_sample, job.fold)
    duplicate_group = duplicate_components(images, context.data.audit)[images.sample_numbers]
    index = index_training_images(steps, overall, duplicate_group, context)

    def find(name: str) -> Neighbors:
        rows = parts[name]
        if not len(rows):  # an empty part is no step
            k = (job.model.neighbors or NeighborsSpec()).k
            return Neighbors(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
        tie_groups = (duplicate_group[rows], duplicate_group[job.train_rows]) if name == "oof" else None
        return search_index(steps, index, overall, rows, name, tie_groups, context).read(Neighbors)

    neighbors = steps.each(find, parts)
    found_by_part = {name: (parts[name], nearest) for name, nearest in zip(parts, neighbors, strict=True)}
    return FoldNeighbors(index.folder, job.train_rows, found_by_part)


def vote_neighbors(
    nearest: FoldNeighbors, job: FitJob, predictions: Mapping[str, list[Predictions]], kind: Kind
) -> FoldKnn:
    """Let the nearest neighbors of each row vote.

    Args:
        predictions: Of the network itself by part, one entry per pooling.
    """
    collection, spec = load_index(nearest.folder), job.model.neighbors or NeighborsSpec()
    votes = {}
    for name, (rows, neighbors) in nearest.neighbors.items():
        logits = knn_scores(neighbors, collection, kind, spec, predictions[name][0].logits)
        votes[name] = Predictions(f"{job.model.name}.neighbors", job.fold, rows, logits)
    return FoldKnn(nearest.folder, nearest.keys, nearest.neighbors, votes)


def _index_reads(overall: TrainedNetwork, duplicate_group: Integers, context: TrainingContext) -> Reads:
    rows = overall.job.train_rows
    digests = {
        "network": overall.key.digest,
        "pixels": digest_inputs(context.data.statistics, rows, overall.dataset.row_normalization),
        "duplicates": digest_array(duplicate_group[rows]),
        "search": library_versions("faiss-cpu", "faiss-gpu"),
    }
    return Reads(_search_options(overall.job), digests, job_label(overall.job))


@step("index", 3, _index_reads)
def index_training_images(
    output: StepOutput, overall: TrainedNetwork, duplicate_group: Integers, context: TrainingContext
) -> None:
    """Index of the training images of one network, embedded by it.

    Args:
        duplicate_group: Duplicate group of each image row.
    """
    _write_index(output.folder, overall, duplicate_group, context)


def _search_reads(
    index: StepResult,
    overall: TrainedNetwork,
    rows: Integers,
    part: str,
    tie_groups: TieGroups,
    context: TrainingContext,
) -> Reads:
    digests = {
        "index": index.key.digest,
        "pixels": digest_inputs(context.data.statistics, rows, overall.dataset.row_normalization),
        "rows": digest_array(rows),
        "duplicates": digest_array(tie_groups[0] if tie_groups else rows[:0]),
    }
    label = job_label(overall.job, "" if part == "oof" else part)
    return Reads(_search_options(overall.job), digests, label)


@step("neighbors", 4, _search_reads)
def search_index(
    output: StepOutput,
    index: StepResult,
    overall: TrainedNetwork,
    rows: Integers,
    part: str,
    tie_groups: TieGroups,
    context: TrainingContext,
) -> None:
    """Nearest neighbors of some rows among the training images.

    Args:
        tie_groups: Duplicate groups of the rows and of the training images, which are then no neighbors of each other.
    """
    spec = overall.job.model.neighbors or NeighborsSpec()
    queries = _embed(overall, rows, context)
    nearest = make_index(load_index(index.folder).embeddings, spec.index).search(queries, spec.k, tie_groups)
    _warn_if_few(nearest, spec, overall.job.label, part, context)
    output.write(nearest)


def _search_options(job: FitJob) -> dict[str, object] | None:
    spec = job.model.neighbors  # votes are counted anew in every run
    return None if spec is None else spec.model_dump(mode="json", exclude={"override_similarity"})


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


def _write_index(folder: Path, overall: TrainedNetwork, duplicate_group: Integers, context: TrainingContext) -> None:
    job, images = overall.job, context.images
    rows, truth = job.train_rows, overall.dataset.truth.rows(job.train_rows)
    embeddings = _embed(overall, rows, context)
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


def _embed(overall: TrainedNetwork, rows: Integers, context: TrainingContext) -> Floats:
    from holotype.prediction import embed_with_network
    from holotype.training import launch_fabric

    model = overall.job.model
    if model.is_frozen:
        features = compute_features(context.steps, model, PredictSpec(tta="none"), context)
        return read_features(features, model, rows, context)[:, 0]
    device = launch_fabric(context.runtime).device
    return embed_with_network(open_checkpoint(overall.network), overall.dataset, rows, context.runtime, device)


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
