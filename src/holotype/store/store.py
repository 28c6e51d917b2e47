"""The store: what stages made, under the digest of what they were made from; whole or not there at all."""

from __future__ import annotations

import json
import os
import platform
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holotype.digest import digest_folder, digest_value
from holotype.errors import StoreError

__all__ = ["StageKey", "Store"]

FACTS = "stage.json"


@dataclass(frozen=True)
class StageKey:
    """What an artefact is made from.

    Args:
        stage: The stage's name, unique within a run (`fit main 0`).
        version: Raised when the stage's code begins to compute something else.
        section: The stage's own part of the recipe, as plain values.
        inputs: Digests by name.
    """

    stage: str
    version: int
    section: Any = None
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The kind of stage: the first word of its name."""
        return self.stage.partition(" ")[0]

    @property
    def digest(self) -> str:
        """The artefact's address: two stages of one kind that are made from the same share it."""
        return digest_value([self.family, self.version, self.section, self.inputs])

    @property
    def parts(self) -> dict[str, str]:
        """Everything that counts, by name, for telling what changed."""
        section = self.section if isinstance(self.section, dict) else {"section": self.section}
        own = {f"recipe: {name}": digest_value(value) for name, value in section.items()}
        return {**own, **self.inputs, "version of the stage": str(self.version)}


@dataclass(frozen=True)
class Store:
    """A folder of artefacts.

    Args:
        root: Its place.
    """

    root: Path

    def place(self, key: StageKey) -> Path:
        """Where an artefact lies, or would.

        Args:
            key: What it is made from.
        """
        return self.root / key.family / key.digest

    def holds(self, key: StageKey) -> bool:
        """Whether an artefact is there, whole.

        Args:
            key: What it is made from.
        """
        return (self.place(key) / FACTS).is_file()

    def workspace(self, key: StageKey) -> Path:
        """A folder for the unfinished work of a stage, which outlives a killed run.

        Args:
            key: What is being made.
        """
        return self.root / "unfinished" / key.family / key.digest

    def content_digest(self, key: StageKey) -> str:
        """The digest of an artefact's content: stages that read it need not run again where it came out the same.

        Args:
            key: What it is made from.
        """
        return digest_folder(self.place(key), without=(FACTS,))

    def cost(self, key: StageKey) -> dict[str, float]:
        """What the making of an artefact took, where that was written down: `seconds` and `peak_mb`.

        Args:
            key: What it is made from.
        """
        try:
            facts = json.loads((self.place(key) / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {name: float(facts[name]) for name in ("seconds", "peak_mb") if facts.get(name) is not None}

    def make(self, key: StageKey, write: Callable[[Path], object], cost: Callable[[], dict[str, float]] = dict) -> Path:
        """Make an artefact in a temporary folder and rename it when it is complete.

        Args:
            key: What it is made from.
            write: Writes its files into a folder.
            cost: Says when they are written what that took.

        Raises:
            StoreError: The disk refuses.
        """
        temporary = self.root / "temporary" / f"{os.getpid()}-{uuid.uuid4().hex[:8]}@{platform.node()}"
        try:
            temporary.mkdir(parents=True)
            self._sweep()
            write(temporary)
            facts = {"stage": key.stage, "version": key.version, "parts": key.parts, **cost()}
            (temporary / FACTS).write_text(json.dumps(facts, indent=1))
            place = self.place(key)
            place.parent.mkdir(parents=True, exist_ok=True)
            if self.holds(key):
                return place  # another run was faster
            shutil.rmtree(place, ignore_errors=True)
            temporary.rename(place)
        except (OSError, StoreError) as error:
            if self.holds(key):
                return self.place(key)  # another run was faster, and has cleared the workspace of both away
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"{self.root} cannot be written: {error.strerror or error}",
                remedy="free some room or set HOLOTYPE_STORE to another disk, then run the same command again",
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(self.workspace(key), ignore_errors=True)
        return place

    def _sweep(self) -> None:
        """Remove what killed processes of this machine left half made; it may be as large as a pack."""
        for path in (self.root / "temporary").glob(f"*@{platform.node()}"):
            if not _is_alive(int(path.name.partition("-")[0])):
                shutil.rmtree(path, ignore_errors=True)


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True
