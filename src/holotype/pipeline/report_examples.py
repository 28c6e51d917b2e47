"""Report examples: mistakes, exemplars, duplicates, label errors and the ensemble, as the report takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.data import read_row, resize_image, usable_pixels
from holotype.evaluation import NestedScore
from holotype.pipeline.prepared import PreparedData
from holotype.pipeline.run_result import RunResult
from holotype.postprocessing.decision import class_exemplars, confident_errors, label_names
from holotype.postprocessing.ensemble import diversity_table, stack_importance
from holotype.report import EnsembleData, ExampleImage, LabelError, Mistake, Pair
from holotype.types import Integers, take_rows

MAX_MISTAKES, MAX_EXAMPLES, MAX_PAIRS, MAX_LABEL_ERRORS = 36, 48, 24, 36
MAX_SIDE = 384  # pixels of the longer side
CHANNEL_STATISTICS = {
    "mean": "mean",
    "deviation": "deviation",
    "nonzero_mean": "mean above zero",
    "masked_mean": "masked mean",
}
ROLE_PAIR_PRIORITY = {("external", "test"): 0, ("train", "test"): 1, ("external", "train"): 2, ("train", "train"): 3}


def confident_mistakes(result: RunResult, nested: NestedScore) -> tuple[Integers, NDArray[np.float64]]:
    """Confident mistakes: wrongly labeled samples, most confident first.

    Returns:
        Indices into the scored samples, and the probability of the decided label of each.
    """
    confidence = confident_errors(nested.truth, nested.decided, nested.logits, result.prepared.images.kind)
    wrong = np.flatnonzero(confidence >= 0)
    positions = wrong[np.argsort(-confidence[wrong], kind="stable")][:MAX_MISTAKES]
    return positions, confidence[positions]


def mistakes(result: RunResult, nested: NestedScore) -> list[Mistake]:
    """Confident mistakes with their pixels, most confident first."""
    images = result.prepared.images
    positions, confidences = confident_mistakes(result, nested)
    truths, decisions = (
        label_names(take_rows(array, positions), images.classes) for array in (nested.truth, nested.decided)
    )
    return [
        Mistake(
            id=str(images.samples.frame["sample"][int(nested.samples[row])]),
            fold=int(result.prepared.folds.fold_of_sample[nested.samples[row]]),
            truth=tuple(truth),
            decided=tuple(decided),
            confidence=float(confidence),
            pixels=_pixels_of_sample(result.prepared, int(nested.samples[row])),
        )
        for row, confidence, truth, decided in zip(positions, confidences, truths, decisions, strict=True)
    ]


def example_images(result: RunResult, nested: NestedScore) -> list[ExampleImage]:
    """Class exemplars: one correctly labeled sample per class, the most confident one."""
    images = result.prepared.images
    rows = class_exemplars(nested.truth, nested.decided, nested.logits, MAX_EXAMPLES)
    return [
        ExampleImage(
            str(images.samples.frame["sample"][int(nested.samples[row])]),
            tuple(names),
            _pixels_of_sample(result.prepared, int(nested.samples[row])),
        )
        for row, names in zip(rows, label_names(take_rows(nested.truth, rows), images.classes), strict=True)
    ]


def duplicate_pairs(prepared: PreparedData) -> tuple[Pair, ...]:
    """Duplicate pairs: leaks into test rows first, near duplicates before exact ones."""
    images, links = prepared.images, prepared.audit.duplicate_pairs
    roles, action = images.frame["role"], dict(prepared.audit.clusters.select("row", "action").iter_rows())
    pairs_of_cluster: dict[int, int] = {}
    ranked = []
    for link in links.iter_rows(named=True):
        joined = tuple(sorted((roles[link["row"]], roles[link["other"]])))
        turn = pairs_of_cluster[link["cluster"]] = pairs_of_cluster.get(link["cluster"], -1) + 1
        ranked.append((turn, ROLE_PAIR_PRIORITY.get(joined, 4), link["kind"] == "exact", link["similarity"], link))  # type: ignore[call-overload]
    top_links = [entry[-1] for entry in sorted(ranked, key=lambda entry: entry[:-1])[:MAX_PAIRS]]
    return tuple(
        Pair(
            ids=_pair_values(images.frame["id"], link),
            roles=_pair_values(roles, link),
            labels=(_labels_of_row(prepared, link["row"]), _labels_of_row(prepared, link["other"])),
            kind=link["kind"],
            similarity=float(link["similarity"]),
            action=action.get(link["other"]) or action.get(link["row"], ""),
            pixels=(pixels_of_row(prepared, link["row"]), pixels_of_row(prepared, link["other"])),
        )
        for link in top_links
    )


def label_error_examples(result: RunResult, nested: NestedScore) -> tuple[LabelError, ...]:
    """Likely label errors, most likely first."""
    likely_errors = result.label_errors.filter("suspect").sort("quality").head(MAX_LABEL_ERRORS)
    return tuple(
        LabelError(
            id=str(row["sample"]),
            labels=tuple(row["given_label"]),
            suggested=tuple(row["predicted_label"]),
            quality=float(row["quality"]),
            pixels=_pixels_of_sample(result.prepared, int(nested.samples[row["position"]])),
        )
        for row in likely_errors.iter_rows(named=True)
    )


def _pair_values(column: pl.Series, link: dict[str, Any]) -> tuple[str, str]:
    return str(column[link["row"]]), str(column[link["other"]])


def _labels_of_row(prepared: PreparedData, row: int) -> tuple[str, ...]:
    numbers = prepared.images.frame["labels"][int(row)]
    return () if numbers is None else tuple(prepared.images.classes[number] for number in numbers)


def _pixels_of_sample(prepared: PreparedData, sample: int) -> NDArray[Any]:
    return pixels_of_row(prepared, row_of_sample(prepared, sample))


def row_of_sample(prepared: PreparedData, sample: int) -> int:
    """First readable image row of a sample."""
    rows = np.flatnonzero(prepared.images.sample_numbers == sample)
    return int(np.setdiff1d(rows, prepared.folds.unreadable)[0])


def pixels_of_row(prepared: PreparedData, row: int) -> NDArray[Any]:
    """Pixels of an image as its file has them, without isolated outliers and missing values.

    Returns:
        Shape (channels, height, width).
    """
    return usable_pixels(read_row(prepared.images, row))


def downscaled_pixels(prepared: PreparedData, row: int) -> NDArray[Any]:
    """Pixels of an image, downscaled to the size of the report's pictures to save memory."""
    return downscale(pixels_of_row(prepared, row))


