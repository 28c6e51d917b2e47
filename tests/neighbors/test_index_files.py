from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from holotype.core.errors import DataError, StoreError
from holotype.neighbors import load_index, make_index, save_index

KEYS = np.random.default_rng(6).standard_normal((5, 3)).astype(np.float32)
SPECIMENS = pl.DataFrame({"row": [4, 7, 9, 11, 12], "id": list("abcde"), "labels": [[0], [1, 2], [], [0], [2]]})


def test_an_index_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_index(tmp_path / "index", KEYS, SPECIMENS, {"temperature": 0.05, "prior": [0.4, 0.2, 0.4]})
    back = load_index(tmp_path / "index")
    assert np.array_equal(back.embeddings, KEYS)
    assert back.images.equals(SPECIMENS)
    assert back.metadata == {"temperature": 0.05, "prior": [0.4, 0.2, 0.4]}
    assert make_index(back.embeddings).search(KEYS, 1).rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["embeddings.safetensors", "images.parquet"]


def test_the_same_index_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_index(tmp_path / name, KEYS, SPECIMENS)
    for file in ("embeddings.safetensors", "images.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_files_of_two_writings_are_refused(tmp_path: Path) -> None:
    save_index(tmp_path / "one", KEYS, SPECIMENS)
    save_index(tmp_path / "two", KEYS, SPECIMENS.reverse())
    (tmp_path / "two" / "images.parquet").replace(tmp_path / "one" / "images.parquet")
    with pytest.raises(StoreError, match="not written together"):
        load_index(tmp_path / "one")


@pytest.mark.parametrize("file", ["embeddings.safetensors", "images.parquet"])
def test_a_missing_or_torn_file_is_told(tmp_path: Path, file: str) -> None:
    save_index(tmp_path, KEYS, SPECIMENS)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(StoreError, match=r"cannot be read|not written together"):
        load_index(tmp_path)
    path.unlink()
    with pytest.raises(StoreError, match=rf"{file} cannot be read"):
        load_index(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"images\.parquet cannot be written"):
        save_index(tmp_path / "file", KEYS, SPECIMENS)


@pytest.mark.parametrize("keys", [KEYS[:4], KEYS[0], np.full((5, 3), np.nan)], ids=["rows", "shape", "nan"])
def test_embeddings_that_do_not_fit_are_not_saved(tmp_path: Path, keys: np.ndarray) -> None:
    with pytest.raises(DataError, match="do not match the"):
        save_index(tmp_path / "index", keys, SPECIMENS)
    assert not (tmp_path / "index").exists()
