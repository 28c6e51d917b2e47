"""Multi-column file patterns, such as `{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product, takewhile

import polars as pl

from holotype.inspect.files import channel_order, natural_key
from holotype.inspect.headers import spread_positions
from holotype.inspect.repair_tables import free_name

EXAMPLE_FILES, EXAMPLE_ROWS = 4000, 60
MAX_SPAN = 4  # pieces of a name that one value may span
MAX_CHANNELS, MAX_SITES = 8, 16
MIN_VALUES_SHARE = 0.95  # share of the names whose part must be a value of the column
MIN_FOUND_SHARE = 0.9  # share of the rows whose files must exist
MAX_TRIED = 500
SEPARATORS = re.compile(r"([\W_]+)")


@dataclass(frozen=True)
class MultiColumnPattern:
    """Multi-column file pattern."""

    pattern: str
    channels: tuple[str, ...]
    site: str = ""
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Span:
    first: int
    last: int
    beginning: str
    column: str


def infer_pattern(table: pl.DataFrame, files: tuple[str, ...]) -> MultiColumnPattern | None:
    """Infer a pattern of at least two columns that leads from most rows to files, each row to its own.

    Names are split at characters that are neither letters nor digits. A column fits a position if nearly all pieces
    there are values of the column. The varying pieces that no column explains are the channel and, before it, the site.
    Returns None if there is no such pattern.
    """
    table = table.select(name for name in table.columns if name != "channel" and not re.search(r"[{}]", name))
    site = free_name("site", table)
    names, links = _split_similar_names([files[number] for number in spread_positions(len(files), EXAMPLE_FILES)])
    if any(re.search(r"[{}]", link) for link in links):
        return None  # braces in file names cannot be told from those of the pattern
    pieces = list(zip(*names, strict=True))
    differing = [number for number, values in enumerate(pieces) if len(set(values)) > 1]
    spans_of_column = _find_spans(table, names, links, set(differing))
    present = set(files)
    rows = table[spread_positions(table.height, EXAMPLE_ROWS)].to_dicts()
    for tried, spans in enumerate(_iterate_choices(spans_of_column)):
        if tried >= MAX_TRIED:
            break
        candidate = _make_pattern(spans, names, links, differing, site)
        if candidate is not None and len(spans) > 1 and _leads_to_files(candidate, rows, present):
            return candidate
    return None


def _split_similar_names(files: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    cut = [SEPARATORS.split(name) for name in files]
    shape = Counter(tuple(parts[1::2]) for parts in cut).most_common(1)[0][0]
    return [parts[::2] for parts in cut if tuple(parts[1::2]) == shape], list(shape)


def _join_parts(parts: Sequence[str], links: Sequence[str], first: int, last: int) -> str:
    return parts[first] + "".join(links[number] + parts[number + 1] for number in range(first, last))


def _shared_letters(values: set[str]) -> str:
    pairs = zip(min(values), max(values), strict=False)
    return "".join(letter for letter, _ in takewhile(lambda pair: pair[0] == pair[1] and pair[0].isalpha(), pairs))


def _find_spans(
    table: pl.DataFrame, names: list[list[str]], links: list[str], differing: set[int]
) -> dict[str, list[_Span]]:
    values_of_column = {name: set(table[name].drop_nulls()) for name in table.columns}
    spans_of_column: dict[str, list[_Span]] = {
        name: [] for name in sorted(values_of_column, key=lambda name: -len(values_of_column[name]))
    }
    count = len(names[0]) if names else 0
    for first in range(count):
        for last in range(first, min(first + MAX_SPAN, count)):
            if not differing & set(range(first, last + 1)) or any("/" in link for link in links[first:last]):
                continue
            here = Counter(_join_parts(parts, links, first, last) for parts in names)
            for beginning in dict.fromkeys(("", _shared_letters(set(here)))):
                inside = {value[len(beginning) :]: times for value, times in here.items()}
                for column, values in spans_of_column.items():
                    fits = sum(times for value, times in inside.items() if value in values_of_column[column])
                    enough = 2 * len(values_of_column[column] & set(inside)) >= min(
                        len(values_of_column[column]), len(names) // 50
                    )
                    if len(values_of_column[column]) > 1 and fits >= MIN_VALUES_SHARE * len(names) and enough:
                        values.append(_Span(first, last, beginning, column))
    return {column: spans for column, spans in spans_of_column.items() if spans}


def _iterate_choices(spans_of_column: dict[str, list[_Span]]) -> Iterator[tuple[_Span, ...]]:
    """Sets of spans that do not overlap; depth first, so that sets of many columns come early."""

    def further(columns: list[str], taken: tuple[_Span, ...]) -> Iterator[tuple[_Span, ...]]:
        if not columns:
            yield taken
            return
        for span in spans_of_column[columns[0]]:
            if all(span.last < other.first or span.first > other.last for other in taken):
                yield from further(columns[1:], (*taken, span))
        yield from further(columns[1:], taken)

    yield from further(list(spans_of_column), ())


def _make_pattern(
    spans: tuple[_Span, ...], names: list[list[str]], links: list[str], differing: Sequence[int], site: str
) -> MultiColumnPattern | None:
    covered = {number for span in spans for number in range(span.first, span.last + 1)}
    left = [number for number in differing if number not in covered]
    if left and (left[-1] - left[0] >= len(left) or any("/" in link for link in links[left[0] : left[-1]])):
        return None
    ends = {span.first: (span.last, f"{span.beginning}{{{span.column}}}") for span in spans}
    channels: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    if left:
        channel_names = {_join_parts(parts, links, left[0], left[-1]) for parts in names}
        last = {parts[left[-1]] for parts in names}
        before = {_join_parts(parts, links, left[0], left[-2]) for parts in names} if len(left) > 1 else set()
        if before and len(channel_names) == len(last) * len(before) and len(last) <= MAX_CHANNELS:
            start = _shared_letters(before)
            sites = tuple(sorted((value[len(start) :] for value in before), key=natural_key))
            ends |= {left[0]: (left[-2], f"{start}{{{site}}}"), left[-1]: (left[-1], "{channel}")}
            channels = channel_order(last)
        else:
            ends[left[0]] = (left[-1], "{channel}")
            channels = channel_order(channel_names)
    if len(channels) > MAX_CHANNELS or len(sites) > MAX_SITES:
        return None
    return MultiColumnPattern(_format_parts(names[0], links, ends), channels, site if sites else "", sites)


def _format_parts(parts: list[str], links: list[str], ends: dict[int, tuple[int, str]]) -> str:
    text, number = "", 0
    while number < len(parts):
        last, piece = ends.get(number, (number, parts[number]))
        text += piece + (links[last] if last < len(links) else "")
        number = last + 1
    return text


def format_pattern(pattern: str, values: Mapping[str, str | None]) -> str:
    """Replace the names in braces by their values; names without a value stay."""
    return re.sub(r"\{([^{}]+)\}", lambda hole: hole[0] if hole[1] not in values else values[hole[1]] or "", pattern)


def _leads_to_files(candidate: MultiColumnPattern, rows: list[dict[str, str | None]], present: set[str]) -> bool:
    used_files: set[str] = set()
    complete = 0
    for row in rows:
        pattern = format_pattern(candidate.pattern, row)
        crossed = product(candidate.sites or ("",), candidate.channels or ("",))
        row_files = [format_pattern(pattern, {candidate.site: site, "channel": channel}) for site, channel in crossed]
        if not used_files.isdisjoint(row_files):
            return False
        used_files.update(row_files)
        complete += all(name in present for name in row_files)
    return complete >= MIN_FOUND_SHARE * len(rows)
