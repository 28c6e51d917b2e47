from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from holotype.inspect.inspect_folder import inspect_folder
from holotype.inspect.propose import Proposal, propose
from holotype.inspect.write_recipe import write_recipe


class Bench:
    """A folder to put tables and tiny images in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def table(self, name: str, header: str, rows: list[str]) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    def images(self, *names: str, side: int = 8, bits: int = 8, channels: int = 1) -> None:
        shape = (side, side) if channels == 1 else (side, side, channels)
        pixels = np.zeros(shape, np.uint8 if bits == 8 else np.uint16)
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".tif":
                tifffile.imwrite(path, pixels)
            else:
                Image.fromarray(pixels).save(path)

    def written(self, place: Path | None = None) -> tuple[Proposal, str, Path]:
        """What is proposed for the folder, the text of its recipe, and where that was written."""
        path = place or self.folder.parent / "out" / "recipe.yaml"
        proposal = propose(inspect_folder(self.folder))
        return proposal, write_recipe(proposal, path), path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "cells"
    folder.mkdir()
    return Bench(folder)
