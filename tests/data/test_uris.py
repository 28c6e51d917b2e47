"""Addresses of files, and what is said of those that are not there."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from holotype.core.errors import DataError
from holotype.data import read_image

NAME = "Zölle_1.PNG"


@pytest.mark.parametrize(
    "written", [unicodedata.normalize("NFD", NAME), "zölle_1.png", unicodedata.normalize("NFD", "ZÖLLE_1.png")]
)
@pytest.mark.parametrize("folder", ["Plate1", "plate1", "PLATE1"])
def test_a_missing_file_names_the_one_that_is_spelled_in_another_way(tmp_path: Path, written: str, folder: str) -> None:
    file = tmp_path / "Plate1" / unicodedata.normalize("NFC", NAME)
    file.parent.mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(file)
    with pytest.raises(DataError) as raised:
        read_image([tmp_path / folder / written])
    assert f"{tmp_path / folder / written} does not exist; {str(file)!r} does" in str(raised.value)


def test_a_missing_file_with_no_or_two_names_alike_is_missing_and_no_more(tmp_path: Path) -> None:
    for name in ("b.png", "B.png"):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    for name in ("a.png", "B.PNG", "x/a.png"):
        with pytest.raises(DataError, match=r"does not exist\.?$"):
            read_image([tmp_path / name])


def test_a_path_with_backslashes_names_the_file_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "x" / "a.png")
    with pytest.raises(DataError, match=r"does not exist; '.*/x/a\.png' does"):
        read_image([f"{tmp_path}/x\\a.png"])
