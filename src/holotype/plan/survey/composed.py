"""File names that several columns make up together: `{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product, takewhile

import polars as pl

from holotype.plan.survey.files import channel_order, natural_key
from holotype.plan.survey.headers import spread
from holotype.plan.survey.mending import free_name

__all__ = ["Composed", "compose_names", "filled"]

EXAMPLE_FILES, EXAMPLE_ROWS = 4000, 60
LONGEST = 4  # pieces of a name that one value may stretch over
MOST_CHANNELS, MOST_SITES = 8, 16
WITHIN, FOUND = 0.95, 0.9  # of the names that a column must know, and of the rows whose files must be there
TRIED = 500
PARTED = re.compile(r"([\W_]+)")


@dataclass(frozen=True)
class Composed:
    """How several columns name files.

    Args:
        pattern: With a column in each pair of braces.
        channels: The channels' names; none where one file holds them all.
        site: A name that is no column's but stands in the pattern, where a row has several images; or none.
        sites: What it stands for.
    """

    pattern: str
    channels: tuple[str, ...]
    site: str = ""
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """Pieces of a name, from the first to the last, that hold a column's value behind a constant beginning."""

    first: int
    last: int
    beginning: str
    column: str


def compose_names(table: pl.DataFrame, files: tuple[str, ...]) -> Composed | None:
    """A pattern of at least two columns that leads from most rows to files, each row to its own.

    Names are cut into pieces at what is neither letter nor digit. A column may stand where nearly all that stands there
    are values of it; what differs and is no column's is the channel, and before that the site.

    Args:
        table: Training and test rows; only columns that may name files.
        files: The image files, relative to the data folder.

    Returns:
        None where no such pattern is found.
    """
    table = table.select(name for name in table.columns if name != "channel" and not re.search(r"[{}]", name))
    site = free_name("site", table)
    names, links = _alike([files[number] for number in spread(len(files), EXAMPLE_FILES)])
    if any(re.search(r"[{}]", link) for link in links):
        return None  # braces are the pattern's own
    pieces = list(zip(*names, strict=True))
    differing = [number for number, own in enumerate(pieces) if len(set(own)) > 1]
    places = _places(table, names, links, set(differing))
    present = set(files)
    rows = table[spread(table.height, EXAMPLE_ROWS)].to_dicts()
    for tried, chosen in enumerate(_choices(places)):
        if tried >= TRIED:
            break
        found = _fitting(chosen, names, links, differing, site)
        if found is not None and len(chosen) > 1 and _leads_to_files(found, rows, present):
            return found
    return None


