"""Predictor of a finished run for the server: the same predictions as `predict`, with networks kept in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from holotype.core.errors import DataError, join_names, pluralize
from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.data import CacheFormat, gather_statistics, measure_image, read_image, to_cache_format
from holotype.data.channel_files import make_channel_matcher
from holotype.evaluation.metrics import probabilities
from holotype.pipeline.out_of_distribution import best_scores, ood_reasons
from holotype.postprocessing.decision import answer_columns, label_names, prediction_sets
from holotype.postprocessing.decision.calibration import confidence_margin
from holotype.runs.fitted_run import FittedRun, open_run
from holotype.runs.metadata import find_store, require_single_image_support, run_metadata
from holotype.runs.new_dataset import NewImages, cache_format_for, dataset_for
from holotype.runs.render import render_heatmap, render_image
from holotype.runs.stored import open_network
from holotype.runs.training_index import TrainingIndex
from holotype.serve import DecodedImage, ImagePrediction, MakeReader, Neighbor
from holotype.types import AnyScores, Checkpoint, ImageTable, OodReason, TopKScores

PICTURE_SIDE = 640
StorageFormat = tuple[Any, ...]


@dataclass(frozen=True)
class _DecodedContent:
    facts: dict[str, Any]
    stored: dict[StorageFormat, NDArray[Any]]


class RunReader:
    """Reader of a server: decodes images in a process without networks."""

    def __init__(self, fitted_run: FittedRun, cards: Sequence[dict[str, Any]]) -> None:
        self.fitted_run, self._cards = fitted_run, list(cards)
        self._channels = tuple(fitted_run.recipe.data.channels or ())
        self._plans = lru_cache(256)(self._plans_for)

    def __call__(self, files: Sequence[Path], max_pixels: int, picture: bool) -> DecodedImage:
        """Decode and measure one image, and convert it to the cache format of each network.

        `max_pixels`: larger files are refused before they are decoded.
        """
        pixels = read_image(files, max_pixels, self._channels, self.fitted_run.recipe.data.projection)
        if len(pixels) != self._cards[0]["channels"]:
            what = f"the image has {pluralize(len(pixels), 'channel')}, and the run's have {self._cards[0]['channels']}"
            raise DataError(what, value=len(pixels), allowed=[self._cards[0]["channels"]])
        mismatch = self.fitted_run.training_ranges.mismatch(pixels.dtype.name, len(pixels))
        if mismatch is not None:
            raise DataError(
                f"the image cannot be predicted: {mismatch}",
                value=pixels.dtype.name,
                remedy="send images of the depth of the run's images",
            )
        facts = measure_image(pixels)
        plans = self._plans(pixels.shape, facts["depth"])
        stored = {form: to_cache_format(pixels, plan) for form, plan in plans.items()}
        png = render_image(pixels, self.fitted_run.recipe.data.channels, PICTURE_SIDE) if picture else None
        return DecodedImage(facts["depth"], pixels.shape, facts["depth"], _DecodedContent(facts, stored), png)

    def _plans_for(self, shape: tuple[int, int, int], depth: str) -> dict[StorageFormat, CacheFormat]:
        facts = {"channels": shape[0], "height": shape[1], "width": shape[2], "depth": depth}
        facts |= {"mean": [0.0] * shape[0], "deviation": [1.0] * shape[0], "error": None}
        statistics = gather_statistics(_blank_images(self.fitted_run, 1), [facts])
        plans = (cache_format_for(card, statistics) for card in self._cards)
        return {_storage_format(plan): plan for plan in plans}


class RunPredictor:
    """Predictor of a finished run, as the server needs it. `store`: cache folder for an index of training images."""

    def __init__(self, fitted_run: FittedRun, store: Path, nearest: bool = True) -> None:
        require_single_image_support(fitted_run)
        self.fitted_run, data = fitted_run, fitted_run.recipe.data
        self._names = make_channel_matcher(data, fitted_run.trained_files)
        self._cards = [checkpoint.card for checkpoint in _open_checkpoints(fitted_run)]
        self.about = run_metadata(fitted_run, self._cards[0]["channels"], self._names)
        self._channels = tuple(data.channels or ())
        self._training_ranges = fitted_run.training_ranges
        self._training_index = TrainingIndex(fitted_run, store, nearest)

    @property
    def files_per_image(self) -> int:
        """Number of files per image."""
        return 1 if self._names is None else len(self._channels)

    @property
    def nearest(self) -> str:
        """Status of the training image index."""
        return self._training_index.status

    def open(self) -> None:
        """Load the networks, and look for an index of training images."""
        from holotype.training import find_device

        find_device(self.fitted_run.runtime)
        self.fitted_run.models  # noqa: B018  (reads them)
        self._training_index.open()

    def match_file(self, name: str) -> tuple[str, int]:
        """Match a file name to its image and channel number."""
        if self._names is None:
            return PurePath(name).stem, 0
        match = self._names.match(PurePath(name))
        if match is None:
            what = f"it is not named as the run's files are, {self._names.pattern!r}"
            raise DataError(what, field=name, remedy=f"name it so, its channel one of {join_names(self._channels)}")
        return match[0], self._channels.index(match[1])

    @property
    def make_reader(self) -> MakeReader:
        """Factory of the decoding function, for a process of its own."""
        return partial(make_reader, self.fitted_run.folder.root.resolve())

    def predict(self, questions: Sequence[DecodedImage], nearest: int) -> list[ImagePrediction]:
        """Predict some images."""
        new = self._to_new_images(questions)
        logits, model_nearest = self.fitted_run.predict_logits(new)
        decision, calibration = self.fitted_run.decision, self.fitted_run.calibration
        nearest_ids = self._training_index.near(new, model_nearest, nearest)
        columns: dict[str, Iterable[Any]] = {
            "labels": map(tuple, label_names(self.fitted_run.decide(logits, new.images), decision.classes)),
            "probabilities": self._rank_classes(logits),
            "nearest": [None] * len(questions) if nearest_ids is None else map(self._nearest_images, nearest_ids),
            "ood_reasons": self._ood_reasons(questions, logits),
        }
        if not isinstance(logits, TopKScores):
            class_probabilities = probabilities(logits, decision.kind)
            if calibration.set_threshold is not None:
                sets = label_names(prediction_sets(calibration, class_probabilities), decision.classes)
                columns["label_set"] = map(tuple, sets)
            if calibration.abstain_threshold is not None:
                margins = confidence_margin(class_probabilities, decision.kind)
                columns["abstain"] = (margins < calibration.abstain_threshold).tolist()
            if calibration.back_off is not None:
                answers = answer_columns(calibration.back_off, class_probabilities, decision.classes)
                columns["answer"], columns["rank"] = answers
        rows = zip(*columns.values(), strict=True)
        return [ImagePrediction(**dict(zip(columns, row, strict=True))) for row in rows]

    def explain(self, question: DecodedImage, name: str) -> bytes:
        """Heat map (PNG) of a class in an image, the mean over the networks of the first model that has the class."""
        from holotype.prediction import grad_cam, heat_over_image
        from holotype.training import find_device

        new, runtime = self._to_new_images([question]), self.fitted_run.runtime
        for model in self.fitted_run.models:
            networks = [network for network in model.networks if name in network.card["classes"]]
            if not networks:
                continue
            device, rows, maps = find_device(runtime), np.zeros(1, np.int64), []
            for network in networks:
                number = np.array([network.card["classes"].index(name)])
                maps.append(grad_cam(network, dataset_for(network.card, new), rows, number, runtime, device)[0])
            _, height, width = question.shape
            shrunk = min(1.0, PICTURE_SIDE / max(height, width))
            side = max(1, round(height * shrunk)), max(1, round(width * shrunk))
            return render_heatmap(heat_over_image(np.mean(maps, axis=0), height, width, model.section), side)
        raise DataError("no network of the run has this class", field="class", value=name)

    def specimen(self, name: str) -> bytes | None:
        """Picture (PNG) of a training image; None if it is not available."""
        return self._training_index.picture(name)

    def work(self) -> bool:
        """Embed the next training images of the index; False when it is complete."""
        return self._training_index.step()

    def _to_new_images(self, questions: Sequence[DecodedImage]) -> NewImages:
        contents = [question.content for question in questions]
        images = _blank_images(self.fitted_run, len(contents))
        statistics = gather_statistics(images, [content.facts for content in contents])
        return NewImages(
            images,
            statistics,
            self.fitted_run.runtime,
            lambda plan: np.stack([content.stored[_storage_format(plan)] for content in contents]),
        )

    def _rank_classes(self, logits: AnyScores) -> list[dict[str, float]]:
        classes = self.fitted_run.decision.classes
        if isinstance(logits, TopKScores):
            order, class_probabilities = (
                logits.top_classes.astype(np.int64),
                np.exp(logits.top_logits - logits.total[:, None]),
            )
        else:
            every = probabilities(logits, self.fitted_run.decision.kind)
            order = np.argsort(-every, axis=1, kind="stable")
            class_probabilities = np.take_along_axis(every, order, axis=1)
        return [
            {classes[number]: value for number, value in zip(class_indices, values, strict=True)}
            for class_indices, values in zip(order.tolist(), class_probabilities.tolist(), strict=True)
        ]

    def _ood_reasons(self, questions: Sequence[DecodedImage], logits: AnyScores) -> list[tuple[OodReason, ...]]:
        best = best_scores(logits, self.fitted_run.decision.kind).tolist()
        facts = [question.content.facts for question in questions]
        return [
            ood_reasons(self._training_ranges, score, image_facts, self._channels)
            for score, image_facts in zip(best, facts, strict=True)
        ]

    def _nearest_images(self, named: Sequence[tuple[str, float]]) -> tuple[Neighbor, ...]:
        training_index = self._training_index
        return tuple(
            Neighbor(name, like, training_index.labels(name), training_index.has_image(name)) for name, like in named
        )


def make_reader(folder: Path) -> RunReader:
    """Make the reader of a finished run, in a process of its own."""
    Image.init()  # load Pillow's decoders before the first request
    fitted_run = open_run(folder)
    return RunReader(fitted_run, [checkpoint.card for checkpoint in _open_checkpoints(fitted_run)])


def load_predictor(folder: Path, nearest: bool = True) -> tuple[RunPredictor, Runtime]:
    """Load the predictor of a finished run, and its runtime."""
    fitted_run = open_run(folder, keep_in_memory=True)
    fitted_run = replace(fitted_run, runtime=replace(fitted_run.runtime, progress=Progress(quiet=True)))
    return RunPredictor(fitted_run, find_store(fitted_run.folder), nearest), fitted_run.runtime


def _open_checkpoints(fitted_run: FittedRun) -> list[Checkpoint]:
    folder = fitted_run.folder
    paths = [
        path
        for model in fitted_run.recipe.models
        for path in (*folder.checkpoints(model.name), *folder.specialists(model.name))
    ]
    return [open_network(path, fitted_run.decision.classes) for path in paths]


def _blank_images(fitted_run: FittedRun, rows: int) -> ImageTable:
    decision = fitted_run.decision
    return _blank_table(rows, decision.classes, decision.kind, tuple(fitted_run.recipe.data.channels or ()) or None)


@lru_cache(256)
def _blank_table(rows: int, classes: tuple[str, ...], kind: Any, channels: tuple[str, ...] | None) -> ImageTable:
    names = [str(row) for row in range(rows)]
    frame = pl.DataFrame(
        {"id": names, "sample": names, "role": ["test"] * rows, "files": [[]] * rows},
        schema_overrides={"files": pl.List(pl.String)},
    )
    empty = [pl.lit(None, pl.List(pl.Int64)).alias("labels"), pl.lit(None, pl.String).alias("domain")]
    return ImageTable(frame.with_columns(empty), classes, kind, channels)


def _storage_format(plan: CacheFormat) -> StorageFormat:
    return (*plan.shape[1:], plan.depth, plan.resize_mode, plan.scale)
