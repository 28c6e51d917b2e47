"""Checkpoints on disk: tensors in safetensors, everything else in JSON; nothing that runs when it is read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from holotype.core.errors import RecipeError, StoreError, first_line, pluralize
from holotype.networks.backbones import check_backbone
from holotype.networks.card import CARD, REMEDY, backbone_options, checkpoint_card
from holotype.recipe.sections import HeadSpec
from holotype.types import Checkpoint, RankHeads

if TYPE_CHECKING:
    from torch import Tensor, nn

    from holotype.networks.build import Network

__all__ = [
    "CachedCheckpoint",
    "cache_networks",
    "load_arrays",
    "load_metadata",
    "load_network",
    "load_networks",
    "load_tensors",
    "open_checkpoint",
    "save_network",
    "save_tensors",
]

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class CachedCheckpoint(Checkpoint):
    """A checkpoint whose networks stay in memory, for those who are asked again and again.

    Args:
        networks: As `load_networks` gives them.
    """

    networks: tuple[Network, ...]


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors and metadata into one file, whole or not at all.

    Args:
        path: The safetensors file.
        tensors: By name.
        metadata: What JSON can hold.

    Raises:
        StoreError: The disk is full, or does not let itself be written.
    """
    import safetensors.torch

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
            remedy="free some room and run the same command again; what was done is kept",
        ) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and metadata.

    Args:
        path: The safetensors file.

    Raises:
        StoreError: The file is torn or of another kind.
    """
    return _load_file(path, "pt")


def load_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read tensors as arrays, and metadata; PyTorch is not needed for that.

    Args:
        path: The safetensors file.

    Raises:
        StoreError: The file is torn or of another kind.
    """
    return _load_file(path, "numpy")


def _load_file(path: Path, framework: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, framework=framework) as file:
            metadata = json.loads(file.metadata()["metadata"])
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118  (it is no dict)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise StoreError(f"{path} cannot be read: {error}", remedy="delete it and run again") from error


def load_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata alone, which is quick whatever the size of the tensors.

    Args:
        path: The safetensors file.

    Raises:
        StoreError: The file is torn or of another kind.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads(file.metadata()["metadata"])
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise StoreError(f"{path} cannot be read: {error}", remedy="delete it and run again") from error


def save_network(
    folder: Path, network: nn.Module, card: Mapping[str, Any], others: Sequence[Mapping[str, Tensor]] = ()
) -> None:
    """Write a network's weights and its card.

    Args:
        folder: Where to; the store renames it when it is complete.
        network: The network.
        card: How to use it.
        others: More weights of the same network, whose predictions are averaged with its own.
    """
    save_tensors(folder / WEIGHTS, network.state_dict(), {})
    for number, tensors in enumerate(others, start=2):
        save_tensors(folder / f"weights-{number}.safetensors", tensors, {})
    card = {**card, "networks": 1 + len(others)}
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False, sort_keys=True), encoding="utf-8")


def open_checkpoint(folder: Path) -> Checkpoint:
    """A checkpoint on disk, its card read.

    Args:
        folder: Holds `weights.safetensors` and `card.json`.

    Raises:
        StoreError: There is no card, or it asks for what no run writes.
    """
    if not (folder / CARD).is_file():
        raise StoreError(f"{folder} holds no checkpoint: it has no {CARD}", remedy="run the recipe again")
    return Checkpoint(folder, checkpoint_card(folder / CARD))


def cache_networks(checkpoint: Checkpoint) -> CachedCheckpoint:
    """The same checkpoint with its networks read once and kept.

    Args:
        checkpoint: From `open_checkpoint`.
    """
    return CachedCheckpoint(checkpoint.folder, checkpoint.card, tuple(load_networks(checkpoint)))


def load_network(checkpoint: Checkpoint) -> Network:
    """The network of a checkpoint, ready to predict; the first of several.

    Args:
        checkpoint: From `open_checkpoint` or `cache_networks`.
    """
    return checkpoint.networks[0] if isinstance(checkpoint, CachedCheckpoint) else _load_weights(checkpoint, WEIGHTS)


def load_networks(checkpoint: Checkpoint) -> list[Network]:
    """The networks of a checkpoint whose predictions are averaged, ready to predict.

    Args:
        checkpoint: From `open_checkpoint` or `cache_networks`.
    """
    if isinstance(checkpoint, CachedCheckpoint):
        return list(checkpoint.networks)
    names = [WEIGHTS, *(f"weights-{number}.safetensors" for number in range(2, checkpoint.card.get("networks", 1) + 1))]
    for name in names:
        if not (checkpoint.folder / name).is_file():
            raise StoreError(f"{checkpoint.folder} lacks {name}, which its {CARD} names", remedy=REMEDY)
    return [_load_weights(checkpoint, name) for name in names]


def _load_weights(checkpoint: Checkpoint, name: str) -> Network:
    import torch

    path = checkpoint.folder / name
    try:
        with torch.device("meta"):  # which takes no memory, whatever sizes the card asks for
            expected = _build_from_card(checkpoint.card).state_dict()
        _require_shapes(path, {tensor: tuple(value.shape) for tensor, value in expected.items()})
        network = _build_from_card(checkpoint.card)
        tensors, _ = load_tensors(path)
        network.load_state_dict(tensors)
    except RecipeError as error:
        raise StoreError(f"{path.with_name(CARD)} cannot be used: {error.what}", remedy=REMEDY) from error
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError) as error:  # of torch and timm
        raise StoreError(f"{path} does not fit the {CARD} beside it: {first_line(error)}", remedy=REMEDY) from error
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _build_from_card(card: Mapping[str, Any]) -> Network:
    from holotype.networks.build import build_architecture

    model = card["model"]
    check_backbone(model["backbone"])
    return build_architecture(
        model["backbone"],
        len(card["classes"]),
        card["input_channels"],
        HeadSpec.model_validate(model["head"]),
        backbone_options(card, Path(CARD)),
        model["activation"],
        _rank_heads_from_card(card),
    )


def _require_shapes(path: Path, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights of other shapes than the card's network has, by the head of their file."""
    try:
        with safe_open(path, framework="numpy") as file:
            stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path} cannot be read: {first_line(error)}", remedy="delete it and run again") from error
    wrong = sorted(name for name in {*expected, *stored} if expected.get(name) != stored.get(name))
    if wrong:
        first = f"{wrong[0]} ({stored.get(wrong[0], 'none')} in the file, {expected.get(wrong[0], 'none')} by the card)"
        message = f"{path} does not fit the {CARD} beside it: {pluralize(len(wrong), 'tensor')}, the first {first}"
        raise StoreError(message, remedy=REMEDY)


def _rank_heads_from_card(card: Mapping[str, Any]) -> RankHeads | None:
    """The ranks that a network has learnt; cards of older versions know of none."""
    stored = card.get("taxonomy")
    if stored is None:
        return None
    parents = tuple(tuple(row) for row in stored["parents"])
    return RankHeads(tuple(stored["names"]), parents, tuple(stored["weights"]), stored["class_weight"])
