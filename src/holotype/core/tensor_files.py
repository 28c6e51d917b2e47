"""Tensor files: safetensors with JSON metadata; reading them executes no code."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from holotype.core.errors import StoreError


def save_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Write tensors and JSON metadata into one safetensors file, atomically.

    Raises:
        StoreError: The disk is full or not writable.
    """
    import safetensors.torch
    from safetensors import SafetensorError

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    contiguous = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    try:
        safetensors.torch.save_file(contiguous, temporary, metadata={"metadata": json.dumps(metadata)})
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free
        raise StoreError(
            f"{path.name} cannot be written into {path.parent} ({free / 1e6:,.0f} MB free): {error}",
            remedy="free disk space and run the same command again; finished work is kept",
        ) from error


def load_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read tensors and metadata of a safetensors file.

    Raises:
        StoreError: The file is damaged or of another format.
    """
    return _load_file(path, "pt")


def load_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read tensors as NumPy arrays, and metadata; works without PyTorch.

    Raises:
        StoreError: The file is damaged or of another format.
    """
    return _load_file(path, "numpy")


def _load_file(path: Path, framework: str, with_tensors: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework=framework) as file:
            names = file.keys() if with_tensors else ()
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["metadata"])
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise StoreError(f"{path} cannot be read: {error}", remedy="delete it and run again") from error


def load_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a safetensors file, without its tensors.

    Raises:
        StoreError: The file is damaged or of another format.
    """
    return _load_file(path, "numpy", with_tensors=False)[1]
