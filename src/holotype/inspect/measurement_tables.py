"""Tables of measurements in a data folder: profiles, embeddings, and exports of CellProfiler."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from holotype.core.errors import HolotypeError, pluralize
from holotype.core.table_files import PARQUET_SUFFIXES, scan_parquet
from holotype.data.delimited import parse_delimited
from holotype.measurements.cellprofiler import SQLITE_SUFFIXES, csv_files, has_image_table
from holotype.measurements.column_names import is_identifier, is_measured
from holotype.measurements.typed_columns import ColumnTypes

HEAD_ROWS, HEAD_BYTES = 200, 1 << 20
COMPARTMENT = re.compile(r"(Cells|Nuclei|Cytoplasm|Image)_.+")
MIN_COMPARTMENT_COLUMNS, MIN_COLUMNS = 4, 50
"""Least number of measurements with and without CellProfiler's names; fewer may be facts about the samples."""


@dataclass(frozen=True)
class MeasurementGuess:
    """Table of measurements of a data folder.

    Args:
        path: Table, database, or folder of CSV files.
        tables: Tables of the folder that belong to it.
        columns: Names of the columns, to find those of the ids and plates; empty for an export of CellProfiler.
        measured: Number of measurements; 0 if it is not known without reading all.
    """

    path: Path
    tables: tuple[Path, ...]
    columns: tuple[str, ...] = ()
    measured: int = 0

    def note(self, folder: Path, id_column: str, groups: Iterable[str]) -> str:
        """Describe the table and the model that uses it, for the comments of a recipe."""
        name = self.path.relative_to(folder).as_posix() or "."
        settings: dict[str, str] = {"table": name}
        lower = {re.sub("^metadata_", "", column.lower()): column for column in self.columns}
        if self.columns and id_column.lower() not in lower and not any("FileName_" in name for name in self.columns):
            settings["id"] = "..."
        settings |= dict.fromkeys(["normalize_by"] if list(groups) else [], next(iter(groups), ""))
        what = pluralize(self.measured, "measurement") if self.measured else "measurements of CellProfiler"
        inner = ", ".join(f"{key}: {value}" for key, value in settings.items())
        missing = "; put the column with the ids of the images for the dots" if "id" in settings else ""
        return (
            f"{name}: {what}. To use them beside the network, add the model {{name: profiles, "
            f"measurements: {{{inner}}}, classifier: {{kind: lightgbm}}}}{missing}"
        )


def find_measurements(folder: Path, tables: Iterable[Path]) -> tuple[MeasurementGuess, ...]:
    """Find the tables of measurements of a folder and its subfolders.

    A table counts if it has at least four columns of numbers with the compartments of CellProfiler in their names, or
    50 columns of numbers that are not 0 and 1 alone.

    Args:
        tables: Tables of the folder, from `list_tables`.
    """
    tables = list(tables)
    guesses = []
    exports = [*folder.glob("*Image.csv"), *folder.glob("*/*Image.csv")]
    used: set[Path] = set()
    for parent in sorted({path.parent for path in exports}):
        files = csv_files(parent).get(parent, [])
        if len(files) > 1 and all("ImageNumber" in _head(path).columns for path in files[:2]):
            guesses.append(MeasurementGuess(parent, tuple(path for path in files if path in tables)))
            used.update(files)
    databases = (path for path in sorted(folder.glob("*")) if path.suffix.lower() in SQLITE_SUFFIXES and path.is_file())
    guesses += [MeasurementGuess(path, ()) for path in databases if has_image_table(path)]
    for path in tables:
        head = pl.DataFrame() if path in used else _head(path)
        measured = [name for name in head.columns if _is_measurement(head[name])]
        by_compartment = sum(COMPARTMENT.fullmatch(name) is not None for name in measured)
        if by_compartment >= MIN_COMPARTMENT_COLUMNS or len(measured) >= MIN_COLUMNS:
            guesses.append(MeasurementGuess(path, (path,), tuple(head.columns), len(measured)))
    return tuple(guesses)


def _head(path: Path) -> pl.DataFrame:
    """First rows of a table; empty if it is not Parquet or delimited text, or cannot be read."""
    try:
        if path.suffix.lower() in PARQUET_SUFFIXES:
            return scan_parquet(path).head(HEAD_ROWS).collect()
        if path.suffix.lower() not in {".csv", ".tsv"}:
            return pl.DataFrame()
        with path.open("rb") as stream:
            content = stream.read(HEAD_BYTES)
        lines = content if len(content) < HEAD_BYTES else content[: content.rfind(b"\n") + 1]
        text = parse_delimited(lines, path.name, "DATA", tabs=path.suffix.lower() == ".tsv")[0]
        return ColumnTypes(is_identifier).convert(text.head(HEAD_ROWS))
    except (HolotypeError, OSError, pl.exceptions.PolarsError):
        return pl.DataFrame()  # reading it as a table reports the error


def _is_measurement(column: pl.Series) -> bool:
    """Test if a column holds numbers, of which some are not 0 and 1."""
    if is_identifier(column.name):
        return False
    if isinstance(column.dtype, pl.List | pl.Array):
        return False
    return is_measured(column.dtype) and bool((~column.cast(pl.Float64).is_in([0.0, 1.0])).any())
