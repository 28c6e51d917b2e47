"""Values of the pipeline as folders and back."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.cache import read_value, write_value
from holotype.types import AuditReport, Folds, ImageStatistics, ImageTable, Normalization

FRAME = pl.DataFrame(
    {
        "id": ["00365", "é", None],
        "files": [["a.png", "b.png"], [], None],
        "labels": [[0, 1], [], None],
        "group.plate": ["P1", None, "P2"],
    },
    schema_overrides={"labels": pl.List(pl.Int64)},
)
EMPTY = pl.DataFrame(schema={"cluster": pl.Int64, "ids": pl.List(pl.String)})
VALUES = {
    "table": ImageTable(FRAME, ("a", "ß"), "multilabel", ("red", "green")),
    "table without channel names": ImageTable(FRAME, ("a", "b"), "multiclass"),
    "table with a taxonomy": ImageTable(FRAME, ("a", "b"), "multiclass", None, pl.DataFrame({"genus": ["x", "y"]})),
    "statistics": ImageStatistics(FRAME, Normalization((0.1, 1e-300), (1.0, float(np.pi)))),
    "audit": AuditReport(EMPTY, FRAME, np.array([3, 1], np.int64), ("One is empty.", "Two — odd.")),
    "audit of nothing": AuditReport(EMPTY, EMPTY, np.empty(0, np.int64)),
    "folds": Folds(FRAME, np.array([0, -1, 2]), 3, (0, 2), np.array([1], np.int64), ("Small.",)),
}
PARTS: dict[str, type[Any]] = {"normalization": Normalization}


def same(one: Any, other: Any) -> bool:
    """Equal in type and content, whatever it is."""
    if isinstance(one, pl.DataFrame):
        return bool(one.equals(other)) and one.schema == other.schema
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_comes_back_as_it_was(value: Any, tmp_path: Path) -> None:
    write_value(value, tmp_path)
    parts = {name: part for name, part in PARTS.items() if hasattr(value, name)}
    assert same(value, read_value(type(value), tmp_path, parts))


def test_the_same_value_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_value(VALUES["folds"], tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_nothing_is_written_that_runs_when_it_is_read(tmp_path: Path) -> None:
    write_value(VALUES["folds"], tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".parquet", ".npy", ".json"}
    with pytest.raises(ValueError, match="allow_pickle"):
        write_value(Folds(FRAME, np.array([object()]), 3, (0,)), tmp_path)
