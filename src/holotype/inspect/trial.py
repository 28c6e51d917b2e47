"""Trial reading of images before a recipe is proposed: unreadable images, their errors and possible remedies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from holotype.core.errors import DataError, pluralize
from holotype.data.images import read_image
from holotype.data.limits import ReadOptions
from holotype.data.tiff import unnamed_page_count
from holotype.data.uris import open_file
from holotype.inspect.file_match import FileMatch, files_of_row
from holotype.inspect.headers import HEADER_SCHEMA, read_headers, spread_positions

ROWS = (1000, 300, 100, 30, 10, 3)
"""Candidate numbers of rows to read; the first is used whose files are small enough in total."""
BYTES = 200_000_000
HEADERS = {"train": 140, "test": 60}
MOSTLY = 0.5
COLORS = ("red", "green", "blue")


@dataclass(frozen=True)
class TrialReading:
    """Trial reading of some images.

    Args:
        headers: Headers of the readable images: `file`, `height`, `width`, `channels`, `bits`, `role`.
        unread: Error message by first file of each unreadable image.
        projection: Projection of planes or time points that makes images readable, if needed.
        pages: Number of unnamed pages of each TIFF, which are read as channels; otherwise 1.
    """

    headers: pl.DataFrame
    tried: int
    is_complete: bool
    unread: dict[str, str] = field(default_factory=dict)
    projection: str | None = None
    planes: str = ""
    pages: int = 1

    def describe_unread(self) -> str:
        """Beginning of a sentence: number of unreadable images, with the error of the first."""
        first, reason = next(iter(self.unread.items()))
        of = "" if self.is_complete else " tried"
        return f"{len(self.unread):,} of {pluralize(self.tried, 'image')}{of} cannot be read ({first}: {reason})"


def read_trial(folder: Path, file_match: FileMatch) -> TrialReading:
    """Read images spread over the tables, or all of them if they are few or small."""
    images: list[tuple[str, list[str]]] = []
    others: list[tuple[str, str]] = []
    rows = 0
    for role, table in (("train", file_match.train), ("test", file_match.test)):
        if table is None:
            continue
        rows += table.height
        selected = _select_rows(folder, file_match, table, role)
        images += selected
        names = [
            files_of_row(file_match, row, role)
            for row in table[spread_positions(table.height, HEADERS[role])].iter_rows(named=True)
        ]
        selected_files = {file for _, files in selected for file in files}
        others += [
            (role, row_files[number % len(row_files)])
            for number, row_files in enumerate(names)
            if not selected_files & set(row_files)
        ]
    headers, unread = _read_images(folder, file_match.channels, images, None)
    projection = None
    planes = next((reason for reason in unread.values() if "data.projection" in reason), "")
    if planes and len(unread) >= MOSTLY * len(images):
        projected = _read_images(folder, file_match.channels, images, "max")
        if len(projected[1]) < len(unread):
            projection, (headers, unread) = "max", projected
    one_file = projection is None and len(file_match.channels) < 2
    if one_file:
        for role in dict.fromkeys(role for role, _ in others):
            names_of_role = [name for other, name in others if other == role]
            more = read_headers(folder, names_of_role).with_columns(pl.lit(role).alias("role"))
            headers = pl.concat([headers, more])
    if not file_match.channels and are_photographs(headers):
        unread = _read_images(folder, COLORS, images, projection)[1]
    pages = _count_pages(folder, headers["file"].to_list()) if one_file else 1
    return TrialReading(headers, len(images), len(images) >= rows, unread, projection, planes, pages)


def are_photographs(headers: pl.DataFrame) -> bool:
    """Check whether 8-bit images mix gray and color, or some have a fourth channel.

    `headers`: columns `channels` and `bits`.
    """
    counts = set(headers["channels"].unique())
    return len(counts) > 1 and counts <= {1, 3, 4} and set(headers["bits"].unique()) == {8}


def _select_rows(folder: Path, file_match: FileMatch, table: pl.DataFrame, role: str) -> list[tuple[str, list[str]]]:
    for count in ROWS:
        rows = table[spread_positions(table.height, count)].iter_rows(named=True)
        files = [(role, files_of_row(file_match, row, role)) for row in rows]
        files = [
            (role, row_files)
            for role, row_files in files
            if all(name and (folder / name).exists() for name in row_files)
        ]
        if sum((folder / name).stat().st_size for _, row_files in files for name in row_files) <= BYTES:
            break
    return files


def _read_images(
    folder: Path, channels: Sequence[str], images: Sequence[tuple[str, list[str]]], projection: str | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    rows, unread = [], {}
    for role, files in images:
        try:
            pixels = read_image([folder / name for name in files], channels=channels or None, projection=projection)
        except DataError as error:
            reason = str(error).rstrip(".")
            for name in files:
                reason = reason.replace(str(folder / name), name)
            unread[files[0]] = reason.removeprefix(f"{files[0]} ")
            continue
        count, height, width = pixels.shape
        rows.append((files[0], height, width, count, pixels.dtype.itemsize * 8, role))
    return pl.DataFrame(rows, schema={**HEADER_SCHEMA, "role": pl.String}, orient="row"), unread


def _count_pages(folder: Path, files: Sequence[str]) -> int:
    first = next((name for name in files if name.lower().endswith((".tif", ".tiff"))), None)
    if first is None:
        return 1
    try:
        with open_file(folder / first) as stream:
            return unnamed_page_count(stream, first, Path(first).name, ReadOptions())
    except (DataError, OSError, ValueError, IndexError, KeyError):
        return 1
