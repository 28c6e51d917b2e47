"""Measurement table: one row per image or sample, read from any source and matched to the samples of a recipe."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.digest import digest_file, digest_table_source, digest_value
from holotype.core.errors import DataError, join_names, pluralize
from holotype.core.table_files import strip_sheet_name
from holotype.data import text_table
from holotype.data.missing import without_missing
from holotype.measurements.aggregate import aggregate_array, aggregate_columns, number_keys
from holotype.measurements.cellprofiler import change_logs, csv_files, is_export, open_export
from holotype.measurements.column_names import columns_by_name, is_identifier, is_measured, left_out_table, match_column
from holotype.measurements.match_rows import id_columns, read_row_keys, samples_of_keys
from holotype.measurements.sources import LazyTable, open_table
from holotype.recipe.sections import DataSpec, MeasurementsSpec
from holotype.types import Floats, ImageTable, Integers

__all__ = ["MeasurementTable", "measurements_digest", "read_measurements"]

MAX_MISSING = 0.2
"""Largest share of the samples of a role without measurements; more is a wrong `id`."""
FIELD = "models.measurements"


@dataclass(frozen=True)
class MeasurementTable:
    """Measurements of images or samples.

    Args:
        columns: Names of the measurements.
        values: Shape (rows, columns), with NaN for missing values.
        frame: One row per row of `values`: `key` (id or sample), `sample` (number; -1 if the recipe has none such),
            `group` (plate for the normalization, null if unknown), `control` (true for control rows).
        sample_count: Number of samples of the recipe.
        aggregate: Aggregation of several rows of a sample, `mean` or `median`.
        left_out: Columns that are not used: `column`, `reason`, `detail`.
        notes: How the table was read, in sentences.
    """

    columns: tuple[str, ...]
    values: NDArray[np.float64]
    frame: pl.DataFrame
    sample_count: int
    aggregate: str
    left_out: pl.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def missing_samples(self) -> Integers:
        """Numbers of the samples without a row."""
        present = np.zeros(self.sample_count, bool)
        present[self.frame["sample"].filter(self.frame["sample"] >= 0).to_numpy()] = True
        return np.flatnonzero(~present).astype(np.int64)

    @property
    def by_sample(self) -> NDArray[np.float64]:
        """Measurements of all samples, aggregated over their rows, shape (samples, columns); NaN if missing."""
        rows = self.frame["sample"].to_numpy()
        return aggregate_array(self.values, rows, self.sample_count, self.aggregate)

    def features_for(self, samples: Integers) -> Floats:
        """Measurements of some samples, shape (n, columns), float32; NaN for missing values and missing samples."""
        return self.by_sample[samples].astype(np.float32)

    def select(self, columns: Sequence[str]) -> MeasurementTable:
        """Table with some of the columns, in the given order."""
        index = {name: number for number, name in enumerate(self.columns)}
        return replace(self, columns=tuple(columns), values=self.values[:, [index[name] for name in columns]])


def measurements_digest(spec: MeasurementsSpec) -> str:
    """Digest of the table's bytes, of the CSV files of a folder, or of the version of a remote file."""
    folder = Path(spec.table)
    if "://" not in spec.table and folder.is_dir():
        files = [path for group in csv_files(folder).values() for path in group]
        return digest_value({path.relative_to(folder).as_posix(): digest_file(path) for path in files})
    if not is_export(spec.table):
        address, sheet = strip_sheet_name(spec.table)
        return digest_value([sheet, digest_table_source(str(address))])
    file, _, table = spec.table.partition("#")
    return digest_value([table, digest_table_source(file), *map(digest_file, change_logs(Path(file)))])


def read_measurements(
    spec: MeasurementsSpec,
    images: ImageTable,
    data: DataSpec,
    *,
    columns: Sequence[str] | None = None,
    field: str = FIELD,
) -> MeasurementTable:
    """Read a table of measurements, one row per image or sample, and match it to the samples of a recipe.

    Rows of no sample stay in the table, as controls and for the normalization of their plate. The table is read some
    columns at a time, so a million objects with 500 columns need less than 1 GB.

    Args:
        spec: With an absolute path.
        data: Names the columns of ids, samples, labels and groups.
        columns: Columns to read in this order, for new images of a fitted model; by default the measurements that
            `spec` selects by their names.
        field: Recipe key of the section, for messages.

    Raises:
        DataError: The table is missing or broken, a column does not exist, the ids do not match, or more than a fifth
            of the samples of a role have no row.
    """
    reserved = _reserved_columns(spec, data, field)

    def is_text(name: str) -> bool:
        is_listed = spec.columns != "auto" and name in spec.columns
        return not is_listed and (is_identifier(name) or any(match_column(column, [name]) for column in reserved))

    with tempfile.TemporaryDirectory(prefix="holotype-") as folder:
        if is_export(spec.table):
            source = open_export(spec.table, spec.aggregate, is_text, Path(folder), field)
        else:
            source = open_table(spec.table, is_text, Path(folder), field)
        schema = source.schema
        if columns is None:
            meanings = {str(match_column(name, schema)): meaning for name, meaning in reserved.items()}
            columns, left_out = columns_by_name(schema, spec, meanings, field)
        else:
            _require_columns(columns, schema, spec, field)
            left_out = left_out_table([])
        row_keys = read_row_keys(source.frame, spec, data, images, field)
        keys, numbers = number_keys(row_keys.keys)
        level, samples = samples_of_keys(keys, images, spec, row_keys.source, field)
        notes = [*source.notes, *row_keys.notes, *_level_notes(numbers, keys, level, spec, row_keys.source, field)]
        group = _attribute(spec.normalize_by, "normalize_by", source, numbers, samples, images, field)
        control = pl.Series([spec.controls is not None] * len(keys), dtype=pl.Boolean)
        for name, value in (spec.controls or {}).items():
            control &= (_attribute(name, "controls", source, numbers, samples, images, field) == value).fill_null(False)
        values = aggregate_columns(source.frame, columns, numbers, len(keys), spec.aggregate)
    rows = [keys.alias("key"), pl.Series("sample", samples), group.alias("group"), control.alias("control")]
    count = len(images.samples)
    table = MeasurementTable(tuple(columns), values, pl.DataFrame(rows), count, spec.aggregate, left_out)
    return replace(table, notes=(*notes, *_missing_notes(table, images, field)))


