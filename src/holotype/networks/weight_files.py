"""Weights files: tensors of safetensors files and PyTorch checkpoints; reading them executes no code."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from holotype.core.errors import RecipeError, first_line

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SUFFIXES", "StateDict", "check_weights_file", "read_checkpoint", "state_dicts", "unreadable_error"]

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
PREFIXES = (
    *("module.", "_orig_mod.", "model.", "net.", "network."),
    *(
        "ema.",
        "teacher.",
        "student.",
        "backbone.",
        "encoder.",
        "image_encoder.",
        "visual.",
        "trunk.",
        "vit.",
        "dinov2.",
    ),
)
"""Prefixes of tensor names that wrappers and training frameworks add."""
MAX_DEPTH = 4  # of nested mappings, and of prefixes of prefixes
AVERAGED = re.compile(r"\b(ema|teacher|target)|_ema\b")  # the network that self-supervised training evaluates
FORBIDDEN = re.compile(r"GLOBAL ([\w.]+)")  # in PyTorch's message of an object that is not data
CHUNKED = re.compile(r"^blocks\.\d+\.(\d+)\.")  # of DINOv2's training, which wraps blocks in chunks


@dataclass(frozen=True)
class StateDict:
    """State dict: tensors by name, unwrapped from a checkpoint.

    Args:
        tensors: By name, without the prefix.
        path: Keys of the mappings around it, such as `teacher`; empty at the top.
        prefix: Prefix that was removed from the names, such as `backbone.`.
        others: Names of the mapping's tensors that lack the prefix.
    """

    tensors: Mapping[str, Tensor]
    path: str
    prefix: str
    others: tuple[str, ...]

    @property
    def is_averaged(self) -> bool:
        """True for the averaged network of self-supervised training: a teacher, or a moving average of the weights."""
        return AVERAGED.search(f"{self.path}.{self.prefix}") is not None


SUFFIX_WORDS = "a path of a .safetensors, .pth, .pt or .bin file"


def check_weights_file(path: Path, field: str = "models.weights") -> None:
    """Refuse a weights file that is missing, has another format or is damaged; at most its header is read.

    Raises:
        RecipeError: With the formats that are allowed.
    """
    if path.suffix not in SUFFIXES or not path.is_file():
        raise RecipeError(
            f"there is no weights file {str(path)!r}",
            field=field,
            value=path.name,
            allowed=(
                "auto",
                "imagenet",
                "lite",
                "none",
                "local-dir:FOLDER",
                "hf-hub:ID",
                "run:PATH#model",
                SUFFIX_WORDS,
            ),
        )
    if path.suffix != ".safetensors":
        return
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (OSError, SafetensorError) as error:
        raise unreadable_error(path, error) from error


def read_checkpoint(path: Path) -> Any:
    """Read a weights file: tensors, or nested mappings of them; PyTorch's zip files are mapped into memory, not copied.

    Raises:
        RecipeError: The file is damaged, or its pickle holds program objects besides data.
    """
    import argparse

    import safetensors.torch
    import torch

    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(str(path))
        with torch.serialization.safe_globals([argparse.Namespace]):  # options of a training, as plain values
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch and safetensors raise many types for a damaged file
        forbidden = FORBIDDEN.search(str(error))
        if forbidden is None:
            raise unreadable_error(path, error) from error
        raise RecipeError(
            f"the weights {str(path)!r} hold program objects besides data, and only data are loaded: {forbidden[1]}",
            field="models.weights",
            remedy="if you trust the file, load it where it was made and save its `state_dict()` as .safetensors",
        ) from error


def state_dicts(checkpoint: Any) -> Iterator[StateDict]:
    """Find every state dict in a checkpoint, with and without the prefixes of its names.

    Args:
        checkpoint: From `read_checkpoint`.
    """
    for path, tensors in _tensor_mappings(checkpoint):
        for prefix in _prefixes(tensors):
            stripped = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            others = tuple(name for name in tensors if not name.startswith(prefix))
            yield StateDict(stripped, path, prefix, others)
            if "cls_token" in stripped and any(map(CHUNKED.match, stripped)):
                unchunked = {CHUNKED.sub(r"blocks.\1.", name): value for name, value in stripped.items()}
                yield StateDict(unchunked, path, prefix, others)


def unreadable_error(path: Path, error: Exception) -> RecipeError:
    """Make the error of a weights file that cannot be read."""
    message = f"the weights {str(path)!r} cannot be read: {first_line(error)}"
    return RecipeError(message, field="models.weights", remedy="copy the file again, or name another file")


def _tensor_mappings(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Tensor]]]:
    from torch import Tensor

    if not isinstance(node, Mapping):
        return
    tensors = {name: value for name, value in node.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if tensors:
        yield ".".join(path), tensors
    if len(path) < MAX_DEPTH:
        for name, value in node.items():
            yield from _tensor_mappings(value, (*path, str(name)))


def _prefixes(names: Mapping[str, Any]) -> list[str]:
    """Combinations of known prefixes with which any name begins, the empty one first."""
    prefixes = newest = [""]
    for _ in range(MAX_DEPTH):
        longer = [prefix + more for prefix in newest for more in PREFIXES]
        newest = [prefix for prefix in longer if any(name.startswith(prefix) for name in names)]
        prefixes = [*prefixes, *newest]
    return prefixes
