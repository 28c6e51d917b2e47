"""Features of a model from a table of measurements: read, selected, normalized, and filled where they are missing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.errors import DataError, join_names, pluralize
from holotype.measurements.measurement_table import FIELD, MeasurementTable, read_measurements
from holotype.measurements.normalize import center_and_scale, normalize_rows
from holotype.measurements.select_columns import CODES, select_columns
from holotype.recipe.sections import DataSpec, MeasurementsSpec
from holotype.types import Floats, ImageTable, Integers

__all__ = [
    "FittedMeasurements",
    "PreparedMeasurements",
    "fit_measurements",
    "fit_new_plates",
    "measure_new_samples",
    "prepare_measurements",
    "transform_measurements",
]

NAMED_COLUMNS = 3
"""Number of left-out columns that a note names for each reason."""
FEW_ROWS = 5
"""Number of rows below which the center and scale of a plate are hardly known."""


@dataclass(frozen=True)
class FittedMeasurements:
    """Columns, normalization and filling of the measurements of a model, for its training rows and for new ones.

    Args:
        columns: Names of the measurements in order.
        groups: Plates with a normalization; empty without one.
        center: Shape (plates, columns).
        scale: Shape (plates, columns); 0 for a column that is constant in the plate.
        fill: Value of missing measurements after the normalization, shape (columns,); NaN to keep them.
        method: `standardize` or `mad-robustize`, for the plates of new rows.
        normalizes: Whether measurements are normalized.
    """

    columns: tuple[str, ...]
    groups: tuple[str, ...]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    fill: NDArray[np.float64]
    method: str
    normalizes: bool


@dataclass(frozen=True)
class PreparedMeasurements:
    """Features of all samples, and how they were made.

    Args:
        features: Shape (samples, columns), float32.
        fitted: For new samples.
        left_out: Columns that are not used: `column`, `reason`, `detail`.
        missing_samples: Numbers of the samples without measurements.
        notes: At most three paragraphs: how the table was read, left-out columns, missing values.
        warnings: Doubts about single columns or plates, in sentences.
    """

    features: Floats
    fitted: FittedMeasurements
    left_out: pl.DataFrame
    missing_samples: Integers
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def prepare_measurements(
    spec: MeasurementsSpec,
    images: ImageTable,
    data: DataSpec,
    *,
    independent_groups: Integers | None = None,
    field: str = FIELD,
) -> PreparedMeasurements:
    """Read, select, normalize and fill the measurements of all samples of a recipe.

    Args:
        spec: With an absolute path.
        independent_groups: Independent group of each sample, shape (samples,), for the check of single columns.
        field: Recipe key of the section, for messages.

    Raises:
        DataError: As `read_measurements`; or no column is left, a sample has no plate, or a plate has no controls.
    """
    table = read_measurements(spec, images, data, field=field)
    selection = select_columns(table, images, spec, independent_groups)
    left_out = pl.concat([table.left_out, selection.left_out])
    if not selection.columns:
        raise DataError(
            f"none of {pluralize(len(table.columns), 'measurement')} is left: "
            f"{join_names(sorted(set(selection.left_out['reason'])))}",
            field=f"{field}.columns",
            remedy="name columns in `columns` by their full names to use them",
        )
    table = replace(table.select(selection.columns), left_out=left_out)
    fitted, warnings = fit_measurements(table, spec, field=field)
    features = transform_measurements(fitted, table)
    paragraphs = (table.notes, _left_out_notes(left_out), _missing_value_notes(table, spec))
    notes = tuple(" ".join(sentences) for sentences in paragraphs if sentences)
    return PreparedMeasurements(
        features, fitted, left_out, table.missing_samples, notes, (*selection.warnings, *warnings)
    )


def measure_new_samples(
    fitted: FittedMeasurements, spec: MeasurementsSpec, images: ImageTable, data: DataSpec, *, field: str = FIELD
) -> tuple[Floats, tuple[str, ...]]:
    """Features of new samples, shape (samples, columns), and notes; the columns are those of the training table.

    A plate of the training table keeps its normalization. A new plate is normalized by its rows in the new table.

    Args:
        spec: With the path of the new table.
        images: New samples.

    Raises:
        DataError: As `read_measurements`; or the table lacks a measurement of the training table.
    """
    table = read_measurements(spec, images, data, columns=fitted.columns, field=field)
    extended, warnings = fit_new_plates(fitted, table, spec, field=field)
    return transform_measurements(extended, table), (*table.notes, *warnings)


def fit_measurements(
    table: MeasurementTable, spec: MeasurementsSpec, *, field: str = FIELD
) -> tuple[FittedMeasurements, tuple[str, ...]]:
    """Fit the normalization of each plate and the filling of missing values; no label is used.

    Returns:
        The fit, and warnings about plates of few rows and about replaced scales.

    Raises:
        DataError: A sample has no plate, or a plate has no controls.
    """
    width = len(table.columns)
    empty = FittedMeasurements(
        table.columns,
        (),
        np.zeros((0, width)),
        np.ones((0, width)),
        np.full(width, np.nan),
        spec.method,
        spec.normalizes,
    )
    fitted, warnings = fit_new_plates(empty, table, spec, field=field)
    if spec.missing == "keep":
        return fitted, warnings
    fill = np.zeros(width)
    if spec.missing == "median":
        values = _normalized(fitted, table)
        present = ~np.isnan(values).all(axis=0)
        fill[present] = np.nanmedian(values[:, present], axis=0)
    return replace(fitted, fill=fill), warnings


def transform_measurements(fitted: FittedMeasurements, table: MeasurementTable) -> Floats:
    """Normalize, aggregate and fill the measurements of all samples, shape (samples, columns), float32.

    Args:
        fitted: With the plates of the table, from `fit_new_plates`.
    """
    features = replace(table, values=_normalized(fitted, table)).by_sample
    return np.where(np.isnan(features), fitted.fill, features).astype(np.float32)


def fit_new_plates(
    fitted: FittedMeasurements, table: MeasurementTable, spec: MeasurementsSpec, *, field: str = FIELD
) -> tuple[FittedMeasurements, tuple[str, ...]]:
    """Add the normalization of the plates of a table that a fit lacks, by their rows in the table.

    Returns:
        The fit, and warnings about plates of few rows and about replaced scales.

    Raises:
        DataError: A sample has no plate, or a new plate has no controls.
    """
    if not fitted.normalizes:
        return fitted, ()
    frame = table.frame
    lost = frame.filter((pl.col("sample") >= 0) & pl.col("group").is_null())
    if lost.height:
        raise DataError(
            f"{pluralize(lost.height, 'row')} of measurements without a value of {spec.normalize_by!r}: "
            f"{join_names(lost['key'].to_list(), 5)}",
            field=f"{field}.normalize_by",
            remedy="fill the column in the table, or leave normalize_by out",
        )
    new = [name for name in frame["group"].drop_nulls().unique().sort() if name not in fitted.groups]
    centers, scales, replaced = [fitted.center], [fitted.scale], 0
    row_counts: dict[str, int] = {}
    for name in new:
        rows = (frame["group"] == name).fill_null(False).to_numpy()
        controls = frame["control"].to_numpy()[rows] if spec.controls else None
        if controls is not None and not controls.any():
            wanted_rows = ", ".join(f"{column} = {value}" for column, value in (spec.controls or {}).items())
            raise DataError(
                f"no row{f' of {spec.normalize_by} {name!r}' if spec.normalize_by else ''} is a control "
                f"({wanted_rows})",
                field=f"{field}.controls",
                remedy="correct the column or the value, or normalize to all rows (leave controls out)",
            )
        part = center_and_scale(table.values[rows], controls, fitted.method)
        row_counts[name] = int(rows.sum() if controls is None else controls.sum())
        replaced = max(replaced, part.replaced)
        centers.append(part.center[None])
        scales.append(part.scale[None])
    grown = replace(fitted, groups=(*fitted.groups, *new), center=np.concatenate(centers), scale=np.concatenate(scales))
    return grown, tuple(_plate_warnings(row_counts, replaced, "control rows" if spec.controls else "rows"))


def _plate_warnings(row_counts: dict[str, int], replaced: int, reference: str) -> list[str]:
    single = [name for name, count in row_counts.items() if count == 1]
    few = [name for name, count in row_counts.items() if 1 < count < FEW_ROWS]
    warnings = []
    if single:
        effect = "all their measurements are 0" if reference == "rows" else "their spread is unknown"
        warnings.append(
            f"{pluralize(len(single), 'plate')} with 1 of the {reference}: {join_names(single, 5)}; {effect}."
        )
    if few:
        names = join_names(few, 5)
        warnings.append(f"{pluralize(len(few), 'plate')} normalized by fewer than {FEW_ROWS} {reference}: {names}.")
    if replaced:
        warnings.append(
            f"In some plates up to {pluralize(replaced, 'measurement')} do not vary in most of the {reference}; they "
            "are divided by the standard deviation of all rows of the plate."
        )
    return warnings


def _normalized(fitted: FittedMeasurements, table: MeasurementTable) -> NDArray[np.float64]:
    if not fitted.normalizes:
        return table.values
    numbers = {name: number for number, name in enumerate(fitted.groups)}
    groups = np.array([numbers.get(name, -1) for name in table.frame["group"]], np.int64)
    return normalize_rows(table.values, groups, fitted.center, fitted.scale)


def _left_out_notes(left_out: pl.DataFrame) -> list[str]:
    """One sentence with the number and the first columns of each reason; codes with what they encode."""
    parts = []
    for reason, columns, details in (
        left_out.group_by("reason", maintain_order=True).agg("column", "detail").iter_rows()
    ):
        named = [f"{name}, {text}" for name, text in zip(columns, details, strict=True)] if reason in CODES else columns
        parts.append(f"{pluralize(len(columns), 'column')} ({reason}: {join_names(named, NAMED_COLUMNS)})")
    return [f"Left out: {'; '.join(parts)}."] if parts else []


def _missing_value_notes(table: MeasurementTable, spec: MeasurementsSpec) -> list[str]:
    rows = table.frame["sample"].to_numpy() >= 0
    missing = np.isnan(table.values[rows])
    if not missing.any():
        return []
    effect = {"median": "the median of the column", "zero": "zero", "keep": "kept as missing"}[spec.missing]
    return [
        f"{missing.sum():,} values of {pluralize(int(missing.any(axis=0).sum()), 'measurement')} are missing or "
        f"infinite: {effect} is used."
    ]