def _reserved_columns(spec: MeasurementsSpec, data: DataSpec, field: str) -> dict[str, str]:
    """Columns that are no measurements, with their meaning."""
    ranks = data.labels.taxonomy if isinstance(data.labels.taxonomy, list) else []
    names = [
        *((name, "a part of the id") for name in id_columns(spec, field)),
        *((name, "the column of the controls") for name in spec.controls or ()),
        (spec.normalize_by, "the column to normalize by"),
        *((name, "a rank of the label") for name in ranks),
        *((name, "a group") for name in data.groups),
        (data.domain, "the domain"),
        (data.sample, "the name of the samples"),
        (data.id, "the id of the images"),
        (data.labels.column, "the label"),
    ]
    return {name: meaning for name, meaning in names if name is not None}


def _require_columns(
    columns: Sequence[str], schema: dict[str, pl.DataType], spec: MeasurementsSpec, field: str
) -> None:
    missing = [name for name in columns if name not in schema or not is_measured(schema[name])]
    if missing:
        raise DataError(
            f"the table {spec.table!r} lacks {len(missing)} of the {pluralize(len(columns), 'measurement')} that the "
            f"model was trained on, as numbers: {join_names(missing, 5)}",
            field=f"{field}.table",
            remedy="export the same measurements as for the training table",
        )


def _level_notes(
    numbers: Integers, keys: pl.Series, level: str, spec: MeasurementsSpec, source: str, field: str
) -> list[str]:
    """Notes on rows without an id and on repeated ids.

    Raises:
        DataError: An id is repeated although the recipe states one row per image or sample.
    """
    counts = np.bincount(numbers[numbers >= 0], minlength=len(keys))
    repeated = np.flatnonzero(counts > 1)
    if len(repeated) and spec.level in {"image", "sample"}:
        named = join_names([keys[int(row)] for row in repeated[:5]])
        raise DataError(
            f"{pluralize(len(repeated), 'id')} in {source!r} with more than one row: {named}",
            field=f"{field}.level",
            value=spec.level,
            remedy="write `level: object` to aggregate the rows of an id",
        )
    without_id = int((numbers < 0).sum())
    notes = (
        [f"{pluralize(without_id, 'row')} of measurements without an id in {source!r} left out."] if without_id else []
    )
    if len(repeated):
        notes.append(
            f"{counts.sum():,} rows of measurements are aggregated to {len(keys):,} {level}s ({spec.aggregate})."
        )
    return notes


def _attribute(
    name: str | None, key: str, source: LazyTable, numbers: Integers, samples: Integers, images: ImageTable, field: str
) -> pl.Series:
    """Value of a column for each key: of the table of measurements, or of the recipe's groups and domain.

    Raises:
        DataError: The column does not exist, or an id has two values.
    """
    count = len(samples)
    if name is None:
        return pl.Series([""] * count, dtype=pl.String)
    column = match_column(name, source.schema)
    if column is None and name not in images.group_names:
        raise DataError(
            f"there is no column {name!r}",
            field=f"{field}.{key}",
            value=name,
            allowed=[*source.schema, *images.group_names],
        )
    if column is None:
        by_sample = images.samples.frame[f"group.{name}"]
        return by_sample.gather(pl.Series(samples).replace(-1, None))
    values, _ = without_missing(text_table(source.frame.select(column).collect()).to_series())
    pairs = pl.DataFrame({"number": numbers, "value": values}).filter(pl.col("number") >= 0).drop_nulls().unique()
    if pairs["number"].is_duplicated().any():
        raise DataError(
            f"rows of one id have different values in {column!r}",
            field=f"{field}.{key}",
            remedy="the rows of an image or a sample belong to one plate; check `id`",
        )
    every = pl.DataFrame({"number": np.arange(count)}).join(pairs, on="number", how="left", maintain_order="left")
    return every["value"]


def _missing_notes(table: MeasurementTable, images: ImageTable, field: str) -> list[str]:
    """Notes on samples without rows, and on rows without a sample.

    Raises:
        DataError: More than a fifth of the samples of a role have no row.
    """
    notes = []
    missing = table.missing_samples
    frame = images.samples.frame[missing]
    for role, rows in frame.group_by("role", maintain_order=True):
        total = len(images.samples.of_role(str(role[0])))
        named = join_names(rows["sample"].to_list(), 5)
        what = f"{rows.height:,} of {pluralize(total, f'{role[0]} sample')} have no measurements: {named}"
        if rows.height > MAX_MISSING * total:
            raise DataError(
                what,
                field=f"{field}.id",
                remedy=f"at most {MAX_MISSING:.0%} may be missing; add their rows to the table, or correct `id`",
            )
        notes.append(f"{what}; their values count as missing.")
    strays = table.frame.filter(pl.col("sample") < 0)
    if strays.height:
        use = "; they serve for normalization only" if strays["group"].is_not_null().any() else ""
        notes.append(
            f"{pluralize(strays.height, 'row')} of measurements of no sample of the recipe: "
            f"{join_names(strays['key'].to_list(), 5)}{use}."
        )
    return notes
