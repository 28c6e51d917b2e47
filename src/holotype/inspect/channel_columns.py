"""Channel columns: one file column per channel, as in CellProfiler (`FileName_DNA`, `PathName_DNA`, `URL_DNA`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from holotype.core.errors import join_names
from holotype.inspect.files import FileIndex, is_image_name
from holotype.inspect.repair_tables import free_name

CELLPROFILER = re.compile(r"^(?P<table>Image_)?(?P<kind>FileName|URL)_(?P<channel>.+)$", re.IGNORECASE)
NO_CHANNEL = re.compile(
    r"(?<![a-z])(mask|segmentation|thumb|thumbnail|annotation|outline|overlay|preview|label|object|prob)|illum|outlines?$",
    re.IGNORECASE,
)
EXAMPLES = 100
NEARLY_ALL = 0.9


@dataclass(frozen=True)
class ChannelColumns:
    """File columns of the channels, with their patterns.

    Args:
        tables: Training and test table, with new file columns if paths had to be resolved.
    """

    patterns: dict[str, str]
    tables: tuple[pl.DataFrame, pl.DataFrame | None]
    added: tuple[str, ...]
    question: str


def find_channel_columns(
    train: pl.DataFrame, test: pl.DataFrame | None, files: tuple[str, ...]
) -> ChannelColumns | None:
    """Find the columns that each name the files of one channel. Returns None if fewer than two columns do."""
    index = FileIndex(files)
    columns = _columns_with_files(train, _find_file_columns(train, test), index)
    if len(columns) < 2:
        return None
    patterns: dict[str, str] = {}
    added: dict[str, tuple[str, str | None]] = {}
    for channel, column in columns.items():
        folder = _find_folder_column(train, column)
        pattern = _infer_file_pattern([train] if test is None else [train, test], column, folder, index)
        if pattern is None:
            name = free_name(f"file_{channel}", train, test)
            added[name] = column, folder
            pattern = f"{{{name}}}"
        patterns[channel] = pattern

    def with_files(table: pl.DataFrame) -> pl.DataFrame:
        replacement = [
            pl.Series(
                name,
                [None if value is None else index.find(value) or value for value in _list_paths(table, column, folder)],
                dtype=pl.String,
            )
            for name, (column, folder) in added.items()
        ]
        return table.with_columns(replacement)

    question = (
        f"Are the files of {join_names(columns.values(), 6)} the channels {join_names(patterns, 6)} of one image? If "
        "they are separate images, write a table with one row per image."
    )
    tables = with_files(train), None if test is None else with_files(test)
    return ChannelColumns(patterns, tables, tuple(added), question)


def _find_file_columns(train: pl.DataFrame, test: pl.DataFrame | None) -> dict[str, str]:
    shared = [name for name in train.columns if test is None or name in test.columns]
    shared = [name for name in shared if not re.search(r"[{}]", name) and _holds_files(train[name])]
    named = {name: match for name in shared if (match := CELLPROFILER.match(name))}
    for kind in ("filename", "url"):
        of_kind = {match["channel"]: name for name, match in named.items() if match["kind"].lower() == kind}
        of_kind = {channel: name for channel, name in of_kind.items() if not NO_CHANNEL.search(channel)}
        if of_kind:
            return of_kind
    shared = [name for name in shared if not NO_CHANNEL.search(name)]
    channels = _differing_parts(shared)
    return dict(zip(channels, shared, strict=True)) if len(set(channels)) == len(shared) else {}


def _columns_with_files(train: pl.DataFrame, columns: dict[str, str], index: FileIndex) -> dict[str, str]:
    selected: dict[str, str] = {}
    earlier_files: list[list[str | None]] = []
    for channel, column in columns.items():
        paths = _list_paths(train.head(EXAMPLES), column, _find_folder_column(train, column))
        resolved = [None if path is None else index.find(path) for path in paths]
        same = any(
            path is not None and path == other
            for earlier in earlier_files
            for path, other in zip(resolved, earlier, strict=True)
        )
        here = sum(path is not None for path in resolved)
        if not same and here and here >= NEARLY_ALL * sum(path is not None for path in paths):
            selected[channel] = column
            earlier_files.append(resolved)
    return selected


def _holds_files(values: pl.Series) -> bool:
    examples = values.drop_nulls().head(EXAMPLES)
    return len(examples) > 0 and all(is_image_name(value) for value in examples)


def _differing_parts(names: Sequence[str]) -> list[str]:
    """Parts in which names differ, cut at separators: `file_dna`, `file_er` give dna, er."""
    if len(names) < 2:
        return list(names)
    words = [re.split(r"[\W_]+", name) for name in names]
    while all(len(parts) > 1 for parts in words) and len({parts[0] for parts in words}) == 1:
        words = [parts[1:] for parts in words]
    while all(len(parts) > 1 for parts in words) and len({parts[-1] for parts in words}) == 1:
        words = [parts[:-1] for parts in words]
    return ["_".join(parts) for parts in words]


def _find_folder_column(train: pl.DataFrame, column: str) -> str | None:
    """The folder column of a column of file names: `PathName_DNA` for `FileName_DNA`."""
    name = re.sub("FileName", "PathName", column, count=1, flags=re.IGNORECASE)
    return name if name != column and name in train.columns else None


def _list_paths(table: pl.DataFrame, column: str, folder: str | None) -> list[str | None]:
    if folder is None:
        return table[column].to_list()
    return [
        name if name is None or path is None else f"{path.replace(chr(92), '/').rstrip('/')}/{name}"
        for path, name in zip(table[folder], table[column], strict=True)
    ]


def _infer_file_pattern(
    tables: Sequence[pl.DataFrame], column: str, folder: str | None, index: FileIndex
) -> str | None:
    """Pattern of the file of each row: the column alone, below its folder column, or below a constant folder.

    None if no pattern fits every row, for example if plates hold files of the same names.
    """
    rows = []
    for table in tables:
        folders = [None] * table.height if folder is None or folder not in table.columns else table[folder].to_list()
        for above, name, path in zip(folders, table[column], _list_paths(table, column, folder), strict=True):
            if name is not None and path is not None:
                rows.append((above, name, index.find(path)))
    matched = [row for row in rows if row[2] is not None]
    if not matched or len(matched) < NEARLY_ALL * len(rows):
        return None
    if all(name == file for _, name, file in matched):
        return f"{{{column}}}"
    if folder is not None and all(f"{above}/{name}" == file for above, name, file in matched):
        return f"{{{folder}}}/{{{column}}}"
    _, name, file = matched[0]
    constant = str(file).removesuffix(f"/{name}")
    fixed = all(f"{constant}/{name}" == file for _, name, file in matched) and not re.search(r"[{}]", constant)
    return f"{constant}/{{{column}}}" if fixed else None
