"""Channel files: match file names to images and channels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from os.path import commonprefix
from pathlib import Path, PurePath

import polars as pl

from holotype.core.errors import InputError, join_names
from holotype.data.file_patterns import channel_patterns, pattern_fields
from holotype.recipe.sections import DataSpec


class ChannelFileMatcher:
    """Match files to images and channels by the ends of the channels' patterns.

    Args:
        patterns: Pattern of each channel, in channel order; `{channel}` stands for the channel's name.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self.channels = tuple(patterns)
        parts = {channel: Path(pattern).parts for channel, pattern in patterns.items()}
        spelled = [_fill_channel(patterns[channel], channel) for channel in self.channels]
        first = _first_differing_part([Path(text).parts for text in spelled])
        if first is None:
            raise InputError(
                f"the files of the channels {join_names(self.channels)} are named by columns of a table; names "
                "alone do not tell them apart",
                field="images",
                remedy="give a table with those columns",
            )
        ends = {channel: "/".join(parts[channel][first:]) for channel in self.channels}
        self.pattern = " | ".join(dict.fromkeys(ends.values()))
        forms = [
            (_compile_pattern(end, channel), len(parts[channel]) - first, channel) for channel, end in ends.items()
        ]
        self._forms = sorted(
            forms, key=lambda form: -len(form[0].pattern)
        )  # longest first: `x_b.png` matches `{id}_b.png` before `{id}.png`

    def match(self, file: PurePath) -> tuple[str, str] | None:
        """Image (with its folder) and channel of a file, from its name alone; None if no pattern matches."""
        for expression, depth, channel in self._forms:
            match = expression.fullmatch("/".join(file.parts[-depth:]))
            if match is not None:
                return str(PurePath(*file.parts[:-depth]) / "_".join(match.groups())), channel
        return None


def make_channel_matcher(data: DataSpec, training_files: pl.Series | None = None) -> ChannelFileMatcher | None:
    """Matcher for the channel files of new images; None if one file holds all channels.

    `training_files`: file lists of the run's images; patterns are inferred from them if each channel's file is a column
    of the table. Raises InputError if names do not distinguish the channels.
    """
    patterns = channel_patterns(data)
    if patterns[0][0] is None:
        return None
    by_channel = {str(channel): pattern for channel, pattern in patterns}
    try:
        return ChannelFileMatcher(by_channel)
    except InputError:
        inferred = None if training_files is None else _infer_patterns(training_files, tuple(by_channel))
        if inferred is None:
            raise
        return ChannelFileMatcher(inferred)


def _infer_patterns(files: pl.Series, channels: tuple[str, ...]) -> dict[str, str] | None:
    ends: set[tuple[str, ...]] = set()
    for row in files:
        names = [Path(file).name for file in row]
        if len(set(names)) == 1:  # a folder for each channel
            ends.add(tuple(f"{Path(file).parent.name}/{{image}}" for file in row))
        else:
            head = re.sub(r"[\W_]*[^\W_]*$", "", commonprefix(names))  # noqa: RUF071  (names, not paths)
            if not head:
                return None
            ends.add(tuple(f"{{image}}{name[len(head) :]}" for name in names))
        if len(ends) > 1:
            return None
    endings = next(iter(ends), ())
    return dict(zip(channels, endings, strict=True)) if len(set(endings)) == len(channels) else None


def _fill_channel(pattern: str, channel: str) -> str:
    pieces = [
        text + ("" if name is None else channel if name == "channel" else "\0")
        for text, name in pattern_fields(pattern)
    ]
    return "".join(pieces)


def _first_differing_part(paths: Sequence[Sequence[str]]) -> int | None:
    """Index of the first path part that differs; None if two paths are equal."""
    if len({tuple(path) for path in paths}) < len(paths):
        return None
    shortest = min(len(path) for path in paths)
    return next((number for number in range(shortest) if len({path[number] for path in paths}) > 1), shortest - 1)


def _compile_pattern(pattern: str, channel: str) -> re.Pattern[str]:
    pieces = [
        re.escape(text) + ("" if name is None else re.escape(channel) if name == "channel" else "([^/]+)")
        for text, name in pattern_fields(pattern)
    ]
    return re.compile("".join(pieces))


def group_by_channel(files: Sequence[Path], names: ChannelFileMatcher) -> tuple[dict[str, list[Path]], list[Path]]:
    """Group files by image, in channel order; also returns the files that match no pattern."""
    files_by_image: dict[str, dict[str, Path]] = {}
    unnamed = []
    for file in files:
        match = names.match(file)
        if match is None:
            unnamed.append(file)
        else:
            files_by_image.setdefault(match[0], {})[match[1]] = file
    if not files_by_image:
        raise InputError(f"no file matches {names.pattern!r}; the first is {files[0].name!r}")
    for name, by_channel in files_by_image.items():
        missing = [channel for channel in names.channels if channel not in by_channel]
        if missing:
            raise InputError(
                f"{Path(name).name!r} has no file for {join_names(missing)}", remedy=f"name it as in {names.pattern!r}"
            )
    last = Counter(Path(name).name for name in files_by_image)
    rows = {
        Path(name).name if last[Path(name).name] == 1 else name: [by_channel[channel] for channel in names.channels]
        for name, by_channel in files_by_image.items()
    }
    return rows, unnamed
