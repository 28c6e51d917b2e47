"""Run folders: the files of a finished run, and how they are replaced at once."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from holotype.core.digest import digest_file
from holotype.core.disk import flush_folder, flush_names
from holotype.core.errors import InputError
from holotype.core.table_files import read_parquet

UNFINISHED = "unfinished"
"""Marker file that exists while the files of a run folder are being replaced."""
DIGESTS = "digests.json"
"""Sizes and digests of the files that commands read; files changed afterwards are refused."""
RERUN_REMEDY = "run the recipe again into this folder to write it anew"
NEW_FOLDER, OLD_FOLDER = ".new", ".old"
RUN_FILES = (
    "recipe.yaml",
    "images.parquet",
    "classes.csv",
    "audit",
    "folds.parquet",
    "models",
    "oof.parquet",
    "test.parquet",
    "ensemble.json",
    "decision.json",
    "scores.json",
    "predictions.csv",
    "submission.csv",
    "report.html",
    DIGESTS,
)
FILES_OF_OTHER_COMMANDS = ("audit/report.html",)
EDITABLE_SUFFIXES = (".csv", ".html", ".yaml")  # files that a person may edit, which have no digests

_verified_versions: dict[Path, tuple[int, ...]] = {}  # versions that this process has read and found unchanged

FICLONE = 0x40049409  # Linux: share the blocks of another file


@dataclass(frozen=True)
class RunFolder:
    """Folder of a run."""

    root: Path

    def path(self, name: str) -> Path:
        """Path of a file in the folder; its parent folder is created."""
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"the run's folder {str(self.root)!r} cannot be created: {error.strerror}"
            raise InputError(what, remedy="give another folder with --out") from error
        return path

    def require(self, name: str) -> Path:
        """Path of a file that must exist and be intact."""
        if self.is_unfinished:
            what = f"the run in {str(self.root)!r} is unfinished: it stopped while writing this folder"
            raise InputError(what, remedy="run its recipe into this folder again; nothing is trained twice")
        path = self.root / name
        if not path.exists():
            what = f"{str(self.root)!r} is not a finished run: it has no {name}"
            raise InputError(what, remedy="give the folder of a run that ran to the end")
        self.require_intact(name)
        return path

    @property
    def is_unfinished(self) -> bool:
        """True if a run ended while it replaced the files of this folder."""
        return (self.root / UNFINISHED).exists()

    def newest(self, name: str) -> Path | None:
        """Newest version of a file, even if a run ended while it replaced the files; None if there is none."""
        folders = (self.root / NEW_FOLDER, self.root, self.root / OLD_FOLDER) if self.is_unfinished else (self.root,)
        return next((folder / name for folder in folders if (folder / name).is_file()), None)

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON object. Raises InputError if the folder is not a run's, or the file is damaged."""
        path = self.require(name)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, RecursionError, ValueError) as error:
            raise InputError(f"{str(path)!r} is damaged: {type(error).__name__}", remedy=RERUN_REMEDY) from error
        if not isinstance(content, dict):
            raise InputError(f"{str(path)!r} is damaged: it is not a JSON object", remedy=RERUN_REMEDY)
        return content

    def require_intact(self, name: str = "", weights: bool = True) -> None:
        """Refuse files that differ from what the run wrote. A process reads each file once, and again if it changed.

        Runs of older versions have no digests and are not checked. Raises InputError if a file is missing, damaged or
        changed.
        """
        below = f"{name}/" if name else ""
        for file, (size, digest) in self._digests().items():
            if (file != name and not file.startswith(below)) or (file.endswith(".safetensors") and not weights):
                continue
            path = self.root / file
            fault = _describe_damage(path, size, digest)
            if fault:
                raise InputError(f"{str(path)!r} {fault}", remedy=RERUN_REMEDY)

    def _digests(self) -> dict[str, tuple[int, str]]:
        path = self.root / DIGESTS
        if not path.is_file():
            return {}
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return {str(name): (int(size), str(digest)) for name, (size, digest) in content.items()}
        except (OSError, RecursionError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{str(path)!r} is damaged: {type(error).__name__}", remedy=RERUN_REMEDY) from error

    def write_digests(self) -> None:
        """Write the digests of the files that commands read."""
        files = sorted(path for path in self.root.rglob("*") if path.is_file() and path != self.root / DIGESTS)
        files_by_name = {path.relative_to(self.root).as_posix(): path for path in files}
        hashed_files = {name: path for name, path in files_by_name.items() if path.suffix not in EDITABLE_SUFFIXES}
        self.write_json(
            DIGESTS, {name: (path.stat().st_size, digest_file(path)) for name, path in hashed_files.items()}
        )

    def recorded(self) -> dict[str, Any]:
        """Settings of the last run in this folder, from its log: recipe, changes, cache and budget."""
        log = self.root / "log.jsonl"
        for text in reversed(log.read_bytes().split(b"\n") if log.is_file() else []):
            try:
                line = json.loads(text)
            except ValueError:  # incomplete line of a killed process
                continue
            if isinstance(line, dict) and line.get("event") == "run":
                return line
        return {}

    def store(self) -> Path | None:
        """Cache of the run; None if it is unknown or gone."""
        named = self.recorded().get("store")
        folder = self.located(str(named)) if named else None
        return folder if folder is not None and folder.is_dir() else None

    def located(self, path: str) -> Path:
        """Absolute path of a path that a run's files name relative to the folder."""
        return Path(os.path.normpath(self.root.resolve() / path))

    def relative(self, path: Path | str) -> str:
        """Path relative to the folder, so that the folder can be moved together with its data."""
        try:
            return Path(os.path.relpath(path, self.root.resolve())).as_posix()
        except ValueError:  # on another drive (Windows)
            return str(path)

    def images(self) -> pl.DataFrame:
        """Table of images, with absolute file paths. Raises InputError if the folder is not a run's."""
        frame = read_parquet(self.require("images.parquet"))
        return _map_files(frame, lambda file: file if "://" in file else str(self.located(file)))

    def portable(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Table of images, with file paths relative to the folder."""
        return _map_files(frame, lambda file: file if "://" in file else self.relative(file))

    def checkpoints(self, model: str) -> list[Path]:
        """Folders of the networks that predict: the refit one, or those of the folds."""
        refit = self.require(f"models/{model}") / "refit"
        if refit.is_dir():
            return [refit]
        folders = self.require(f"models/{model}").glob("fold*")
        return sorted(folders, key=lambda folder: int(folder.name.removeprefix("fold")))

    def specialists(self, model: str) -> list[Path]:
        """Folders of the networks that were fine-tuned for single domains."""
        return sorted((self.require(f"models/{model}") / "specialists").glob("*"))

    @contextmanager
    def replaced(self) -> Iterator[RunFolder]:
        """Write the files of a run into a new folder, and swap them in when all are written.

        A killed process leaves either the earlier run or the complete new one. While the files are swapped, which takes
        a few renames, the file `unfinished` marks the folder.
        """
        for leftover in (NEW_FOLDER, OLD_FOLDER):
            shutil.rmtree(self.root / leftover, ignore_errors=True)
        new = RunFolder(self.root / NEW_FOLDER)
        new.root.mkdir(parents=True)
        try:
            yield new
            self._swap_files(new)
        finally:
            shutil.rmtree(new.root, ignore_errors=True)
        shutil.rmtree(self.root / OLD_FOLDER, ignore_errors=True)

    @contextmanager
    def amended(self) -> Iterator[RunFolder]:
        """Write some files of a run into a new folder, and move them in when all are written."""
        shutil.rmtree(self.root / NEW_FOLDER, ignore_errors=True)
        new = RunFolder(self.root / NEW_FOLDER)
        new.root.mkdir(parents=True)
        try:
            yield new
            digests = self._digests()
            files = {path.relative_to(new.root).as_posix(): path for path in new.root.rglob("*") if path.is_file()}
            if any(name in digests and digests[name][1] != digest_file(path) for name, path in files.items()):
                what = f"{str(self.root)!r} holds a finished run on other data"
                raise InputError(what, field="--out", remedy="give another folder, or run the recipe again")
            for name, path in files.items():
                path.replace(self.path(name))
        finally:
            shutil.rmtree(new.root, ignore_errors=True)

    def _swap_files(self, new: RunFolder) -> None:
        for name in FILES_OF_OTHER_COMMANDS:
            if (self.root / name).is_file() and not (new.root / name).exists():
                shutil.copy2(self.root / name, new.path(name))
        new.write_digests()
        flush_folder(new.root)
        (self.root / OLD_FOLDER).mkdir()
        marker = self.root / UNFINISHED
        marker.write_text("A run stopped while writing this folder: run its recipe again.\n", encoding="utf-8")
        flush_names(self.root)
        for name in RUN_FILES:
            if (self.root / name).exists():
                (self.root / name).rename(self.root / OLD_FOLDER / name)
            if (new.root / name).exists():
                (new.root / name).rename(self.root / name)
        flush_names(self.root)
        marker.unlink()

    def write_text(self, name: str, text: str) -> None:
        """Write a text file atomically."""
        path = self.path(name)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file atomically."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def copy_artifact(self, name: str, source: Path) -> None:
        """Copy a cached result, a folder or a file, into the folder.

        Files are copied, not linked: editing a linked file would change the cache and every later run. Where the disk
        shares blocks between copies, a copy takes no space.
        """
        files = [source] if source.is_file() else [path for path in source.iterdir() if path.name != "step.json"]
        for file in files:
            target = self.path(name if source.is_file() else f"{name}/{file.name}")
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            temporary.unlink(missing_ok=True)
            _copy_file(file, temporary)
            temporary.replace(target)


def _describe_damage(path: Path, size: int, digest: str) -> str:
    try:
        facts = path.stat()
        version = (facts.st_size, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns)
        if _verified_versions.get(path) == (*version, int(digest, 16)):
            return ""
        if facts.st_size != size or digest_file(path) != digest:
            return "is damaged, or was modified after the run"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    _verified_versions[path] = (*version, int(digest, 16))
    return ""


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file, sharing blocks on disks that can (Btrfs, XFS)."""
    if sys.platform == "linux":
        import fcntl  # not on Windows

        try:
            with source.open("rb") as source_stream, target.open("wb") as copy:
                fcntl.ioctl(copy.fileno(), FICLONE, source_stream.fileno())
                return
        except OSError:
            pass  # different disks, or no support
    shutil.copyfile(source, target)


def _map_files(frame: pl.DataFrame, change: Callable[[str], str]) -> pl.DataFrame:
    files = [None if row is None else [change(file) for file in row] for row in frame["files"].to_list()]
    return frame.with_columns(pl.Series("files", files, dtype=pl.List(pl.String)))
