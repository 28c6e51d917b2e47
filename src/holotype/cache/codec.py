"""Serialization of dataclasses as folders: Parquet, NPY and JSON; reading runs no code."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from holotype.core.table_files import read_parquet, write_parquet

Value = TypeVar("Value")
VALUE_FILE = "value.json"


def write_value(value: Any, folder: Path) -> None:
    """Write a dataclass of data frames, arrays, dataclasses and JSON values into an existing folder."""
    json_fields: dict[str, Any] = {}
    for field in fields(value):
        content = getattr(value, field.name)
        if isinstance(content, pl.DataFrame):
            write_parquet(content, folder / f"{field.name}.parquet")
        elif isinstance(content, np.ndarray):
            np.save(folder / f"{field.name}.npy", content, allow_pickle=False)
        elif is_dataclass(content):
            (folder / field.name).mkdir()
            write_value(content, folder / field.name)
        else:
            json_fields[field.name] = content
    (folder / VALUE_FILE).write_text(json.dumps(json_fields, ensure_ascii=False), encoding="utf-8")


def read_value(kind: type[Value], folder: Path, parts: dict[str, type[Any]] | None = None) -> Value:
    """Read a dataclass that `write_value` wrote.

    Args:
        parts: Types of the fields that hold dataclasses.
    """
    content: dict[str, Any] = {
        name: _to_tuple(entry) for name, entry in json.loads((folder / VALUE_FILE).read_text(encoding="utf-8")).items()
    }
    for path in folder.glob("*.parquet"):
        content[path.stem] = read_parquet(path)
    for path in folder.glob("*.npy"):
        content[path.stem] = np.load(path, allow_pickle=False)
    for name, part in (parts or {}).items():
        content[name] = read_value(part, folder / name)
    return kind(**content)


def _to_tuple(value: Any) -> Any:
    return tuple(_to_tuple(entry) for entry in value) if isinstance(value, list) else value
