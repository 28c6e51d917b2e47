"""The files below a folder, those behind links included."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["files_below"]

BESIDE = ("__MACOSX", "__pycache__")
"""Folders that programs leave beside what they were asked for."""


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder; hidden ones and hidden folders are passed over, links are followed.

    Args:
        folder: Where to look.

    Returns:
        Paths that begin with the folder's, sorted. A folder that several links lead to is looked at once, so that a
        link to a folder above is no endless way.
    """
    found, seen = [], {os.path.realpath(folder)}
    for place, subfolders, names in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(subfolders):
            real = os.path.realpath(Path(place, name))
            if not name.startswith(".") and name not in BESIDE and real not in seen:
                seen.add(real)
                kept.append(name)
        subfolders[:] = kept
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found)
