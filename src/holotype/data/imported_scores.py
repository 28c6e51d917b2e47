"""Imported scores: NPY, NPZ, CSV or Parquet files as logits in the order of our classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import logit

from holotype.core.errors import DataError, StoreError, join_names, pluralize
from holotype.core.table_files import read_parquet
from holotype.data.tables import read_table
from holotype.types import MANY_CLASSES, AnyScores, Kind, TopKScores

MIN_PROBABILITY, MAX_PROBABILITY = 1e-37, 1 - 1e-16
RESERVED_COLUMNS = ("id", "fold", "scores")
SUM_TOLERANCE = 0.05


@dataclass(frozen=True)
class ImportedScores:
    """Scores read from a file.

    Args:
        logits: Shape (rows, classes), float32, in the order of our classes.
        ids: Id of each row; None if rows are known by their order alone.
    """

    logits: AnyScores
    ids: tuple[str, ...] | None
    folds: tuple[str, ...] | None
    remarks: tuple[str, ...]


def read_scores(path: str, form: str, classes: tuple[str, ...], kind: Kind, field: str) -> ImportedScores:
    """Read a file of scores.

    `path`: `.npy`: one array (rows, classes); `.npz`: arrays `scores` and optionally `ids`, `classes` and `folds`;
    `.csv` or `.parquet`: `id`, optionally `fold`, and one column a class by name, or a list `scores`. Above 2,000
    classes only Parquet with `top_classes`, `top_logits` and `rest_logsumexp`, as a run writes it; `classes`: our
    classes in order; columns are matched by name, arrays without names by position. Raises DataError if it cannot be
    read, has other classes, or a value that is not a number or not a probability.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"the file {path!r} does not exist", field=field, value=path)
    if len(classes) > MANY_CLASSES:
        return _read_top_k(file, len(classes), field)
    values, ids, folds = (
        _read_array(file, classes, field)
        if file.suffix.lower() in {".npy", ".npz"}
        else _read_table(path, classes, field)
    )
    if values.ndim != 2 or values.shape[1] != len(classes):
        shape = "x".join(map(str, values.shape))
        raise DataError(
            f"the scores in {path!r} are {shape} and there are {len(classes)} classes",
            field=field,
            remedy="give one row per sample and one column per class",
        )
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        named = join_names([ids[row] for row in wrong[:5]] if ids else [f"row {row}" for row in wrong[:5]])
        raise DataError(
            f"{pluralize(len(wrong), 'row')} of {path!r} hold a score that is not a number: {named}", field=field
        )
    remarks = _describe_values(values, form, kind, path)
    if form == "logit":
        return ImportedScores(values.astype(np.float32), ids, folds, remarks)
    low, high = float(values.min(initial=0)), float(values.max(initial=1))
    if low < 0 or high > 1:
        raise DataError(
            f"the scores in {path!r} are not probabilities: {low:.3g} to {high:.3g}",
            field=field,
            remedy="write `kind: logit`",
        )
    clipped = np.clip(values, MIN_PROBABILITY, MAX_PROBABILITY)
    logits = logit(clipped) if kind == "multilabel" else np.log(clipped)
    return ImportedScores(logits.astype(np.float32), ids, folds, remarks)


def _read_top_k(path: Path, classes: int, field: str) -> ImportedScores:
    required = {"id", "top_classes", "top_logits", "rest_logsumexp"}
    remedy = (
        "give Parquet with `id`, `top_classes` (numbers, likeliest first), `top_logits` and `rest_logsumexp`, "
        "of all others"
    )
    if path.suffix not in {".parquet", ".pq"}:
        raise DataError(
            f"of {classes:,} classes only the likeliest are read", field=field, value=str(path), remedy=remedy
        )
    try:
        table = read_parquet(path)
    except (StoreError, OSError) as error:
        raise DataError(f"{str(path)!r} is not Parquet: {str(error).splitlines()[0]}", field=field) from error
    if not required <= set(table.columns):
        raise DataError(
            f"{str(path)!r} has no column {min(required - set(table.columns))!r}", field=field, remedy=remedy
        )
    forms: dict[str, pl.DataType | type[pl.DataType]] = {
        "top_classes": pl.List(pl.Int32),
        "top_logits": pl.List(pl.Float32),
        "rest_logsumexp": pl.Float32,
        "id": pl.String,
    }
    try:
        table = table.with_columns(pl.col(name).cast(kind) for name, kind in forms.items())
        holes = sum(table[name].explode().null_count() for name in forms)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{str(path)!r} has other column types: {reason}", field=field, remedy=remedy) from error
    if holes or not table.height:
        raise DataError(f"{str(path)!r} has no rows, or empty cells", field=field, remedy=remedy)
    widths = table["top_classes"].list.len().append(table["top_logits"].list.len()).unique().to_list()
    if len(widths) != 1 or not widths[0]:
        raise DataError(f"the lists in {str(path)!r} have {join_names(widths, 5)} entries", field=field, remedy=remedy)
    top = np.asarray(table["top_classes"].explode().to_numpy(), np.int32).reshape(-1, widths[0])
    logit = np.asarray(table["top_logits"].explode().to_numpy(), np.float32).reshape(-1, widths[0])
    scores = TopKScores(classes, top, logit, table["rest_logsumexp"].to_numpy().astype(np.float32))
    ordered = np.sort(top, axis=1)
    if top.min() < 0 or top.max() >= classes or (ordered[:, 1:] == ordered[:, :-1]).any():
        raise DataError(f"`top_classes` in {str(path)!r} names a class twice, or one that does not exist", field=field)
    if not scores.finite.all():
        raise DataError(f"{str(path)!r} holds a score that is not a number", field=field)
    folds = tuple(table["fold"].cast(pl.String).to_list()) if "fold" in table.columns else None
    return ImportedScores(scores, tuple(table["id"].cast(pl.String).to_list()), folds, ())


