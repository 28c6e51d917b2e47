"""New images: a folder, files or a table, read as an image table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from holotype.core.errors import DataError, InputError, join_names, pluralize
from holotype.core.progress import Progress
from holotype.core.table_files import strip_sheet_name
from holotype.data import TABLE_SUFFIXES
from holotype.data.channel_files import group_by_channel, make_channel_matcher
from holotype.data.file_patterns import image_files
from holotype.data.list_files import list_image_files, readable_suffixes
from holotype.data.table_sources import tidy_columns
from holotype.data.tables import read_noted_table
from holotype.data.uris import suffix
from holotype.recipe.sections import DataSpec
from holotype.types import ImageTable, Kind


def read_new_images(
    images: Path | str | Sequence[Path | str],
    data: DataSpec,
    classes: tuple[str, ...],
    kind: Kind,
    progress: Progress | None = None,
    trained: pl.Series | None = None,
) -> ImageTable:
    """Read new images as a table.

    `images`: folders, files, and tables with the columns of the recipe's pattern; `trained`: file lists of the run's
    own images, which show how files of channels are named.
    """
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    if not paths:
        raise InputError("no images were given", remedy="name a folder, files, or a table")
    missing = [str(path) for path in paths if not Path(strip_sheet_name(path)[0]).exists()]
    if len(paths) == 1 and missing:
        raise InputError(f"there is no file or folder {missing[0]!r}", remedy="name a folder, files, or a table")
    if missing:
        raise InputError(f"{len(missing):,} of {len(paths):,} images do not exist: {join_names(missing, 5)}")
    tables = [path for path in paths if suffix(strip_sheet_name(path)[0]) in TABLE_SUFFIXES]
    frames = [_frame_of_table(path, data, progress) for path in tables]
    files, unread = _list_files([path for path in paths if path not in tables], progress)
    if unread and make_channel_matcher(data, trained) is not None:
        unread = {}  # one file per channel: names that do not match are not used
    every = list(dict.fromkeys([*files, *unread]))
    if every:
        frame = _frame_of_files(every, data, trained, progress)
        words = [unread.get(Path(row_files[0])) for row_files in frame["files"]]
        frames.append(frame.with_columns(pl.Series("unread", words, dtype=pl.String)))
    frame = (
        pl.concat([part.with_columns(pl.col("id", "sample").cast(pl.String)) for part in frames], how="diagonal")
        if len(frames) > 1
        else frames[0]
    )
    twice = frame["id"].filter(frame["id"].is_duplicated()).unique(maintain_order=True).to_list()
    if twice:
        raise DataError(f"ids occur more than once in the given images: {join_names(twice, 5)}", field="images")
    channels = tuple(data.channels) if data.channels else None
    return ImageTable(frame, classes, kind, channels, projection=data.projection)


def in_chunks(images: ImageTable, max_images: int, group_column: str | None = None) -> Iterator[ImageTable]:
    """Split a table into chunks in its order, never splitting a sample."""
    frame = images.frame
    owner = frame["sample"].cast(pl.String)
    if group_column in frame.columns:
        owner = frame[group_column].cast(pl.String).fill_null(owner)
    sizes = frame.group_by(owner.alias("owner"), maintain_order=True).len()
    count, part, numbers = 0, 0, []
    for size in sizes["len"]:
        if count and count + size > max_images:
            count, part = 0, part + 1
        count += size
        numbers.append(part)
    number = owner.replace_strict(sizes["owner"], pl.Series(numbers), return_dtype=pl.Int64)
    for index in range(part + 1):
        yield replace(images, frame=frame.filter(number == index))


def _list_files(paths: list[Path], progress: Progress | None) -> tuple[list[Path], dict[Path, str]]:
    files: list[Path] = []
    unread: dict[Path, str] = {}
    for path in paths:
        if not path.is_dir() or path.suffix.lower() == ".zarr":
            files.append(path)
            continue
        listed = list_image_files(path)
        if not listed.files:
            unused = "".join(f"; {note.rstrip('.')}" for note in listed.notes())
            endings = join_names(sorted(readable_suffixes()))
            raise InputError(f"there are no images in {str(path)!r}{unused}", remedy=f"known endings: {endings}")
        if progress is not None:
            for note in listed.notes():
                progress.info(f"note: {note}")
        files += listed.files
        for form, names in listed.unread.items():
            unread |= {path / name: f"{path / name}: files ending in {form} are not read here" for name in names}
    return files, unread


def _frame_of_files(
    files: list[Path], data: DataSpec, trained: pl.Series | None, progress: Progress | None
) -> pl.DataFrame:
    names = make_channel_matcher(data, trained)
    if names is None:
        stems = Counter(file.stem for file in files)
        rows = {file.stem if stems[file.stem] == 1 else str(file): [file] for file in files}
    else:
        rows, unnamed = group_by_channel(files, names)
        if unnamed and progress is not None:
            examples = join_names([file.name for file in unnamed], 3)
            progress.info(
                f"note: {pluralize(len(unnamed), 'file')} not named as in {names.pattern!r} and not used: {examples}."
            )
    ids = pl.Series("id", list(rows))
    return _make_frame(ids, ids, pl.Series("files", [[str(file) for file in row] for row in rows.values()]))


def _frame_of_table(path: Path, data: DataSpec, progress: Progress | None) -> pl.DataFrame:
    source = tidy_columns(data, read_noted_table(path, "images"), str(path), labels=False)
    table = source.frame
    if progress is not None:
        for note in source.notes:
            progress.info(f"note: {note}")
    for column in (data.id, data.sample or data.id):
        if column not in table.columns:
            what = f"there is no column {column!r} in {str(path)!r}"
            raise DataError(what, field="images", value=column, allowed=table.columns)
    ids = table[data.id]
    unfit = ids.filter(ids.is_null() | ids.is_duplicated()).unique(maintain_order=True).to_list()
    if unfit:
        raise DataError(f"ids are missing or occur more than once: {join_names(unfit, 5)}", field="images")
    frame = _make_frame(ids, table[data.sample or data.id].fill_null(ids), image_files(data, table, str(path), "test"))
    extra_columns = [table[name].alias(f"group.{name}") for name in data.groups if name in table.columns]
    if data.domain in table.columns:
        extra_columns.append(table[data.domain].cast(pl.String).alias("domain"))
    return frame.with_columns(extra_columns)


def _make_frame(ids: pl.Series, samples: pl.Series, files: pl.Series) -> pl.DataFrame:
    columns = [ids.alias("id"), samples.alias("sample"), pl.Series("role", ["test"] * len(ids)), files.alias("files")]
    empty = [pl.lit(None, pl.List(pl.Int64)).alias("labels"), pl.lit(None, pl.String).alias("domain")]
    return pl.DataFrame(columns).with_columns(empty)