def _alike(files: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """The pieces of the names that are built as most are, and what stands between them."""
    cut = [PARTED.split(name) for name in files]
    shape = Counter(tuple(parts[1::2]) for parts in cut).most_common(1)[0][0]
    return [parts[::2] for parts in cut if tuple(parts[1::2]) == shape], list(shape)


def _joined(parts: Sequence[str], links: Sequence[str], first: int, last: int) -> str:
    return parts[first] + "".join(links[number] + parts[number + 1] for number in range(first, last))


def _beginning(values: set[str]) -> str:
    """The letters that all values begin with."""
    pairs = zip(min(values), max(values), strict=False)
    return "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1] and pair[0].isalpha(), pairs))


def _places(
    table: pl.DataFrame, names: list[list[str]], links: list[str], differing: set[int]
) -> dict[str, list[_Place]]:
    """Where each column may stand, the columns with the most values first."""
    known = {name: set(table[name].drop_nulls()) for name in table.columns}
    found: dict[str, list[_Place]] = {name: [] for name in sorted(known, key=lambda name: -len(known[name]))}
    count = len(names[0]) if names else 0
    for first in range(count):
        for last in range(first, min(first + LONGEST, count)):
            if not differing & set(range(first, last + 1)) or any("/" in link for link in links[first:last]):
                continue
            here = Counter(_joined(parts, links, first, last) for parts in names)
            for beginning in dict.fromkeys(("", _beginning(set(here)))):
                inside = {value[len(beginning) :]: times for value, times in here.items()}
                for column, values in found.items():
                    fits = sum(times for value, times in inside.items() if value in known[column])
                    enough = 2 * len(known[column] & set(inside)) >= min(len(known[column]), len(names) // 50)
                    if len(known[column]) > 1 and fits >= WITHIN * len(names) and enough:
                        values.append(_Place(first, last, beginning, column))
    return {column: places for column, places in found.items() if places}


def _choices(places: dict[str, list[_Place]]) -> Iterator[tuple[_Place, ...]]:
    """Sets of places that do not overlap, those of more columns first as far as a depth-first search gives them so."""

    def further(columns: list[str], taken: tuple[_Place, ...]) -> Iterator[tuple[_Place, ...]]:
        if not columns:
            yield taken
            return
        for place in places[columns[0]]:
            if all(place.last < other.first or place.first > other.last for other in taken):
                yield from further(columns[1:], (*taken, place))
        yield from further(columns[1:], taken)

    yield from further(list(places), ())


def _fitting(
    chosen: tuple[_Place, ...], names: list[list[str]], links: list[str], differing: Sequence[int], site: str
) -> Composed | None:
    """The pattern of some places; what is left over is the channel, and a crossed rest before it the site."""
    covered = {number for place in chosen for number in range(place.first, place.last + 1)}
    left = [number for number in differing if number not in covered]
    if left and (left[-1] - left[0] >= len(left) or any("/" in link for link in links[left[0] : left[-1]])):
        return None
    ends = {place.first: (place.last, f"{place.beginning}{{{place.column}}}") for place in chosen}
    channels: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    if left:
        whole = {_joined(parts, links, left[0], left[-1]) for parts in names}
        last = {parts[left[-1]] for parts in names}
        before = {_joined(parts, links, left[0], left[-2]) for parts in names} if len(left) > 1 else set()
        if before and len(whole) == len(last) * len(before) and len(last) <= MOST_CHANNELS:
            start = _beginning(before)
            sites = tuple(sorted((value[len(start) :] for value in before), key=natural_key))
            ends |= {left[0]: (left[-2], f"{start}{{{site}}}"), left[-1]: (left[-1], "{channel}")}
            channels = channel_order(last)
        else:
            ends[left[0]] = (left[-1], "{channel}")
            channels = channel_order(whole)
    if len(channels) > MOST_CHANNELS or len(sites) > MOST_SITES:
        return None
    return Composed(_text(names[0], links, ends), channels, site if sites else "", sites)


def _text(parts: list[str], links: list[str], ends: dict[int, tuple[int, str]]) -> str:
    text, number = "", 0
    while number < len(parts):
        last, own = ends.get(number, (number, parts[number]))
        text += own + (links[last] if last < len(links) else "")
        number = last + 1
    return text


def filled(pattern: str, values: Mapping[str, str | None]) -> str:
    """A pattern with values in place of its braces; what has none stays.

    Args:
        pattern: With names in braces.
        values: Name to value.
    """
    return re.sub(r"\{([^{}]+)\}", lambda hole: hole[0] if hole[1] not in values else values[hole[1]] or "", pattern)


def _leads_to_files(found: Composed, rows: list[dict[str, str | None]], present: set[str]) -> bool:
    """Whether nearly all rows have all their files, no two rows the same one."""
    seen: set[str] = set()
    complete = 0
    for row in rows:
        pattern = filled(found.pattern, row)
        crossed = product(found.sites or ("",), found.channels or ("",))
        own = [filled(pattern, {found.site: site, "channel": channel}) for site, channel in crossed]
        if not seen.isdisjoint(own):
            return False
        seen.update(own)
        complete += all(name in present for name in own)
    return complete >= FOUND * len(rows)