def _describe_values(values: NDArray[np.float64], form: str, kind: Kind, path: str) -> tuple[str, ...]:
    if not values.size:
        return ()
    within = values.min() >= 0 and values.max() <= 1
    if form == "logit" and within:
        return (f"All scores in {path!r} lie between 0 and 1: if they are probabilities, write `kind: probability`.",)
    away = np.abs(values.sum(axis=1) - 1).mean()
    if form == "probability" and kind == "multiclass" and away > SUM_TOLERANCE:
        return (
            f"The probabilities in {path!r} do not sum to one (off by {away:.2f} on average); they are scaled to it.",
        )
    return ()


def _read_array(path: Path, classes: tuple[str, ...], field: str) -> tuple[NDArray[np.float64], Any, Any]:
    try:
        stored = np.load(path, allow_pickle=False)
        parts = {"scores": stored} if isinstance(stored, np.ndarray) else {name: stored[name] for name in stored.files}
        values = None if "scores" not in parts else np.asarray(parts["scores"], np.float64)
        texts = {name: _to_text(parts[name]) for name in ("ids", "folds", "classes") if name in parts}
    except Exception as error:  # NumPy, zipfile and zlib raise many kinds of errors on damaged files
        first = next(iter(str(error).splitlines()), type(error).__name__)
        reason = "it holds Python objects, which are never loaded" if "pickle" in first else first
        raise DataError(
            f"{str(path)!r} is not an array of numbers: {reason}",
            field=field,
            remedy="write it once more, as numpy.save or numpy.savez does",
        ) from error
    if values is None:
        raise DataError(f"{str(path)!r} holds no array `scores`", field=field, allowed=parts)
    if values.ndim != 2:
        return values, None, None  # the caller raises an error with the shape
    for name, size in (("ids", len(values)), ("folds", len(values)), ("classes", values.shape[1])):
        if name in texts and len(texts[name]) != size:
            raise DataError(
                f"{str(path)!r} has {len(texts[name]):,} `{name}` and scores of {len(values):,} rows and "
                f"{values.shape[1]:,} classes",
                field=field,
            )
    if "classes" in texts:
        values = values[:, _match_classes(list(texts["classes"]), classes, str(path), field)]
    return values, texts.get("ids"), texts.get("folds")


def _to_text(array: NDArray[Any]) -> tuple[str, ...]:
    """Entries of an array as text: bytes as UTF-8, whole numbers without a decimal point."""
    if array.ndim != 1:
        raise ValueError(f"names have the shape {array.shape}, not one dimension")
    entries = array.tolist()
    texts = [entry.decode() if isinstance(entry, bytes) else str(entry) for entry in entries]
    if array.dtype.kind == "f":
        texts = [str(int(entry)) if float(entry).is_integer() else str(entry) for entry in entries]
    "".join(texts).encode()  # raises for lone surrogates, which Polars cannot store
    return tuple(texts)


def _read_table(path: str, classes: tuple[str, ...], field: str) -> tuple[NDArray[np.float64], Any, Any]:
    table = read_table(path, field, lists=True)
    if "id" not in table.columns:
        table = table.rename({table.columns[0]: "id"})
    ids = tuple(table["id"].cast(pl.String).to_list())
    folds = (
        tuple(table["fold"].cast(pl.String).to_list()) if "fold" in table.columns and "fold" not in classes else None
    )
    if "scores" in table.columns and "scores" not in classes:
        if not isinstance(table["scores"].dtype, pl.List | pl.Array):
            raise DataError(
                f"the column `scores` in {path!r} does not hold lists",
                field=field,
                remedy="one column a class, named as in classes.csv",
            )
        try:
            scores = table["scores"].cast(pl.List(pl.Float64))
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"a score in {path!r} is not a number: {reason}", field=field) from error
        lengths = scores.list.len().unique().to_list()
        if len(lengths) > 1 or None in lengths:
            raise DataError(f"the lists `scores` in {path!r} have {join_names(lengths, 5)} entries", field=field)
        return np.asarray(scores.to_list(), np.float64), ids, folds
    named = [name for name in table.columns if name in classes or name not in RESERVED_COLUMNS]
    order = _match_classes(named, classes, path, field)
    try:
        columns = [table[named[index]].cast(pl.Float64).fill_null(np.nan).to_numpy() for index in order]
    except pl.exceptions.PolarsError as error:
        raise DataError(f"a score in {path!r} is not a number: {str(error).splitlines()[0]}", field=field) from error
    return np.stack(columns, axis=1), ids, folds


def _match_classes(named: list[str], classes: tuple[str, ...], path: str, field: str) -> list[int]:
    absent = [name for name in classes if name not in named]
    unknown = [name for name in named if name not in classes]
    if absent or unknown or len(set(named)) < len(named):
        what = (
            f"has no column for {join_names(absent, 5)}"
            if absent
            else f"has columns that are not classes: {join_names(unknown, 5)}"
        )
        raise DataError(f"{path!r} {what}", field=field, remedy="one column a class, named as in classes.csv")
    return [named.index(name) for name in classes]
