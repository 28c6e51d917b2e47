"""Tables of predictions made by any tool, as arrays that can be scored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import logit

from holotype.core.errors import DataError, InputError, join_names, pluralize
from holotype.core.independence import components, group_numbers
from holotype.data.label_lists import LIST_PATTERN, parse_label_list
from holotype.data.missing import MISSING_WORDS, describe_missing_words, without_missing
from holotype.data.tables import read_noted_table, text_table
from holotype.evaluation.metrics import ScoredSamples
from holotype.evaluation.prediction_columns import PredictionColumns
from holotype.types import MANY_CLASSES, AnyLabels, AnyScores, Integers, Kind, LabelMatrix, TopKScores, keep_top_k

TableSource = Path | str | pl.DataFrame
SEPARATORS = ("|", ";", ",", " ")
MIN_PROBABILITY, MAX_PROBABILITY = 1e-37, 1 - 1e-16
SUM_TOLERANCE = 0.05


@dataclass(frozen=True)
class LabeledPredictions:
    """Predictions of one model with the true labels.

    Args:
        scored: Its logits are zero without probabilities.
        groups: Group columns of the scored samples.
        ids: Id of each scored sample; None if the table has none.
        notes: What was guessed, left out or counted as wrong, in sentences.
    """

    model: str
    scored: ScoredSamples
    classes: tuple[str, ...]
    groups: pl.DataFrame
    ids: pl.Series | None
    has_probabilities: bool
    notes: tuple[str, ...]

    def group_ties(self) -> list[Integers]:
        """Number of each sample's group, by group column; -1 where it is unknown."""
        return [group_numbers(self.groups[name]) for name in self.groups.columns]

    def independent_groups(self) -> Integers:
        """Independent group of each sample, shape (n,)."""
        return components(np.arange(len(self.scored.truth)), self.group_ties())

    def rows(self, index: Integers) -> LabeledPredictions:
        """Select samples."""
        ids = None if self.ids is None else self.ids.gather(index)
        return replace(self, scored=self.scored.rows(index), groups=self.groups[index], ids=ids)


