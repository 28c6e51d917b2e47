"""Image files below a folder, and natural sort orders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from holotype.core.errors import DataError
from holotype.data.images import IMAGE_SUFFIXES
from holotype.data.list_files import ImageFiles, list_image_files, readable_suffixes
from holotype.data.uris import normalize_name

COLOR_ORDER = ("red", "green", "blue", "yellow")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Natural sort key: `ch2` comes before `ch10`."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts if part]


def channel_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort channel names: red, green, blue, yellow if they are only these, else in natural order."""
    distinct = set(names)
    if {name.lower() for name in distinct} <= set(COLOR_ORDER):
        return tuple(sorted(distinct, key=lambda name: COLOR_ORDER.index(name.lower())))
    return tuple(sorted(distinct, key=natural_key))


def group_by_name(files: Iterable[str]) -> dict[str, list[str]]:
    """Group paths (with forward slashes) by file name."""
    paths_of_name: dict[str, list[str]] = {}
    for path in files:
        paths_of_name.setdefault(path.rpartition("/")[2], []).append(path)
    return paths_of_name


class FileIndex:
    """File index of a folder, which also finds paths from other machines and other spellings."""

    def __init__(self, files: Iterable[str]) -> None:
        self._present = set(files)
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for path in sorted(self._present):
            name = normalize_name(path).rpartition("/")[2]
            self._by_name.setdefault(name, []).append(path)
            self._by_stem.setdefault(name.rpartition(".")[0], []).append(path)

    def find(self, written: str) -> str | None:
        """Find the file of a path from another machine, in another case, or with another encoding of accents.

        Returns None if no file or several files match.
        """
        path = unquote(written).split("://")[-1] if "://" in written else written
        path = path.replace("\\", "/")
        if path in self._present:
            return path
        normalized = normalize_name(f"/{path}")
        name = normalized.rpartition("/")[2]
        named = self._by_name.get(name) or self._by_stem.get(name, [])
        ending = [candidate for candidate in named if normalized.endswith(f"/{normalize_name(candidate)}")]
        exact = [candidate for candidate in ending or named if f"/{path}".endswith(f"/{candidate}")]
        for choice in (exact, ending, named):
            longest = (
                [candidate for candidate in choice if len(candidate) == max(map(len, choice))]
                if choice is not named
                else choice
            )
            if len(longest) == 1:
                return longest[0]
        return None


def is_image_name(name: str) -> bool:
    """Check whether a file name has the extension of a readable image."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def list_images(folder: Path) -> tuple[tuple[str, ...], ImageFiles]:
    """List all readable images below a folder, and the other files found there.

    Returns names relative to the folder, with forward slashes, in natural order.
    """
    listed = list_image_files(folder)
    if not listed.files:
        unused = "; ".join(note.rstrip(".") for note in listed.notes(other_files=False))
        raise DataError(
            f"no image files below the folder{f'; {unused}' if unused else ''}",
            field=str(folder),
            allowed=readable_suffixes(),
            remedy="" if listed.unread else "put the images below the folder of the table",
        )
    names = (path.relative_to(folder).as_posix() for path in listed.files)
    return tuple(sorted(names, key=natural_key)), listed
