"""File patterns of a single column: from examples to a pattern such as `images/{id}_{channel}.tif`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from holotype.inspect.files import channel_order

HOLE = "\0"
"""Placeholder of the row's value in a template."""
NOT_PICTURES = re.compile(
    r"(?<![a-z])(mask|segmentation|thumb|thumbnail|annotation|outline|overlay)s?(?![a-z])", re.IGNORECASE
)
SUFFIXES_BY_PREFERENCE = (".tif", ".tiff", ".png", ".bmp", ".webp", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Template:
    """Template of a row's file names. `text`: file name with `HOLE` for the value and `{channel}` for the channel."""

    text: str
    channels: tuple[str, ...]


@dataclass(frozen=True)
class RowFiles:
    """Row with a template of its files."""

    row: int
    template: Template


def spans_of_path(path: str, effort: int) -> Iterator[tuple[int, int]]:
    """Iterate over the spans of a path that could be a row's value, longest first within each kind.

    `effort`: 0: whole names, and the parts before or after a separator; 1: folders, and the parts between two
    separators; 2: the parts before or after a change between letters and digits.
    """
    name = path.rfind("/") + 1
    dot = path.rfind(".")
    if effort == 0:
        starts = [0, *(index + 1 for index, letter in enumerate(path) if letter == "/")]
        yield from ((start, end) for start in starts for end in (len(path), dot))
        cuts = [index for index in range(name + 1, dot - 1) if not path[index].isalnum()]
        yield from ((name, cut) for cut in reversed(cuts))
        yield from ((cut + 1, dot) for cut in cuts)
    elif effort == 1:
        cuts = [name - 1, *(index for index in range(name, dot) if not path[index].isalnum()), dot]
        pairs = ((first + 1, last) for first in cuts for last in cuts if first + 1 < last)
        yield from sorted(pairs, key=lambda pair: pair[0] - pair[1])
        end = -1
        for folder in path.split("/")[:-1]:
            yield end + 1, end + 1 + len(folder)
            end += 1 + len(folder)
    else:
        changes = [
            index
            for index in range(name + 1, dot)
            if path[index - 1 : index + 1].isalnum() and path[index].isdigit() != path[index - 1].isdigit()
        ]
        yield from ((name, change) for change in reversed(changes))
        yield from ((change, dot) for change in changes)


def match_values(files: tuple[str, ...], values: set[str], effort: int) -> dict[str, list[str]]:
    """Match column values to files: file names of each value, with a hole in place of the value.

    `effort`: as in `spans_of_path`.
    """
    matches: dict[str, list[str]] = {}
    lengths = {len(value) for value in values}
    for path in files:
        for start, end in spans_of_path(path, effort):
            if end - start in lengths and path[start:end] in values:
                matches.setdefault(path[start:end], []).append(path[:start] + HOLE + path[end:])
                break
    return matches


def templates_of_row(names: list[str]) -> Template | None:
    """Template of one row's files: a name with a hole, and a channel if there are several files.

    Masks, thumbnails and second copies in another format are ignored. Returns None if the files differ in more than one
    place.
    """
    names = _prefer_one_suffix([name for name in names if not NOT_PICTURES.search(name)] or names)
    if len(names) == 1:
        return Template(names[0], ())
    head = _shared_prefix(names)
    tail = _shared_prefix([name[len(head) :][::-1] for name in names])[::-1]
    channels = [name[len(head) : len(name) - len(tail)] for name in names]
    if "" in channels or (not tail and all("." in channel for channel in channels)):
        bare = min(names, key=lambda name: (len(name), name))  # `7.png` next to `7_copy.png`
        return Template(bare, ()) if all(len(name) > len(bare) for name in names if name != bare) else None
    if any(HOLE in channel or "/" in channel for channel in channels) or len(set(channels)) < len(channels):
        return None
    return Template(f"{head}{{channel}}{tail}", channel_order(channels))


def common_shape(rows: list[RowFiles]) -> list[RowFiles]:
    """Select the rows with the most common channel names."""
    if not rows:
        return []
    channels = Counter(row.template.channels for row in rows).most_common(1)[0][0]
    return [row for row in rows if row.template.channels == channels]


def column_in_segment(segments: list[str], table: pl.DataFrame, rows: list[int]) -> str | None:
    """Explain a path segment by a column: `Plate1`, `Plate2` become `Plate{plate}`.

    Returns the segment itself if it is the same in all rows; None if no column explains it.
    """
    if len(set(segments)) == 1:
        return segments[0]
    for column in table.columns:
        values = table[column].to_list()
        first = values[rows[0]]
        if not first or first not in segments[0]:
            continue
        before, _, after = segments[0].partition(first)
        pairs = zip(segments, rows, strict=True)
        if all(values[row] is not None and segment == f"{before}{values[row]}{after}" for segment, row in pairs):
            return f"{before}{{{column}}}{after}"
    return None


def _prefer_one_suffix(names: list[str]) -> list[str]:
    stems = {name.rpartition(".")[0] or name for name in names}
    if len(stems) == len(names):
        return names
    endings = {"." + name.rpartition(".")[2].lower() for name in names}
    preferred = [ending for ending in SUFFIXES_BY_PREFERENCE if ending in endings]
    best = (preferred or sorted(endings))[0]
    return [name for name in names if name.lower().endswith(best)] or names


def _shared_prefix(names: list[str]) -> str:
    """Common prefix, cut back to a separator, so that `brightfield` and `darkfield` are not cut within a word."""
    first, last = min(names), max(names)
    shared = next((index for index, letter in enumerate(first) if letter != last[index : index + 1]), len(first))
    return re.sub(r"[^\W_]+$", "", first[:shared])
