"""List the image files below a folder: those that are read, and those that are skipped, with the reason."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from holotype.core.errors import join_names
from holotype.data.array_formats import MICROSCOPE_SUFFIXES
from holotype.data.images import IMAGE_SUFFIXES

LEFTOVER_NAMES = (
    "__macosx __pycache__ @eadir @recycle @recently-snapshot #recycle #snapshot $recycle.bin lost+found "
    ".thumbnails .ipynb_checkpoints .appledouble .trash"
)
LEFTOVER_FOLDERS = frozenset([*LEFTOVER_NAMES.split(), "system volume information"])
"""Folders created by operating systems and network drives, in lower case."""
LEFTOVER_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))
IMAGE_FOLDER_SUFFIXES = (".zarr",)
"""Suffixes of folders that are one image."""
UNREADABLE_SUFFIXES = {
    "convert them to PNG or TIFF, for example with ImageMagick": (
        ".heic .heif .avif .avifs .jxl .jxr .wdp .psd .xcf .svg .eps .pdf .exr .fits .fit .jpf .tga .pcx .icns .ico"
    ),
    "develop them to 16-bit TIFF, for example with darktable or dcraw": ".cr2 .cr3 .nef .arw .dng .orf .raf .rw2",
    "export them as 16-bit TIFF or PNG, which keep the stored values": ".dcm .dicom .ima .nii .nrrd .mha .mhd .mrc",
    "cut the slides into images first, for example with QuPath": ".svs .ndpi .mrxs .scn .vms .vmu .bif .qptiff",
    "export them as TIFF, for example with Fiji": (
        f"{' '.join(MICROSCOPE_SUFFIXES)} .oir .zvi .stk .nd .ims .flex .c01 .h5 .hdf5 .n5 .mat .ics .ids"
    ),
    "write one frame of each as PNG or TIFF": ".avi .mp4 .mov .mkv .mpg .mpeg",
}
REMEDIES = {suffix: remedy for remedy, suffixes in UNREADABLE_SUFFIXES.items() for suffix in suffixes.split()}
"""Remedies for images that are not read, with their suffixes."""
MAGIC = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"BM", b"\0\0\0\x0cjP  ")
"""First bytes of images, to recognize files without a suffix."""


@dataclass(frozen=True)
class ImageFiles:
    """Image files of a folder, and the other files in it.

    Args:
        files: Images in order; a folder such as `a.zarr` is one.
        unread: By suffix, images of a format that is not read, relative to the folder.
        others: By suffix, number of files that are not images.
        leftovers: By name of the system's folder or file, number of files left by systems.
        unnamed: Files whose names are not UTF-8, escaped.
    """

    files: tuple[Path, ...]
    unread: Mapping[str, tuple[str, ...]]
    others: Mapping[str, int]
    leftovers: Mapping[str, int]
    unnamed: tuple[str, ...] = ()

    def notes(self, other_files: bool = True) -> tuple[str, ...]:
        """Describe the files that are not used, counted by suffix."""
        notes = []
        for ending, names in sorted(self.unread.items()):
            files = "file is" if len(names) == 1 else "files are"
            notes.append(
                f"{len(names):,} {ending} {files} not read (the first is {names[0]}): {_suggest_remedy(ending)}."
            )
        if self.unnamed:
            count = "1 file has a name" if len(self.unnamed) == 1 else f"{len(self.unnamed):,} files have names"
            notes.append(
                f"{count} that is not UTF-8, cannot be listed in a table, and is not used "
                f"({join_names(self.unnamed, 3)}): rename it, for example with convmv."
            )
        if self.leftovers:
            counts = join_names([f"{count:,} in {name}" for name, count in sorted(self.leftovers.items())])
            notes.append(f"Files that systems leave behind are not images and not used: {counts}.")
        if self.others and other_files:
            counts = join_names([f"{count:,} {ending}" for ending, count in sorted(self.others.items())])
            notes.append(f"Files that are not images are not used: {counts}.")
        return tuple(notes)

    def folders_without_images(self, folder: Path) -> tuple[str, ...]:
        """Folders directly below `folder` in which no image is read, without hidden and system folders."""
        with_images = {path.relative_to(folder).parts[0] for path in self.files if path.is_relative_to(folder)}
        below = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        return tuple(
            name
            for name in below
            if name not in with_images and not name.startswith(".") and name.lower() not in LEFTOVER_FOLDERS
        )


def list_image_files(folder: Path) -> ImageFiles:
    """List every readable image below a folder; links are followed, hidden files are skipped.

    Returns paths that begin with the folder's. A folder reached by several links is listed once, so link cycles end.
    """
    files: list[Path] = []
    unread: dict[str, list[str]] = defaultdict(list)
    others: Counter[str] = Counter()
    leftovers: Counter[str] = Counter()
    unnamed: list[str] = []
    readable = readable_suffixes()
    image_suffixes = {*IMAGE_SUFFIXES, *REMEDIES}
    for path, leftover in _iterate_files(folder, {os.path.realpath(folder)}):
        ending = path.suffix.lower()
        if leftover:
            leftovers[leftover] += 1
        elif not _is_utf8(path):
            unnamed.append(os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace"))
        elif ending in readable or (not any(letter.isalpha() for letter in ending) and _has_image_magic(path)):
            files.append(path)
        elif ending in image_suffixes:
            unread[ending].append(path.relative_to(folder).as_posix())
        else:
            others[ending or "without an ending"] += 1
    listed = {ending: tuple(sorted(names)) for ending, names in unread.items()}
    return ImageFiles(tuple(sorted(files)), listed, others, leftovers, tuple(sorted(unnamed)))


@lru_cache(1)
def readable_suffixes() -> tuple[str, ...]:
    """Suffixes of `IMAGE_SUFFIXES` that this installation can read: some formats need an extra."""
    absent = set() if find_spec("bioio") else set(MICROSCOPE_SUFFIXES)
    absent |= set() if find_spec("zarr") else {".zarr"}
    return tuple(ending for ending in IMAGE_SUFFIXES if ending not in absent)


def _iterate_files(folder: Path, visited: set[str], leftover: str = "") -> Iterator[tuple[Path, str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # no permission to open the folder
    for entry in entries:
        path, name = Path(entry.path), entry.name.lower()
        if not entry.is_dir():
            left = leftover or _leftover_system(name)
            if left or not name.startswith("."):
                yield path, left
            continue
        if name.endswith(IMAGE_FOLDER_SUFFIXES) and not name.startswith("."):
            yield path, leftover
            continue
        left = leftover or (entry.name if name in LEFTOVER_FOLDERS else "")
        real = os.path.realpath(path)
        if (left or not name.startswith(".")) and real not in visited:
            visited.add(real)
            yield from _iterate_files(path, visited, left)


def _leftover_system(name: str) -> str:
    if name in LEFTOVER_FILES:
        return name.strip()
    if name.startswith("._"):
        return "._ files"
    return "hidden files" if name.startswith(".") and name.endswith(IMAGE_SUFFIXES) else ""


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _has_image_magic(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(12).startswith(MAGIC)
    except OSError:
        return False


def _suggest_remedy(ending: str) -> str:
    if ending in (*MICROSCOPE_SUFFIXES, ".zarr"):
        return 'pip install "holotype[bio]"'
    return REMEDIES.get(ending, "save them as PNG or TIFF")
