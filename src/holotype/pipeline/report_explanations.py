"""Report explanations by the first model: embedding map of one fold, neighbors of mistakes, heat maps, first layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import HolotypeError, InputError
from holotype.core.seeds import keyed_generator
from holotype.data import resize_image
from holotype.evaluation import NestedScore
from holotype.neighbors import nearest
from holotype.networks import open_checkpoint
from holotype.pipeline.models import (
    EmbeddingMap,
    ExplainedModel,
    ModelPredictions,
    TrainingContext,
    embedding_map,
    heat_maps,
    resolve_model,
)
from holotype.pipeline.report_examples import downscale, downscaled_pixels, pixels_of_row, row_of_sample
from holotype.pipeline.run_result import RunResult
from holotype.postprocessing.decision import label_names
from holotype.recipe.sections import ModelSpec
from holotype.report import EmbeddingMapData, ExplainedSample, FirstLayer, Heatmap, NearestImage
from holotype.split import duplicate_components
from holotype.types import Checkpoint, Integers, LabelMatrix, take_rows

MAX_NEIGHBORS, TEST_SHARE = 3, 3
Thumbnails = dict[int, tuple[NDArray[Any], tuple[int, int]]]  # downscaled pixels, and the image's own height and width


def explained_model(
    sections: Sequence[ModelSpec], models: Sequence[ModelPredictions], context: TrainingContext
) -> ExplainedModel | None:
    """Find the first model that was trained here; None if all predictions are imported."""
    models_by_name = {model.name: model for model in models}
    for section in sections:
        if section.reads_images and models_by_name[section.name].networks:
            networks = {open_checkpoint(path).fold: path for path in models_by_name[section.name].networks}
            return ExplainedModel(resolve_model(section, context.data.statistics), networks, context)
    return None


def embed_first_fold(
    explained: ExplainedModel, nested: NestedScore, points: int, mistaken: Integers
) -> EmbeddingMap | None:
    """Embed samples of the first fold by the network that never saw them, and some test samples.

    Args:
        points: Maximum number of samples.
        mistaken: Samples to include if they belong to the fold.

    Returns:
        None if there are fewer than two samples.
    """
    prepared = explained.context.data
    fold, pseudo = explained.first_fold, explained.model.pseudo_labels
    fold_samples = nested.samples[prepared.folds.fold_of_sample[nested.samples] == fold]
    test = np.unique(prepared.images.sample_numbers[explained.context.prediction_rows()["test"]])
    test = test if pseudo is None or pseudo.roles == "external" else test[:0]  # or they are training rows
    first = mistaken[np.isin(mistaken, fold_samples)][:points]
    draw = keyed_generator(explained.context.seed, "map", fold)
    few = draw.permutation(test)[: max(points // TEST_SHARE, points - len(fold_samples))]
    others = draw.permutation(np.setdiff1d(fold_samples, first))[: max(points - len(few) - len(first), 0)]
    samples = np.sort(np.concatenate([first, others, few]))[:points].astype(np.int64)
    if len(samples) < 2:
        return None
    rows = np.array([row_of_sample(prepared, int(sample)) for sample in samples], np.int64)
    return embedding_map(explained, fold, rows)


def embedding_map_data(
    fold_map: EmbeddingMap, explained: ExplainedModel, result: RunResult, nested: NestedScore
) -> EmbeddingMapData:
    """Embedding map with labels and decisions of its samples."""
    images, fold_of = result.prepared.images, result.prepared.folds.fold_of_sample
    samples = images.sample_numbers[fold_map.rows]
    test = np.isin(samples, images.samples.of_role("test"))
    labels_by_sample: dict[int, list[str]] = {}
    test_scores = result.postprocessing.test
    for numbers, decided in [(nested.samples, nested.decided)] + (
        [(test_scores.samples, result.postprocessing.decided)]
        if test_scores is not None and result.postprocessing.decided is not None
        else []
    ):
        positions = np.flatnonzero(np.isin(numbers, samples))
        labels_by_sample |= dict(
            zip(numbers[positions].tolist(), label_names(take_rows(decided, positions), images.classes), strict=True)
        )
    truth = label_names(images.samples.label_matrix(samples), images.classes)
    decisions = [labels_by_sample.get(int(sample), []) for sample in samples]
    every = int((fold_of[nested.samples] == explained.first_fold).sum()) + len(images.samples.of_role("test"))
    return EmbeddingMapData(
        network=explained.describe(explained.first_fold),
        method=fold_map.method,
        left_out=max(every - len(samples), 0),
        positions=fold_map.coordinates,
        ids=tuple(images.samples.frame["sample"].gather(samples).cast(str).to_list()),
        labels=tuple(
            tuple(true_names if is_labeled else decided_names)
            for true_names, decided_names, is_labeled in zip(truth, decisions, ~test, strict=True)
        ),
        decided=tuple(map(tuple, decisions)),
        test=test,
        wrong=np.array(
            [
                is_labeled and true_names != decided_names
                for true_names, decided_names, is_labeled in zip(truth, decisions, ~test, strict=True)
            ]
        ),
        pixels=fold_map.thumbnails,
    )


def neighbors_of_mistakes(
    mistaken: Integers, fold_map: EmbeddingMap | None, result: RunResult
) -> tuple[dict[str, tuple[NearestImage, ...]], str]:
    """Nearest labeled images of each mistake, by sample id, and in words where they were searched.

    Args:
        fold_map: Searched if no model has a neighbor index.
    """
    prepared = result.prepared
    names = prepared.images.samples.frame["sample"].cast(str)
    rows = {int(sample): row_of_sample(prepared, int(sample)) for sample in mistaken}
    table = next((model.nearest for model in result.models if model.nearest.height), None)
    if table is not None:
        row_of_id = {str(name): row for row, name in enumerate(prepared.images.frame["id"].cast(str).to_list())}
        near = {row_of_id[name]: (ids, alike) for name, ids, alike in table.iter_rows() if name in row_of_id}
        neighbors = {
            sample: [(row_of_id[name], float(value)) for name, value in zip(*near[row], strict=True)][:MAX_NEIGHBORS]
            for sample, row in rows.items()
            if row in near
        }
        where = "among the training images of the networks"
    else:
        neighbors, where = (
            _find_nearest_on_map(rows, fold_map, result),
            "among the samples of the map, on which no network was trained",
        )
    nearest_images = {
        names[sample]: tuple(_nearest_image(result, *neighbor) for neighbor in sample_neighbors)
        for sample, sample_neighbors in neighbors.items()
        if sample_neighbors
    }
    return nearest_images, where if nearest_images else ""


def _find_nearest_on_map(
    rows: dict[int, int], fold_map: EmbeddingMap | None, result: RunResult
) -> dict[int, list[tuple[int, float]]]:
    prepared = result.prepared
    if fold_map is None:
        return {}
    point_of_row = {int(row): number for number, row in enumerate(fold_map.rows)}
    query_points = {sample: point_of_row[row] for sample, row in rows.items() if row in point_of_row}
    keys = np.flatnonzero((prepared.images.frame["role"].gather(fold_map.rows) != "test").to_numpy())
    if not query_points or len(keys) < 2:
        return {}
    ties = duplicate_components(prepared.images, prepared.audit)[prepared.images.sample_numbers[fold_map.rows]]
    queries = np.array(list(query_points.values()), np.int64)
    near = nearest(
        fold_map.embeddings[queries], fold_map.embeddings[keys], MAX_NEIGHBORS, forbidden=(ties[queries], ties[keys])
    )
    return {
        sample: [
            (int(fold_map.rows[keys[key]]), float(value))
            for key, value in zip(nearest_points, alike, strict=True)
            if key >= 0
        ]
        for sample, nearest_points, alike in zip(query_points, near.rows, near.similarity, strict=True)
    }


def _nearest_image(result: RunResult, row: int, similarity: float) -> NearestImage:
    images = result.prepared.images
    numbers = images.frame["labels"][row]
    labels = () if numbers is None else tuple(images.classes[number] for number in numbers)
    return NearestImage(str(images.frame["id"][row]), labels, similarity, downscaled_pixels(result.prepared, row))


def first_layer(explained: ExplainedModel) -> FirstLayer | None:
    """First-layer kernels of the first network; None if it does not start with a convolution."""
    from holotype.networks import first_kernels, load_network

    fold, checkpoint = explained.first_fold, open_checkpoint(explained.networks[explained.first_fold])
    kernels = first_kernels(load_network(checkpoint).backbone)
    if kernels is None:
        return None
    count = kernels.shape[1]
    names = tuple(explained.model.input.channels or explained.context.images.channels or ())
    default_names = (
        ("red", "green", "blue") if count == 3 else tuple(f"channel {number + 1}" for number in range(count))
    )
    channel_names = names if len(names) == count else default_names
    return FirstLayer(
        explained.describe(fold), channel_names, kernels.float().numpy(), _initial_kernels(explained, checkpoint)
    )


def _initial_kernels(explained: ExplainedModel, checkpoint: Checkpoint) -> NDArray[np.float32] | None:
    """First-layer kernels before training; None if the weights were random or are gone."""
    from holotype.networks import build_network, first_kernels

    try:
        network, weights = build_network(explained.model, 2, checkpoint.card["input_channels"], 0, checkpoint.fold)
    except HolotypeError:
        return None  # the weights are gone
    kernels = None if weights.state is None else first_kernels(network.backbone)
    return None if kernels is None or weights.description != checkpoint.card.get("weights") else kernels.float().numpy()


def explain_samples(
    positions: Integers, wrong: Sequence[bool], explained: ExplainedModel, result: RunResult, nested: NestedScore
) -> tuple[tuple[ExplainedSample, ...], str]:
    """Heat maps (Grad-CAM) of the decided and the true class, by the network that never saw the sample.

    Args:
        positions: Indices into the scored samples, shape (n,).
        wrong: One flag per sample: it is shown as a mistake.

    Returns:
        Samples whose fold and classes a network knows; and a sentence if heat maps are not possible.
    """
    from holotype.prediction import feature_map_size

    prepared = result.prepared
    truth, decided = (
        LabelMatrix.from_dense(take_rows(part, positions)).lists() for part in (nested.truth, nested.decided)
    )
    by_fold: dict[int, list[tuple[int, int, str, str]]] = defaultdict(list)
    rows = [row_of_sample(prepared, int(nested.samples[position])) for position in positions]
    for number, position in enumerate(positions):
        fold = int(prepared.folds.fold_of_sample[nested.samples[position]])
        for name, role in _classes_to_explain(truth[number], decided[number], prepared.images.classes):
            by_fold[fold].append((number, rows[number], name, role))
    heats: dict[int, list[Heatmap]] = defaultdict(list)
    pictures = {}
    for number, row in enumerate(rows):
        pixels = pixels_of_row(prepared, row)
        pictures[number] = downscale(pixels), (pixels.shape[1], pixels.shape[2])
    try:
        size = feature_map_size(open_checkpoint(explained.networks[explained.first_fold]))
        for fold, requests in sorted(by_fold.items()):
            for number, heat in _heatmaps_of_fold(explained, fold, requests, pictures):
                heats[number].append(heat)
    except InputError as error:
        return (), error.what
    names = prepared.images.samples.frame["sample"].cast(str)
    fold_of = prepared.folds.fold_of_sample
    explanations = [
        ExplainedSample(
            names[int(nested.samples[position])],
            wrong[number],
            pictures[number][0],
            tuple(heats[number]),
            explained.describe(int(fold_of[nested.samples[position]])),
            size,
        )
        for number, position in enumerate(positions)
        if heats[number]
    ]
    return tuple(explanations), ""


def _heatmaps_of_fold(
    explained: ExplainedModel,
    fold: int,
    requests: Sequence[tuple[int, int, str, str]],
    pictures: dict[int, tuple[NDArray[Any], tuple[int, int]]],
) -> list[tuple[int, Heatmap]]:
    network = explained.networks.get(fold)
    if network is None:
        return []
    class_index = {name: number for number, name in enumerate(open_checkpoint(network).card["classes"])}
    answerable = [request for request in requests if request[2] in class_index]
    if not answerable:
        return []
    rows, classes = (
        np.array(part, np.int64)
        for part in zip(*((request[1], class_index[request[2]]) for request in answerable), strict=True)
    )
    maps = heat_maps(explained, fold, rows, classes)
    return [
        (number, Heatmap(name, role, _resize_heatmap(heat, *pictures[number], explained)))
        for (number, _, name, role), heat in zip(answerable, maps, strict=True)
    ]


def _resize_heatmap(
    heat: NDArray[Any], pixels: NDArray[Any], shape: tuple[int, int], explained: ExplainedModel
) -> NDArray[np.float32]:
    from holotype.prediction import heat_over_image

    return resize_image(heat_over_image(heat, *shape, explained.model)[None], *pixels.shape[1:])[0]


def _classes_to_explain(truth: Sequence[int], decided: Sequence[int], classes: Sequence[str]) -> list[tuple[str, str]]:
    """Classes whose heat maps explain a sample best: a wrongly decided one and a missed one."""
    added = [candidate for candidate in decided if candidate not in truth] or list(decided)
    missed = [candidate for candidate in truth if candidate not in decided] or list(truth)
    if added and missed and added[0] == missed[0]:
        return [(classes[added[0]], "decided and true")]
    return [(classes[candidate[0]], role) for candidate, role in ((added, "decided"), (missed, "true")) if candidate]