def downscale(pixels: NDArray[Any]) -> NDArray[Any]:
    """Downscale pixels to the size of the report's pictures, averaging.

    Args:
        pixels: Shape (channels, height, width).

    Returns:
        Same dtype.
    """
    share = min(1.0, MAX_SIDE / max(pixels.shape[1:]))
    return resize_image(pixels, *(max(1, round(side * share)) for side in pixels.shape[1:]))


def model_pairs(result: RunResult, nested: NestedScore) -> list[dict[str, Any]]:
    """Diversity of the models, one entry per pair."""
    names, scores = [model.name for model in result.models], [model.logits for model in result.oof]
    return diversity_table(scores, names, nested.truth, result.prepared.images.kind) if len(scores) > 1 else []


def ensemble_summary(result: RunResult, nested: NestedScore) -> EnsembleData:
    """Ensemble summary: weights, features of a stack, diversity."""
    ensemble, classes = result.postprocessing.ensemble, result.prepared.images.classes
    means = {f"mean of class {number}": f"mean score of {name}" for number, name in enumerate(classes)}
    for number, channel in enumerate(result.prepared.images.channels or ()):
        means |= {f"{name}.{number}": f"{words} of {channel}" for name, words in CHANNEL_STATISTICS.items()}
    importance = stack_importance(ensemble.stack, ensemble.columns) if any(ensemble.stack) else {}
    return EnsembleData(
        ensemble.kind,
        dict(zip(ensemble.models, ensemble.weights, strict=True)),
        {
            name: dict(zip(ensemble.models, weights, strict=True))
            for name, weights in ensemble.weights_by_domain.items()
        },
        {means.get(name, name): share for name, share in importance.items()},
        tuple(model_pairs(result, nested)),
    )
