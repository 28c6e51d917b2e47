"""Image files below a folder, and orders of names that make sense to people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from holotype.data.images import ENDINGS
from holotype.data.walk import files_below
from holotype.errors import DataError, listing

__all__ = ["IMAGE_ENDINGS", "by_name", "channel_order", "is_image_name", "list_images", "natural_key"]

IMAGE_ENDINGS = tuple(ending for ending in ENDINGS if ending != ".zarr")
OTHER_IMAGE_ENDINGS = (".svs", ".zarr", ".dcm", ".jp2", ".heic", ".cr2", ".nef")
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
    return name.lower().endswith(IMAGE_ENDINGS)


def list_images(folder: Path) -> tuple[str, ...]:
    """Every file below a folder that a run reads as an image, hidden ones left out and links followed.

    Args:
        folder: Where to look.

    Returns:
        Names relative to the folder, with forward slashes, in natural order.

    Raises:
        DataError: There are none.
    """
    found: list[str] = []
    others: set[str] = set()
    for path in files_below(folder):
        if is_image_name(path.name):
            found.append(path.relative_to(folder).as_posix())
        elif path.name.lower().endswith(OTHER_IMAGE_ENDINGS):
            others.add(path.suffix.lower())
    if not found:
        seen = f"; images ending in {listing(sorted(others))} are not read" if others else ""
        raise DataError(
            f"no image files below the folder{seen}",
            field=str(folder),
            allowed=IMAGE_ENDINGS,
            remedy="put the images below the folder of the table" + (", saved as PNG or TIFF" if others else ""),
        )
    return tuple(sorted(found, key=natural_key))
