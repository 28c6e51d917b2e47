"""Checkpoints on disk: tensors in safetensors, everything else in JSON; nothing that runs when it is read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from holotype.errors import RecipeError, StoreError, counted, first_line
from holotype.nets.build import Network, check_backbone, empty_network
from holotype.nets.card import CARD, REMEDY, backbone_options, checkpoint_card
from holotype.spec import HeadSpec
from holotype.types import Checkpoint, Levels

__all__ = [
    "HeldCheckpoint",
    "hold_networks",
    "load_facts",
    "load_network",
    "load_networks",
    "load_tensors",
    "open_checkpoint",
    "save_network",
    "save_tensors",
]

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class HeldCheckpoint(Checkpoint):
    """A checkpoint whose networks stay in memory, for those who are asked again and again.

    Args:
        networks: As `load_networks` gives them.
    """

    networks: tuple[Network, ...]


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts into one file, whole or not at all.

    Args:
        path: The safetensors file.
        tensors: By name.
        facts: What JSON can hold.

    Raises:
        StoreError: The disk is full, or does not let itself be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    plain = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    try:
        safetensors.torch.save_file(plain, temporary, metadata={"facts": json.dumps(facts)})
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free
        raise StoreError(
            f"{path.name} cannot be written into {path.parent} ({free / 1e6:,.0f} MB free): {error}",
            remedy="free some room and run the same command again; what was done is kept",
        ) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and facts.

    Args:
        path: The safetensors file.

    Raises:
        StoreError: The file is torn or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118  (it is no dict)
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise StoreError(f"{path} cannot be read: {error}", remedy="delete it and run again") from error


def load_facts(path: Path) -> dict[str, Any]:
    """Read the facts alone, which is quick whatever the size of the tensors.

    Args:
        path: The safetensors file.

    Raises:
        StoreError: The file is torn or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads(file.metadata()["facts"])
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
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


def hold_networks(checkpoint: Checkpoint) -> HeldCheckpoint:
    """The same checkpoint with its networks read once and kept.

    Args:
        checkpoint: From `open_checkpoint`.
    """
    return HeldCheckpoint(checkpoint.folder, checkpoint.card, tuple(load_networks(checkpoint)))


def load_network(checkpoint: Checkpoint) -> Network:
    """The network of a checkpoint, ready to predict; the first of several.

    Args:
        checkpoint: From `open_checkpoint` or `hold_networks`.
    """
    return checkpoint.networks[0] if isinstance(checkpoint, HeldCheckpoint) else _load(checkpoint, WEIGHTS)


def load_networks(checkpoint: Checkpoint) -> list[Network]:
    """The networks of a checkpoint whose predictions are averaged, ready to predict.

    Args:
        checkpoint: From `open_checkpoint` or `hold_networks`.
    """
    if isinstance(checkpoint, HeldCheckpoint):
        return list(checkpoint.networks)
    names = [WEIGHTS, *(f"weights-{number}.safetensors" for number in range(2, checkpoint.card.get("networks", 1) + 1))]
    for name in names:
        if not (checkpoint.folder / name).is_file():
            raise StoreError(f"{checkpoint.folder} lacks {name}, which its {CARD} names", remedy=REMEDY)
    return [_load(checkpoint, name) for name in names]


def _load(checkpoint: Checkpoint, name: str) -> Network:
    path = checkpoint.folder / name
    try:
        with torch.device("meta"):  # which takes no memory, whatever sizes the card asks for
            planned = _empty(checkpoint.card).state_dict()
        _check_shapes(path, {tensor: tuple(value.shape) for tensor, value in planned.items()})
        network = _empty(checkpoint.card)
        tensors, _ = load_tensors(path)
        network.load_state_dict(tensors)
    except RecipeError as error:
        raise StoreError(f"{path.with_name(CARD)} cannot be used: {error.what}", remedy=REMEDY) from error
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError) as error:  # of torch and timm
        raise StoreError(f"{path} does not fit the {CARD} beside it: {first_line(error)}", remedy=REMEDY) from error
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _empty(card: Mapping[str, Any]) -> Network:
    member = card["member"]
    check_backbone(member["backbone"])
    return empty_network(
        member["backbone"], len(card["classes"]), card["input_channels"], HeadSpec.model_validate(member["head"]),
        backbone_options(card, Path(CARD)), member["activation"], _levels(card),
    )  # fmt: skip


def _check_shapes(path: Path, planned: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights of other shapes than the card's network has, by the head of their file."""
    try:
        with safe_open(path, framework="pt") as file:
            stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise StoreError(f"{path} cannot be read: {first_line(error)}", remedy="delete it and run again") from error
    wrong = sorted(name for name in {*planned, *stored} if planned.get(name) != stored.get(name))
    if wrong:
        first = f"{wrong[0]} ({stored.get(wrong[0], 'none')} in the file, {planned.get(wrong[0], 'none')} by the card)"
        what = f"{path} does not fit the {CARD} beside it: {counted(len(wrong), 'tensor')}, the first {first}"
        raise StoreError(what, remedy=REMEDY)


def _levels(card: Mapping[str, Any]) -> Levels | None:
    """The ranks that a network has learnt; cards of older versions know of none."""
    held = card.get("levels")
    if held is None:
        return None
    parents = tuple(tuple(row) for row in held["parents"])
    return Levels(tuple(held["names"]), parents, tuple(held["weights"]), held["leaves"])
