"""Prediction of new images in chunks: check, predict, and report every image that has no prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import polars as pl

from holotype.core.errors import DataError, join_names, pluralize
from holotype.core.runtime import Runtime
from holotype.data import empty_statistics, measure_images
from holotype.pipeline.out_of_distribution import TrainingRanges, warning_texts
from holotype.pipeline.write_predictions import describe_single_label, nearest_column, predictions_csv_table
from holotype.postprocessing.decision import label_names
from holotype.runs.measurement_predictor import MeasurementPredictor
from holotype.runs.model_predictors import ModelPredictor, Nearest
from holotype.runs.new_dataset import NewImages, require_usable, unusable_images, usable_images
from holotype.runs.new_images import in_chunks
from holotype.types import MANY_CLASSES, AnyLabels, AnyScores, Calibration, Decision, ImageTable, TopKScores, keep_top_k

MAX_NAMED = 5
UNCHECKED_NOTE = (
    "note: this run keeps no statistics of its training images (audit/statistics.parquet): the depth and the "
    "intensities of new images were not checked."
)


class FittedRunProtocol(Protocol):
    """Fitted run as seen by this module."""

    @property
    def decision(self) -> Decision:
        """Fitted decision."""

    @property
    def calibration(self) -> Calibration:
        """Fitted calibration."""

    @property
    def runtime(self) -> Runtime:
        """Device, threads and progress."""

    @property
    def training_ranges(self) -> TrainingRanges:
        """Training ranges that new images are checked against."""

    @property
    def training_digests(self) -> frozenset[str]:
        """Digests of the pixels of its training images."""

    @property
    def models(self) -> Sequence[ModelPredictor | MeasurementPredictor]:
        """Predictors of its models."""

    def predict_logits(self, new: NewImages) -> tuple[AnyScores, Nearest]:
        """Predict the scores and nearest training images of new images."""

    def decide(self, logits: AnyScores, images: ImageTable) -> AnyLabels:
        """Decide the labels of samples."""


def predict_parts(
    fitted_run: FittedRunProtocol,
    images: ImageTable,
    max_images: int,
    group_column: str | None,
    separator: str,
    skip_unreadable: bool,
) -> Iterator[tuple[pl.DataFrame, AnyScores]]:
    """Predict labels and probabilities of new images in chunks, and warn of unusual ones.

    `images`: rows of the role `test`; `skip_unreadable`: give images that cannot be predicted a row without labels and
    a reason in the column `error`. Returns tables, and their scores of shape (rows, classes); NaN in rows without
    labels. Raises DataError if images cannot be predicted; all of them are named.
    """
    runtime, predicted = fitted_run.runtime, 0
    refused: dict[int, str] = {}
    flagged: list[tuple[str, str]] = []
    labels: set[str] = set()
    samples = trained = 0
    if images.has_files and not fitted_run.training_ranges.is_available:
        runtime.progress.info(UNCHECKED_NOTE)
    for table in in_chunks(images, max_images, group_column):
        statistics = measure_images(table, runtime) if table.has_files else empty_statistics(table)
        trained += sum(digest in fitted_run.training_digests for digest in statistics.frame["digest"])
        reasons = unusable_images(table, statistics, fitted_run.training_ranges)
        refused |= {len(refused) + index: reason for index, reason in enumerate(reasons.values())}
        if refused and not skip_unreadable:
            continue  # keep measuring, so that the error names every unusable image
        rows = np.setdiff1d(np.arange(len(table)), list(reasons))
        predicted += len(rows)
        predictions, logits = _predict_part(fitted_run, usable_images(table, statistics, rows, runtime), separator)
        labels, samples = labels | set(predictions["labels"].to_list()), samples + predictions.height
        flagged += predictions.filter(pl.col("warning").is_not_null()).select("id", "warning").rows()
        yield _with_errors(table, predictions, logits, reasons) if skip_unreadable else (predictions, logits)
    if refused and not skip_unreadable:
        for reason in refused.values() if len(refused) > 1 else ():  # the error message shortens long lists
            runtime.progress.info(reason)
        require_usable(refused, len(images))
    if not predicted:
        raise DataError(f"none of {pluralize(len(images), 'image')} can be predicted: {join_names(refused.values())}")
    _report_flagged(fitted_run, flagged, refused, len(images))
    if trained:
        verb = "is a training image" if trained == 1 else "are training images"
        runtime.progress.info(f"note: {trained:,} of {pluralize(len(images), 'image')} {verb} of this run.")
    note = describe_single_label(labels, samples, len(fitted_run.decision.classes))
    if note is not None:
        runtime.progress.info(note)


def _predict_part(fitted_run: FittedRunProtocol, new: NewImages, separator: str) -> tuple[pl.DataFrame, AnyScores]:
    images, classes = new.images, fitted_run.decision.classes
    empty = np.zeros((0, len(classes)), np.float32)
    logits: AnyScores = keep_top_k(empty) if len(classes) > MANY_CLASSES else empty
    nearest: Sequence[Sequence[tuple[str, float]]] = []
    if len(images):
        logits, nearest = fitted_run.predict_logits(new)
    names = label_names(fitted_run.decide(logits, images), classes) if len(images) else []
    predictions = predictions_csv_table(
        images.samples.frame["sample"],
        names,
        logits,
        fitted_run.decision,
        calibration=fitted_run.calibration,
        separator=separator,
    )
    if any(model.indexes for model in fitted_run.models):
        predictions = predictions.with_columns(
            nearest_column([[name for name, _ in neighbors] for neighbors in nearest])
        )
    order = np.argsort(images.sample_numbers, kind="stable")
    cuts = np.cumsum(np.bincount(images.sample_numbers, minlength=predictions.height))[:-1]
    rows = [part.tolist() for part in np.split(order, cuts)] if predictions.height else []
    channels = images.channels or ()
    return predictions.with_columns(
        warning_texts(fitted_run.training_ranges, logits, rows, new.statistics.frame, channels)
    ), logits


def _with_errors(
    table: ImageTable, predictions: pl.DataFrame, logits: AnyScores, reasons: dict[int, str]
) -> tuple[pl.DataFrame, AnyScores]:
    samples = table.samples.frame["sample"]
    texts: list[str | None] = [None] * len(samples)
    for row, reason in reasons.items():
        number = int(table.sample_numbers[row])
        texts[number] = f"{texts[number]}; {reason}" if texts[number] else reason
    every = pl.DataFrame({"id": samples, "error": pl.Series(texts, dtype=pl.String)})
    number_of = {name: index for index, name in enumerate(predictions["id"].to_list())}
    positions = np.array([number_of.get(name, -1) for name in samples.to_list()], np.int64)
    joined = every.join(predictions, on="id", how="left", maintain_order="left").select(*predictions.columns, "error")
    return joined, _with_gaps(logits, positions)


def _with_gaps(logits: AnyScores, positions: np.ndarray) -> AnyScores:  # type: ignore[type-arg]
    if (positions >= 0).all():
        return logits[positions]
    if isinstance(logits, TopKScores):
        parts = [
            np.concatenate([part, np.full((1, *part.shape[1:]), gap, part.dtype)])
            for part, gap in ((logits.top_classes, 0), (logits.top_logits, np.nan), (logits.rest_logsumexp, np.nan))
        ]
        return TopKScores(logits.classes, *(part[positions] for part in parts))
    wide = np.asarray(logits)
    return np.asarray(np.concatenate([wide, np.full((1, wide.shape[1]), np.nan, wide.dtype)])[positions])


def _report_flagged(
    fitted_run: FittedRunProtocol, flagged: list[tuple[str, str]], refused: dict[int, str], count: int
) -> None:
    say = fitted_run.runtime.progress.info
    if refused:
        verb = "has" if len(refused) == 1 else "have"
        say(
            f"note: {len(refused):,} of {pluralize(count, 'image')} {verb} no prediction: "
            f"{join_names(refused.values())}."
        )
    if flagged:
        examples = "; ".join(f"{name!r}: {words}" for name, words in flagged[:MAX_NAMED])
        more = f"; and {len(flagged) - MAX_NAMED:,} more, see the column `warning`" if len(flagged) > MAX_NAMED else ""
        verb = "is" if len(flagged) == 1 else "are"
        say(
            f"note: {len(flagged):,} of {pluralize(count, 'image')} {verb} unlike the training images: "
            f"{examples}{more}."
        )
