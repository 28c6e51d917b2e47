"""Image files below a folder, and orders of names that make sense to people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from holotype.data.images import ENDINGS
from holotype.data.walk import ImageFiles, list_image_files, readable_endings
from holotype.errors import DataError

__all__ = ["by_name", "channel_order", "is_image_name", "list_images", "natural_key"]

KNOWN_ORDER = ("red", "green", "blue", "yellow")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """A sorting key under which `ch2` comes before `ch10`.

    Args:
        name: What is sorted.
    """
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts if part]


def channel_order(names: Iterable[str]) -> tuple[str, ...]:
    """Channels in order: red, green, blue, yellow where those are the names, else alphabetical with numbers as numbers.

    Args:
        names: The channels' names.
    """
    distinct = set(names)
    if {name.lower() for name in distinct} <= set(KNOWN_ORDER):
        return tuple(sorted(distinct, key=lambda name: KNOWN_ORDER.index(name.lower())))
    return tuple(sorted(distinct, key=natural_key))


def by_name(files: Iterable[str]) -> dict[str, list[str]]:
    """The paths of the files of each name.

    Args:
        files: Paths with forward slashes.
    """
    found: dict[str, list[str]] = {}
    for path in files:
        found.setdefault(path.rpartition("/")[2], []).append(path)
    return found


def is_image_name(name: str) -> bool:
    """Whether a name ends as a readable image's.

    Args:
        name: A file's name.
    """
    return name.lower().endswith(ENDINGS)


def list_images(folder: Path) -> tuple[tuple[str, ...], ImageFiles]:
    """Every image below a folder that a run reads, and what else lies there.

    Args:
        folder: Where to look.

    Returns:
        Names relative to the folder, with forward slashes, in natural order.

    Raises:
        DataError: There are none.
    """
    listed = list_image_files(folder)
    if not listed.files:
        unused = "; ".join(note.rstrip(".") for note in listed.notes(other_files=False))
        raise DataError(
            f"no image files below the folder{f'; {unused}' if unused else ''}",
            field=str(folder),
            allowed=readable_endings(),
            remedy="" if listed.unread else "put the images below the folder of the table",
        )
    names = (path.relative_to(folder).as_posix() for path in listed.files)
    return tuple(sorted(names, key=natural_key)), listed
