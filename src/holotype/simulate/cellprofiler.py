"""Simulated export of CellProfiler: objects of a drawn screen, segmented and measured as a pipeline would.

    measure_drawn_images (tables) → write_cellprofiler_export (CSV files or a SQLite database)

The measurements are those of the drawn pixels: area, position, intensity and texture of nuclei, cells and cytoplasm.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import ndimage

from holotype.core.table_files import write_table
from holotype.data.images import read_image
from holotype.simulate.microscopy import CHANNELS

COMPARTMENTS = ("Cells", "Cytoplasm", "Nuclei")
SMALLEST_NUCLEUS = 12
"""Pixels of the smallest nucleus."""
Array = NDArray[np.float64]
Labels = NDArray[np.int32]


def measure_drawn_images(
    images: pl.DataFrame, folder: Path, channels: Sequence[str] = CHANNELS, leak: bool = True
) -> dict[str, pl.DataFrame]:
    """Segment and measure drawn images, as CellProfiler names the columns of its tables.

    Args:
        images: `id`, `plate` and `well` of each image, and `labels` for the leak.
        folder: Holds `{id}_{channel}.png`; the nuclei are segmented in the channel `nucleus`.
        leak: Add `Image_Classify_Batch`, which is the number of the image's set of labels and no measurement.

    Returns:
        The tables `Image` and those of `COMPARTMENTS`, without compartments in the column names.
    """
    tables: dict[str, list[dict[str, object]]] = {name: [] for name in ("Image", *COMPARTMENTS)}
    for number, row in enumerate(images.iter_rows(named=True), start=1):
        files = {channel: f"{row['id']}_{channel}.png" for channel in channels}
        stored = read_image([folder / file for file in files.values()])
        pixels = stored.astype(np.float64) / np.iinfo(stored.dtype).max
        nuclei = _segment_nuclei(pixels[list(channels).index("nucleus")])
        cells = _grow_cells(nuclei, pixels.mean(axis=0))
        labels = {"Cells": cells, "Cytoplasm": np.where(nuclei > 0, 0, cells), "Nuclei": nuclei}
        facts: dict[str, object] = {"ImageNumber": number}
        facts |= {f"FileName_{channel}": file for channel, file in files.items()}
        facts |= {f"PathName_{channel}": str(folder) for channel in channels}
        facts |= {"Metadata_Plate": row["plate"], "Metadata_Well": row["well"]}
        facts |= {f"Count_{name}": int(nuclei.max()) for name in COMPARTMENTS}
        facts |= _intensities(pixels, np.ones(nuclei.shape, np.int32), 1, channels)[0]
        tables["Image"].append(facts)
        for name in COMPARTMENTS:
            tables[name] += _measure_objects(pixels, labels[name], int(nuclei.max()), channels, number)
    frames = {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in tables.items()}
    if leak:
        code = images["labels"].rank("dense").cast(pl.Float64).alias("Classify_Batch")
        frames["Image"] = frames["Image"].with_columns(code)
    return frames


def write_cellprofiler_export(
    folder: Path, tables: dict[str, pl.DataFrame], form: Literal["csv", "sqlite"] = "csv", prefix: str = ""
) -> Path:
    """Write measured tables as CellProfiler's ExportToSpreadsheet or ExportToDatabase does.

    Args:
        folder: Output folder; files of the same names are replaced.
        tables: From `measure_drawn_images`.
        form: `csv`: one file per table in the folder; `sqlite`: tables `Per_Image`, `Per_Cells` and so on, with
            compartments in the column names, in `measurements.sqlite`.
        prefix: Prefix of file or table names (`MyExpt_`).

    Returns:
        The folder, or the database.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if form == "csv":
        for name, frame in tables.items():
            write_table(frame, folder / f"{prefix}{name}.csv")
        return folder
    path = folder / "measurements.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        for name, frame in tables.items():
            columns = ", ".join(
                f'"{column if column in {"ImageNumber", "ObjectNumber"} else f"{name}_{column}"}"'
                for column in frame.columns
            )
            table = f'"{prefix}Per_{name}"'
            database.execute(f"CREATE TABLE {table} ({columns})")
            values = ", ".join("?" * frame.width)
            database.executemany(f"INSERT INTO {table} VALUES ({values})", frame.iter_rows())
    return path


def _segment_nuclei(nucleus: Array) -> Labels:
    """Numbered nuclei: connected pixels above the middle of dark and bright ones (isodata threshold)."""
    smooth = ndimage.gaussian_filter(nucleus, 1.0)
    threshold = smooth.mean()
    for _ in range(20):
        threshold = (smooth[smooth <= threshold].mean() + smooth[smooth > threshold].mean()) / 2
    numbered, _ = ndimage.label(smooth > threshold)
    areas = np.bincount(numbered.ravel())
    kept = np.flatnonzero(areas >= SMALLEST_NUCLEUS)
    order = np.zeros(len(areas), np.int32)
    order[kept[kept > 0]] = np.arange(1, (kept > 0).sum() + 1)
    return np.asarray(order[numbered], np.int32)


def _grow_cells(nuclei: Labels, light: Array) -> Labels:
    """Cells around nuclei: bright pixels go to the nearest nucleus."""
    if not nuclei.any():
        return nuclei
    nearest = ndimage.distance_transform_edt(nuclei == 0, return_distances=False, return_indices=True)
    is_cell = (ndimage.gaussian_filter(light, 1.0) > 0.5 * light.mean()) | (nuclei > 0)
    return np.where(is_cell, nuclei[tuple(nearest)], 0).astype(np.int32)


def _measure_objects(
    pixels: Array, labels: Labels, count: int, channels: Sequence[str], image: int
) -> list[dict[str, object]]:
    rows = _intensities(pixels, labels, count, channels)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    centers = ndimage.center_of_mass(np.ones(labels.shape), labels, range(1, count + 1)) if count else []
    return [
        {
            "ImageNumber": image,
            "ObjectNumber": number,
            "Number_Object_Number": number,
            "Parent_Nuclei": number,
            "Location_Center_X": center[1] if area else None,
            "Location_Center_Y": center[0] if area else None,
            "AreaShape_Area": float(area),
            **row,
        }
        for number, (row, area, center) in enumerate(zip(rows, areas.tolist(), centers, strict=True), start=1)
    ]


def _intensities(pixels: Array, labels: Labels, count: int, channels: Sequence[str]) -> list[dict[str, object]]:
    """Mean, deviation and texture (mean gradient) of each object in each channel; null for an object without pixels."""
    numbers = range(1, count + 1)
    columns: dict[str, Array] = {}
    for channel, plane in zip(channels, pixels, strict=True):
        gradient = ndimage.gaussian_gradient_magnitude(plane, 1.0)
        with np.errstate(invalid="ignore"):  # an object without pixels
            mean, deviation = ndimage.mean(plane, labels, numbers), ndimage.standard_deviation(plane, labels, numbers)
            texture = ndimage.mean(gradient, labels, numbers)
        columns[f"Intensity_MeanIntensity_{channel}"] = np.asarray(mean)
        columns[f"Intensity_StdIntensity_{channel}"] = np.asarray(deviation)
        columns[f"Texture_Gradient_{channel}"] = np.asarray(texture)
    return [
        {name: float(values[row]) if np.isfinite(values[row]) else None for name, values in columns.items()}
        for row in range(count)
    ]
