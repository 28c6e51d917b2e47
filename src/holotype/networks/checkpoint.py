"""Checkpoints on disk: tensors in safetensors, metadata in JSON; reading them executes no code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from holotype.core.errors import RecipeError, StoreError, first_line, pluralize
from holotype.core.tensor_files import load_tensors, save_tensors
from holotype.networks.backbones import check_backbone
from holotype.networks.card import CARD, REMEDY, backbone_options, checkpoint_card
from holotype.recipe.sections import HeadSpec
from holotype.types import Checkpoint, RankHeads

if TYPE_CHECKING:
    from torch import Tensor, nn

    from holotype.networks.build import Network

__all__ = ["CachedCheckpoint", "cache_networks", "load_network", "load_networks", "open_checkpoint", "save_network"]

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class CachedCheckpoint(Checkpoint):
    """A checkpoint whose networks stay in memory, for repeated predictions."""

    networks: tuple[Network, ...]


def save_network(
    folder: Path, network: nn.Module, card: Mapping[str, Any], others: Sequence[Mapping[str, Tensor]] = ()
) -> None:
    """Write the weights and the card of a network.

    Args:
        folder: Usually temporary: the cache renames it when the step is complete.
        others: More weights of the same architecture, whose predictions are averaged with the first.
    """
    save_tensors(folder / WEIGHTS, network.state_dict(), {})
    for number, tensors in enumerate(others, start=2):
        save_tensors(folder / f"weights-{number}.safetensors", tensors, {})
    card = {**card, "networks": 1 + len(others)}
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False, sort_keys=True), encoding="utf-8")


def open_checkpoint(folder: Path) -> Checkpoint:
    """Open a checkpoint folder and validate its card; weights are read later.

    Raises:
        StoreError: There is no card, or it has values that Holotype never writes.
    """
    if not (folder / CARD).is_file():
        raise StoreError(f"{folder} holds no checkpoint: it has no {CARD}", remedy="run the recipe again")
    return Checkpoint(folder, checkpoint_card(folder / CARD))


def cache_networks(checkpoint: Checkpoint) -> CachedCheckpoint:
    """Load the networks of a checkpoint once and keep them in memory."""
    return CachedCheckpoint(checkpoint.folder, checkpoint.card, tuple(load_networks(checkpoint)))


def load_network(checkpoint: Checkpoint) -> Network:
    """Load the first network of a checkpoint, in evaluation mode."""
    return checkpoint.networks[0] if isinstance(checkpoint, CachedCheckpoint) else _load_weights(checkpoint, WEIGHTS)


def load_networks(checkpoint: Checkpoint) -> list[Network]:
    """Load all networks of a checkpoint, in evaluation mode; their predictions are averaged."""
    if isinstance(checkpoint, CachedCheckpoint):
        return list(checkpoint.networks)
    names = [WEIGHTS, *(f"weights-{number}.safetensors" for number in range(2, checkpoint.card.get("networks", 1) + 1))]
    for name in names:
        if not (checkpoint.folder / name).is_file():
            raise StoreError(f"{checkpoint.folder} lacks {name}, which its {CARD} names", remedy=REMEDY)
    return [_load_weights(checkpoint, name) for name in names]


def _load_weights(checkpoint: Checkpoint, name: str) -> Network:
    import torch

    from holotype.classifiers import load_classifier
    from holotype.networks.heads import ClassifierLayer

    path = checkpoint.folder / name
    try:
        with torch.device("meta"):  # takes no memory, whatever sizes the card has
            expected = _build_from_card(checkpoint.card).state_dict()
        _require_shapes(path, {tensor: tuple(value.shape) for tensor, value in expected.items()})
        network = _build_from_card(checkpoint.card)
        tensors, _ = load_tensors(path)
        network.load_state_dict(tensors)
        if checkpoint.card.get("classifier") not in {None, "linear"}:
            network.head.last = ClassifierLayer(load_classifier(checkpoint.folder))
    except RecipeError as error:
        raise StoreError(f"{path.with_name(CARD)} cannot be used: {error.what}", remedy=REMEDY) from error
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError) as error:  # of torch and timm
        raise StoreError(f"{path} does not fit the {CARD} beside it: {first_line(error)}", remedy=REMEDY) from error
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _build_from_card(card: Mapping[str, Any]) -> Network:
    from holotype.networks.build import build_architecture
    from holotype.networks.heads import ClippedLinear

    model = card["model"]
    check_backbone(model["backbone"])
    network = build_architecture(
        model["backbone"],
        len(card["classes"]),
        card["input_channels"],
        HeadSpec.model_validate(model["head"]),
        backbone_options(card, Path(CARD)),
        model["activation"],
        _rank_heads_from_card(card),
        channels_as=model.get("input", {}).get("channels_as", "stacked"),  # cards of older versions have none
    )
    if card.get("classifier") == "linear":
        network.head.last = ClippedLinear(network.head.width, len(card["classes"]))
    return network


def _require_shapes(path: Path, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights whose shapes differ from the card's network, by the file header alone."""
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
    """The ranks that a network has learned; cards of older versions have none."""
    stored = card.get("taxonomy")
    if stored is None:
        return None
    parents = tuple(tuple(row) for row in stored["parents"])
    return RankHeads(tuple(stored["names"]), parents, tuple(stored["weights"]), stored["class_weight"])
