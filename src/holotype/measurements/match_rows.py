"""Rows of a table of measurements matched to images and samples, by ids or by names of image files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.data import text_table
from holotype.data.file_patterns import pattern_fields
from holotype.data.uris import basename
from holotype.measurements.column_names import match_column
from holotype.recipe.sections import DataSpec, MeasurementsSpec
from holotype.types import ImageTable, Integers

__all__ = ["RowKeys", "id_columns", "read_row_keys", "samples_of_keys"]

FILE_NAME = re.compile(r"(?:Image_)?(?:FileName|URL)_.+", re.IGNORECASE)


@dataclass(frozen=True)
class RowKeys:
    """Id of each row of a table of measurements.

    Args:
        keys: Text, null for rows without an id.
        source: Column or pattern that they come from, for messages.
    """

    keys: pl.Series
    source: str
    notes: tuple[str, ...] = ()


def id_columns(spec: MeasurementsSpec, field: str) -> tuple[str, ...]:
    """Columns that `measurements.id` names.

    Raises:
        DataError: The pattern is broken.
    """
    if spec.id is None:
        return ()
    return tuple(name for _, name in pattern_fields(spec.id, f"{field}.id") if name) if "{" in spec.id else (spec.id,)


def read_row_keys(
    frame: pl.LazyFrame, spec: MeasurementsSpec, data: DataSpec, images: ImageTable, field: str
) -> RowKeys:
    """Read the id of each row.

    Raises:
        DataError: The column does not exist, or none is named and neither ids nor file names match.
    """
    schema = frame.collect_schema()
    if spec.id is not None:
        columns = {name: match_column(name, schema) for name in id_columns(spec, field)}
        for name, column in columns.items():
            if column is None:
                raise DataError(f"there is no column {name!r}", field=f"{field}.id", value=name, allowed=schema)
        texts = text_table(frame.select([column for column in columns.values() if column]).collect())
        if "{" not in spec.id:
            return RowKeys(texts.to_series(), spec.id)
        pieces: list[pl.Expr] = []
        for text, part in pattern_fields(spec.id, f"{field}.id"):
            pieces += [pl.lit(text), *([pl.col(str(columns[part]))] if part else [])]
        return RowKeys(texts.select(pl.concat_str(pieces).alias("key")).to_series(), spec.id)
    for name in filter(None, (data.id, data.sample)):
        column = match_column(name, schema)
        if column is not None:
            return RowKeys(text_table(frame.select(column).collect()).to_series(), column)
    return _keys_by_file_name(frame, list(schema), images, data, field)


def samples_of_keys(
    keys: pl.Series, images: ImageTable, spec: MeasurementsSpec, source: str, field: str
) -> tuple[str, Integers]:
    """Level of distinct keys (`image` or `sample`), and the number of the sample of each; -1 for unknown keys.

    Raises:
        DataError: No key is an id or a sample.
    """
    ids, samples = (dict(zip(images.frame[name], images.sample_numbers, strict=True)) for name in ("id", "sample"))
    numbers = {name: _look_up(keys, mapping) for name, mapping in (("image", ids), ("sample", samples))}
    matches = {name: int((sample >= 0).sum()) for name, sample in numbers.items()}
    level = max(matches, key=lambda name: (matches[name], name == "image")) if spec.level != "sample" else "sample"
    level = "image" if spec.level == "image" else level
    if not matches[level]:
        expected = images.frame["sample" if level == "sample" else "id"].head(2).to_list()
        raise DataError(
            f"no row of the table belongs to {'a sample' if level == 'sample' else 'an image'} of the recipe: "
            f"{source!r} has {join_names(map(repr, keys.head(2)))}, and the recipe has "
            f"{join_names(map(repr, expected))}",
            field=f"{field}.id",
            remedy='name the column of the ids, or a pattern such as "{Metadata_Plate}_{Metadata_Well}"',
        )
    return level, numbers[level]


def _look_up(keys: pl.Series, numbers: Mapping[str, int]) -> Integers:
    return np.array([numbers.get(key, -1) for key in keys], np.int64)


def _keys_by_file_name(
    frame: pl.LazyFrame, columns: list[str], images: ImageTable, data: DataSpec, field: str
) -> RowKeys:
    """Ids of the images whose files a row names; a row of no image keeps the file's path as its key."""
    candidates = [name for name in columns if FILE_NAME.fullmatch(name)]
    ids_by_file = _ids_by_file(images)
    best, best_matches, best_column = pl.Series("key", [], dtype=pl.String), 0, ""
    for name in candidates:
        folders = match_column(re.sub("(?i)FileName_", "PathName_", name), columns)
        folders = None if folders == name else folders  # a URL has both
        texts = text_table(frame.select(name, *([folders] if folders else [])).collect())
        paths = (
            texts[name] if folders in {None, name} else pl.select(texts[str(folders)] + "/" + texts[name]).to_series()
        )
        ids = _ids_of_paths(paths.drop_nulls().unique().to_list(), ids_by_file)
        keys = paths.replace_strict(ids, default=None, return_dtype=pl.String)
        matches = keys.len() - keys.null_count()
        if matches > best_matches:
            best, best_matches, best_column = keys.fill_null(paths), matches, name
    if not best_matches:
        named = " or ".join(repr(name) for name in (data.id, data.sample) if name)
        tried = f", and the file names in {join_names(candidates, 5)} are not those of the images" if candidates else ""
        raise DataError(
            f"the table has no column {named}{tried}",
            field=f"{field}.id",
            remedy='name the column of the ids, or a pattern such as "{Metadata_Plate}_{Metadata_Well}"',
            allowed=columns,
        )
    return RowKeys(
        best, best_column, (f"Rows of measurements are matched to images by the file names in {best_column}.",)
    )


def _ids_by_file(images: ImageTable) -> dict[str, str | None]:
    """Id of the image of each file, by its name, and by the name of its folder and its name; None for several."""
    ids: dict[str, str | None] = {}
    for name, files in images.frame.select("id", "files").iter_rows():
        for file in set(files or ()):
            for key in {basename(file), "/".join(_parts(file)[-2:])}:
                ids[key] = name if ids.get(key, name) == name else None
    return ids


def _parts(address: str) -> list[str]:
    return address.replace("\\", "/").rstrip("/").split("/")


def _ids_of_paths(paths: list[str], ids: Mapping[str, str | None]) -> dict[str, str]:
    """Id of each path by its folder and name, or by its name alone if no two paths share it."""
    names = {path: _parts(path) for path in paths}
    counts = Counter(parts[-1] for parts in names.values())
    matches = {
        path: ids.get("/".join(parts[-2:])) or (ids.get(parts[-1]) if counts[parts[-1]] == 1 else None)
        for path, parts in names.items()
    }
    return {path: key for path, key in matches.items() if key is not None}
