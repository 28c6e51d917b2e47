"""File names of channels: which files are of one image, and which channel each holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from os.path import commonprefix
from pathlib import Path, PurePath

import polars as pl

from holotype.data.layouts import channel_patterns, pattern_fields
from holotype.errors import InputError, listing
from holotype.spec import DataSpec

__all__ = ["ChannelNames", "channel_names", "group_by_channel"]


class ChannelNames:
    """How the files of one image are told apart, and which belong together: by the ends of the channels' patterns.

    Args:
        patterns: Channel to pattern, in the order of the channels; `{channel}` in one is the channel's name.

    Raises:
        InputError: Two channels' patterns fit the same names, so that names do not tell the channels apart.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self.channels = tuple(patterns)
        parts = {channel: Path(pattern).parts for channel, pattern in patterns.items()}
        spelled = [_spelled_out(patterns[channel], channel) for channel in self.channels]
        first = _first_difference([Path(text).parts for text in spelled])
        if first is None:
            raise InputError(
                f"the files of the channels {listing(self.channels)} are named by columns of a table, and names alone "
                "do not tell them apart", field="images", remedy="give a table with those columns",
            )  # fmt: skip
        ends = {channel: "/".join(parts[channel][first:]) for channel in self.channels}
        self.pattern = " | ".join(dict.fromkeys(ends.values()))
        forms = [(_expression(end, channel), len(parts[channel]) - first, channel) for channel, end in ends.items()]
        self._forms = sorted(
            forms, key=lambda form: -len(form[0].pattern)
        )  # `x_b.png` is `{id}_b.png` before `{id}.png`

    def place(self, file: PurePath) -> tuple[str, str] | None:
        """The image that a file belongs to, with the folder it lies in, and its channel.

        Args:
            file: It is not opened.

        Returns:
            None where it is not named as a pattern says.
        """
        for expression, depth, channel in self._forms:
            match = expression.fullmatch("/".join(file.parts[-depth:]))
            if match is not None:
                return str(PurePath(*file.parts[:-depth]) / "_".join(match.groups())), channel
        return None


def channel_names(data: DataSpec, trained: pl.Series | None = None) -> ChannelNames | None:
    """How the files of new images are named where each channel has a file of its own; None where one file holds all.

    Args:
        data: The recipe's `data` section.
        trained: The lists of files of the run's own images, from which names are learnt where each channel's file is a
            column of the table.

    Raises:
        InputError: Names do not tell the channels apart.
    """
    patterns = channel_patterns(data)
    if patterns[0][0] is None:
        return None
    by_channel = {str(channel): pattern for channel, pattern in patterns}
    try:
        return ChannelNames(by_channel)
    except InputError:
        learnt = None if trained is None else _patterns_of_files(trained, tuple(by_channel))
        if learnt is None:
            raise
        return ChannelNames(learnt)


def _patterns_of_files(files: pl.Series, channels: tuple[str, ...]) -> dict[str, str] | None:
    """Patterns from examples: what the files of a channel have beside the part that all files of an image share.

    Args:
        files: Lists of one file a channel.
        channels: Their names.
    """
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
    own = next(iter(ends), ())
    return dict(zip(channels, own, strict=True)) if len(set(own)) == len(channels) else None


def _spelled_out(pattern: str, channel: str) -> str:
    """A pattern with the channel's name in its place, and all other braces alike."""
    pieces = [text + ("" if name is None else channel if name == "channel" else "\0")
              for text, name in pattern_fields(pattern)]  # fmt: skip
    return "".join(pieces)


def _first_difference(paths: Sequence[Sequence[str]]) -> int | None:
    """The first part at which paths differ, all from one another by that part or a later one; None where two do not."""
    if len({tuple(path) for path in paths}) < len(paths):
        return None
    shortest = min(len(path) for path in paths)
    return next((number for number in range(shortest) if len({path[number] for path in paths}) > 1), shortest - 1)


def _expression(pattern: str, channel: str) -> re.Pattern[str]:
    """The names that a pattern fits, a group for each of its columns."""
    pieces = [re.escape(text) + ("" if name is None else re.escape(channel) if name == "channel" else "([^/]+)")
              for text, name in pattern_fields(pattern)]  # fmt: skip
    return re.compile("".join(pieces))


def group_by_channel(files: Sequence[Path], names: ChannelNames) -> tuple[dict[str, list[Path]], list[Path]]:
    """The files of each image in the order of the channels, and the files that are not named as the pattern says.

    Args:
        files: The files of all images.
        names: From `channel_names`.

    Raises:
        InputError: No file is named so, or an image lacks a channel.
    """
    found: dict[str, dict[str, Path]] = {}
    unnamed = []
    for file in files:
        match = names.place(file)
        if match is None:
            unnamed.append(file)
        else:
            found.setdefault(match[0], {})[match[1]] = file
    if not found:
        raise InputError(f"no file is named as in {names.pattern!r}; the first is {files[0].name!r}")
    for name, by_channel in found.items():
        lacking = [channel for channel in names.channels if channel not in by_channel]
        if lacking:
            raise InputError(
                f"{Path(name).name!r} has no file for {listing(lacking)}", remedy=f"name it as in {names.pattern!r}"
            )
    last = Counter(Path(name).name for name in found)
    rows = {
        Path(name).name if last[Path(name).name] == 1 else name: [by_channel[channel] for channel in names.channels]
        for name, by_channel in found.items()
    }
    return rows, unnamed
