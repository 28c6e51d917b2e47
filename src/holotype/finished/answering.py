"""Predictions of new images, part by part: checked, predicted, and every image accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import polars as pl

from holotype.data import measure_images
from holotype.decide import label_names
from holotype.errors import DataError, counted, listing
from holotype.finished.asked import parts_of
from holotype.finished.seen import NewImages, refuse_unusable, unusable_images, usable_images
from holotype.finished.voices import Nearest, Voice
from holotype.road.answers import answer_table, nearest_column
from holotype.road.unusual import Usual, warning_texts
from holotype.runtime import Runtime
from holotype.types import MANY, AnyLabels, AnyScores, Calibration, Decision, ImageTable, TopScores, condense

__all__ = ["Predictor", "predict_parts"]

NAMED_AT_MOST = 5
UNCHECKED = "note: this run keeps no statistics of its training images (audit/statistics.parquet): the depth and the " \
            "intensities of new images were not checked."  # fmt: skip


class Predictor(Protocol):
    """What a run must have to predict: the parts of `OpenedRun` that are used here."""

    @property
    def decision(self) -> Decision:
        """As it was fitted."""

    @property
    def calibration(self) -> Calibration:
        """As it was fitted."""

    @property
    def runtime(self) -> Runtime:
        """Device, threads and progress."""

    @property
    def usual(self) -> Usual:
        """What its training images are like."""

    @property
    def voices(self) -> Sequence[Voice]:
        """Its members' networks."""

    def hear(self, new: NewImages) -> tuple[AnyScores, Nearest]:
        """The scores of new images, and their nearest specimens.

        Args:
            new: The images.
        """

    def decide(self, logits: AnyScores, images: ImageTable) -> AnyLabels:
        """The labels of samples.

        Args:
            logits: Their scores.
            images: Their table.
        """


def predict_parts(
    opened: Predictor, images: ImageTable, most: int, kept_together: str | None, separator: str, skip_unreadable: bool
) -> Iterator[tuple[pl.DataFrame, AnyScores]]:
    """Labels and probabilities of new images; those that are unlike the training images are named.

    Args:
        opened: The run.
        images: Rows of the role `test`.
        most: Images of a part.
        kept_together: The column whose values stay in one part each.
        separator: What stands between labels.
        skip_unreadable: Give images that cannot be predicted a row without labels and a reason in the column `error`.

    Returns:
        Tables and the scores behind them, shape (rows, classes); NaN in rows without labels.

    Raises:
        DataError: Images cannot be predicted; all of them are named.
    """
    runtime, predicted = opened.runtime, 0
    refused: dict[int, str] = {}
    odd: list[tuple[str, str]] = []
    if not opened.usual.known:
        runtime.progress.say(UNCHECKED)
    for table in parts_of(images, most, kept_together):
        statistics = measure_images(table, runtime)
        reasons = unusable_images(table, statistics, opened.usual)
        refused |= {len(refused) + place: reason for place, reason in enumerate(reasons.values())}
        if refused and not skip_unreadable:
            continue  # the others are read all the same, so that every such image is named
        rows = np.setdiff1d(np.arange(len(table)), list(reasons))
        predicted += len(rows)
        made, logits = _answered(opened, usable_images(table, statistics, rows, runtime), separator)
        odd += made.filter(pl.col("warning").is_not_null()).select("id", "warning").rows()
        yield _with_errors(table, made, logits, reasons) if skip_unreadable else (made, logits)
    if refused and not skip_unreadable:
        for reason in refused.values() if len(refused) > 1 else ():  # one line each: the error shortens long texts
            runtime.progress.say(reason)
        refuse_unusable(refused, len(images))
    if not predicted:
        raise DataError(f"none of {counted(len(images), 'image')} can be predicted: {listing(refused.values())}")
    _say_what_is_odd(opened, odd, refused, len(images))


def _answered(opened: Predictor, new: NewImages, separator: str) -> tuple[pl.DataFrame, AnyScores]:
    """The table of one part, and the scores behind it."""
    images, classes = new.images, opened.decision.classes
    nothing = np.zeros((0, len(classes)), np.float32)
    logits: AnyScores = condense(nothing) if len(classes) > MANY else nothing
    nearest: Sequence[Sequence[tuple[str, float]]] = []
    if len(images):
        logits, nearest = opened.hear(new)
    names = label_names(opened.decide(logits, images), classes) if len(images) else []
    form = (opened.calibration, separator)
    made = answer_table(images.samples.frame["sample"], names, logits, opened.decision, form)
    if any(voice.indexes for voice in opened.voices):
        made = made.with_columns(nearest_column([[name for name, _ in own] for own in nearest]))
    order = np.argsort(images.sample_numbers, kind="stable")
    cuts = np.cumsum(np.bincount(images.sample_numbers, minlength=made.height))[:-1]
    rows = [part.tolist() for part in np.split(order, cuts)] if made.height else []
    channels = images.channels or ()
    return made.with_columns(warning_texts(opened.usual, logits, rows, new.statistics.frame, channels)), logits


def _with_errors(
    table: ImageTable, made: pl.DataFrame, logits: AnyScores, reasons: dict[int, str]
) -> tuple[pl.DataFrame, AnyScores]:
    """A row for every sample, and why its images, or some of them, were passed over."""
    samples = table.samples.frame["sample"]
    texts: list[str | None] = [None] * len(samples)
    for row, reason in reasons.items():
        number = int(table.sample_numbers[row])
        texts[number] = f"{texts[number]}; {reason}" if texts[number] else reason
    every = pl.DataFrame({"id": samples, "error": pl.Series(texts, dtype=pl.String)})
    number_of = {name: place for place, name in enumerate(made["id"].to_list())}
    places = np.array([number_of.get(name, -1) for name in samples.to_list()], np.int64)
    joined = every.join(made, on="id", how="left", maintain_order="left").select(*made.columns, "error")
    return joined, _with_gaps(logits, places)


def _with_gaps(logits: AnyScores, places: np.ndarray) -> AnyScores:  # type: ignore[type-arg]
    """Scores in another order, NaN where there are none."""
    if (places >= 0).all():
        return logits[places]
    if isinstance(logits, TopScores):
        parts = [np.concatenate([part, np.full((1, *part.shape[1:]), gap, part.dtype)])
                 for part, gap in ((logits.top, 0), (logits.logit, np.nan), (logits.rest, np.nan))]  # fmt: skip
        return TopScores(logits.classes, *(part[places] for part in parts))
    wide = np.asarray(logits)
    return np.asarray(np.concatenate([wide, np.full((1, wide.shape[1]), np.nan, wide.dtype)])[places])


def _say_what_is_odd(opened: Predictor, odd: list[tuple[str, str]], refused: dict[int, str], count: int) -> None:
    say = opened.runtime.progress.say
    if refused:
        verb = "has" if len(refused) == 1 else "have"
        say(f"note: {len(refused):,} of {counted(count, 'image')} {verb} no prediction: {listing(refused.values())}.")
    if odd:
        told = "; ".join(f"{name!r}: {words}" for name, words in odd[:NAMED_AT_MOST])
        more = f"; and {len(odd) - NAMED_AT_MOST:,} more, see the column `warning`" if len(odd) > NAMED_AT_MOST else ""
        verb = "is" if len(odd) == 1 else "are"
        say(f"note: {len(odd):,} of {counted(count, 'image')} {verb} unlike the training images: {told}{more}.")