def read_prediction_table(table: TableSource) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read a table of predictions, with its columns as text, and notes on how it was read."""
    if isinstance(table, pl.DataFrame):
        if not table.height:
            raise DataError("the table of predictions has no rows")
        return text_table(table, lists=True), ()
    noted = read_noted_table(table, "", lists=True)
    return noted.frame, noted.notes


def parse_predictions(
    frames: Sequence[pl.DataFrame],
    columns: Sequence[PredictionColumns],
    models: Sequence[str],
    separator: str | None = None,
) -> list[LabeledPredictions]:
    """Parse the predictions of several models, with the same classes for all.

    Rows without a label are left out and counted; a missing prediction counts as wrong. Raises DataError if labels or
    probabilities do not fit together.
    """
    listed = list(dict.fromkeys(name for part in columns for name in part.probabilities))
    separator, note = _find_separator(frames[0], columns[0], separator, listed)
    kind = _find_kind(frames[0][columns[0].label], separator)
    parsed = [_parse_labels(*pair, kind, separator, listed) for pair in zip(frames, columns, strict=True)]
    classes = _order_classes([labels for labels, _ in parsed], listed)
    notes = [note] if note else []
    return [
        _make_predictions(
            frame, part, labels, model=model, kind=kind, classes=classes, notes=(*notes, *part.notes, *remarks)
        )
        for frame, part, (labels, remarks), model in zip(frames, columns, parsed, models, strict=True)
    ]


def _find_separator(
    frame: pl.DataFrame, columns: PredictionColumns, separator: str | None, classes: Sequence[str]
) -> tuple[str | None, str]:
    """Separator of several labels in a cell: as given, or the only one whose parts are all classes."""
    column = frame[columns.label]
    if separator is not None or column.dtype == pl.List:
        return separator, ""
    values = column.drop_nulls().str.strip_chars().unique()
    if classes and not set(values) <= {*classes, *MISSING_WORDS}:
        for candidate in SEPARATORS:
            parts = values.str.split(candidate).explode().str.strip_chars()
            if set(parts) <= {*classes, *MISSING_WORDS}:
                return candidate, f"several labels per sample, separated by {candidate!r}"
    elif not classes:
        split = [candidate for candidate in SEPARATORS[:2] if values.str.contains(candidate, literal=True).any()]
        if split:
            return None, (
                f"some labels contain {split[0]!r} and count as one class each; if it separates labels, add "
                f"--separator '{split[0]}'"
            )
    return None, ""


def _find_kind(column: pl.Series, separator: str | None) -> Kind:
    if separator is not None or column.dtype == pl.List:
        return "multilabel"
    values = column.drop_nulls().str.strip_chars()
    is_list = values.str.contains(LIST_PATTERN)
    return "multilabel" if len(values) and is_list.all() else "multiclass"


def _parse_labels(
    frame: pl.DataFrame, columns: PredictionColumns, kind: Kind, separator: str | None, classes: Sequence[str]
) -> tuple[dict[str, pl.Series], tuple[str, ...]]:
    """Label lists of the label and prediction columns, and notes on rows without any."""
    lists, notes = {}, []
    for role, name in (("label", columns.label), ("predicted", columns.predicted)):
        if name is None:
            continue
        lists[role], words = _split_labels(frame[name], kind, separator, classes)
        missing = int((lists[role].list.len() == 0).sum())
        if missing and kind == "multiclass":
            what, effect = ("label", "left out") if role == "label" else ("prediction", "counted as wrong")
            notes.append(f"{pluralize(missing, 'row')} without a {what}{describe_missing_words(words)}: {effect}")
    return lists, tuple(notes)


def _split_labels(
    column: pl.Series, kind: Kind, separator: str | None, classes: Sequence[str]
) -> tuple[pl.Series, dict[str, int]]:
    if column.dtype == pl.List:
        return column.cast(pl.List(pl.String)).fill_null([]), {}
    if kind == "multiclass":
        text, words = without_missing(column, classes)
        return pl.select(pl.concat_list(text).list.drop_nulls()).to_series(), words
    cells = []
    for cell in column.fill_null("").str.strip_chars().to_list():
        parts = parse_label_list(cell) if re.match(LIST_PATTERN, cell) else None
        if parts is None:
            parts = [part.strip() for part in (cell.split(separator) if separator else [cell])]
        cells.append([part for part in parts if part in classes or part not in MISSING_WORDS])
    return pl.Series(cells, dtype=pl.List(pl.String)), {}


def _order_classes(parsed: Sequence[dict[str, pl.Series]], listed: Sequence[str]) -> tuple[str, ...]:
    """Classes in the order of the probability columns, else numbers by value and words alphabetically."""
    names = {str(name) for lists in parsed for part in lists.values() for name in part.explode().drop_nulls()}
    if listed:
        unknown = sorted(names - set(listed))
        if unknown:
            raise DataError(
                f"{pluralize(len(unknown), 'label')} without a column of probabilities: {join_names(unknown, 8)}",
                field="--probabilities",
                remedy="name all probability columns, or the separator of several labels (--separator)",
            )
        return tuple(listed)
    if len(names) < 2:
        raise DataError(
            f"the labels and predictions are of {pluralize(len(names), 'class')}: {join_names(sorted(names))}",
            field="--label",
            remedy="at least two classes are needed",
        )
    if all(re.fullmatch("-?[0-9]+", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _make_predictions(
    frame: pl.DataFrame,
    columns: PredictionColumns,
    lists: dict[str, pl.Series],
    *,
    model: str,
    kind: Kind,
    classes: tuple[str, ...],
    notes: Sequence[str],
) -> LabeledPredictions:
    has_label = np.ones(frame.height, bool) if kind == "multilabel" else (lists["label"].list.len() > 0).to_numpy()
    rows = np.flatnonzero(has_label)
    truth = _label_matrix(lists["label"].gather(rows), classes)
    if not len(rows) or not truth.any():
        raise DataError("no row has a true label", field="--label", value=columns.label)
    notes = list(notes)
    scores, probability_notes = _read_probabilities(frame[rows], columns, classes, kind)
    if columns.predicted is None:
        decided = _decide(scores, kind)
        notes.append("predictions: the likeliest class" if kind == "multiclass" else "predictions: probability >= 0.5")
    else:
        decided = _label_matrix(lists["predicted"].gather(rows), classes)
    ids = None if columns.id is None else frame[columns.id].gather(rows).cast(pl.String).str.strip_chars()
    ids, id_notes = _check_ids(ids)
    return LabeledPredictions(
        model,
        ScoredSamples(_as_labels(truth), _as_labels(decided), _as_logits(scores, kind, *decided.shape), kind),
        classes,
        frame[rows].select(without_missing(frame[name].gather(rows))[0] for name in columns.groups),
        ids,
        scores is not None,
        (*notes, *probability_notes, *id_notes),
    )


def _label_matrix(lists: pl.Series, classes: tuple[str, ...]) -> LabelMatrix:
    number = {name: index for index, name in enumerate(classes)}
    lengths = lists.list.len().to_numpy().astype(np.int64)
    flat = [number[name] for cell in lists.to_list() for name in cell]
    return LabelMatrix.from_pairs(
        np.repeat(np.arange(len(lists)), lengths), np.array(flat, np.int64), (len(lists), len(classes))
    )


def _check_ids(ids: pl.Series | None) -> tuple[pl.Series | None, tuple[str, ...]]:
    if ids is None:
        return None, ()
    repeated = ids.filter(ids.is_duplicated()).drop_nulls().unique(maintain_order=True)
    if len(repeated) or ids.null_count():
        what = f"{pluralize(len(repeated), 'id')} repeated" if len(repeated) else f"{ids.null_count():,} ids missing"
        return None, (f"column {ids.name!r} does not identify the rows ({what}) and is not used as id",)
    return ids, ()


def _read_probabilities(
    frame: pl.DataFrame, columns: PredictionColumns, classes: tuple[str, ...], kind: Kind
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    if not columns.probabilities:
        return None, ()
    absent = [name for name in classes if name not in columns.probabilities]
    if absent:
        raise DataError(f"no probabilities of {join_names(absent, 8)}", field="--probabilities")
    names = [columns.probabilities[name] for name in classes]
    parts = [frame[name].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy() for name in names]
    values = np.stack(parts, axis=1)
    wrong = np.argwhere(~((values >= 0) & (values <= 1)))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"{pluralize(len(wrong), 'value')} in the probability columns, the first in {names[column]!r} "
            f"({frame[names[column]][int(row)]!r}), are no numbers between 0 and 1",
            field="--probabilities",
            remedy="write probabilities: a softmax of logits, or a sigmoid for several labels per sample",
        )
    away = float(np.abs(values.sum(axis=1) - 1).mean())
    if kind == "multiclass" and not values.any(axis=1).all():
        raise DataError("some rows have a probability of 0 for every class", field="--probabilities")
    if kind == "multiclass" and away > SUM_TOLERANCE:
        return values, (f"probabilities do not sum to one (off by {away:.2f} on average) and are scaled to it",)
    return values, ()


def _decide(scores: NDArray[np.float64] | None, kind: Kind) -> LabelMatrix:
    if scores is None:
        raise InputError("neither predictions nor probabilities", field="--predicted")
    if kind == "multilabel":
        return LabelMatrix.from_dense(scores >= 0.5)
    return LabelMatrix.from_pairs(np.arange(len(scores)), scores.argmax(axis=1), scores.shape)


def _as_labels(labels: LabelMatrix) -> AnyLabels:
    return labels if labels.classes > MANY_CLASSES else labels[:]


def _as_logits(scores: NDArray[np.float64] | None, kind: Kind, samples: int, classes: int) -> AnyScores:
    """Logits of the probabilities; without any, equal ones, which no metric of labels reads."""
    if scores is None and kind == "multilabel":
        return np.zeros((samples, classes), np.float32)
    if scores is None:
        top = np.zeros((samples, 1))
        rest = np.full(samples, np.log(classes - 1), np.float32)
        return TopKScores(classes, top.astype(np.int32), top.astype(np.float32), rest)
    clipped = np.clip(scores, MIN_PROBABILITY, MAX_PROBABILITY)
    logits = np.asarray(logit(clipped) if kind == "multilabel" else np.log(clipped), np.float32)
    return keep_top_k(logits) if classes > MANY_CLASSES else logits
